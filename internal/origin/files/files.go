// Package files serves a directory.
package files

import (
	"net/http"
	"os"
	"time"

	"github.com/rs/zerolog"
)

// Options of a directory; the zero value is valid.
type Options struct {
	// Now is the clock of the templates; nil for time.Now.
	Now func() time.Time
	// Log gets the faults of templates and files.
	Log zerolog.Logger
}

// Site is a directory that is served.
type Site struct{ root *os.Root }

// Open opens a directory.
func Open(dir string, o Options) (*Site, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &Site{root: root}, nil
}

// ServeHTTP implements http.Handler.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) }

// Close closes the directory.
func (s *Site) Close() error { return s.root.Close() }
