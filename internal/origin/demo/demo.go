// Package demo is the built-in demo site.
package demo

import (
	"net/http"
	"time"
)

// DefaultDelay is how long the slow pages take if Options do not say.
const DefaultDelay = 200 * time.Millisecond

// Options of the site; the zero value is valid.
type Options struct {
	// Delay is how long the slow pages take; 0 for DefaultDelay.
	Delay time.Duration
	// Now is the site's clock; nil for time.Now.
	Now func() time.Time
}

// Handler makes the site.
func Handler(o Options) http.Handler {
	return http.NotFoundHandler()
}
