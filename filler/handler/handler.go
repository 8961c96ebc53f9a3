// Package handler is the filler's HTTP surface: what nginx falls back to when its memcached server had no page, or when
// the request was none for the cache. nginx hands on the original request; the key is computed again from its raw
// target, never taken from a header, which a client could forge.
package handler

import (
	"sync"

	"github.com/valyala/fasthttp"

	"pagegate/internal/door"
)

// Handler answers nginx. Any number of goroutines may use it at once.
type Handler struct {
	Door *door.Door
}

var visits = sync.Pool{New: func() any { return new(door.Visit) }}

// Handle answers one request. nginx has looked the page up a moment ago, so there is no look-up before the miss path's
// own, which is made by the one request that leads a fill.
func (h *Handler) Handle(ctx *fasthttp.RequestCtx) {
	v := visits.Get().(*door.Visit)
	defer visits.Put(v)
	if h.Door.Enter(ctx, v) {
		h.Door.Miss(ctx, v)
	}
}
