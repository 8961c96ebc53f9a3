// Package edge is the gateway's front: what nginx does at the other door, in this process. A request becomes a page key;
// a fresh page of that key is answered from the cache; everything else takes the miss path that the filler is made of.
package edge

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"pagegate/internal/door"
	"pagegate/internal/metrics"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
)

// Edge answers requests. Any number of goroutines may use it at once.
type Edge struct {
	Door  *door.Door
	Cache pagecache.Cache
	// Now is the clock; nil for time.Now.
	Now func() time.Time
}

// scratch is what a request needs for as long as it is answered.
type scratch struct {
	visit door.Visit
	page  page.Page
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// Handle answers one request. A hit on a page in one piece allocates nothing in this project's code.
func (e *Edge) Handle(ctx *fasthttp.RequestCtx) {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	if !e.Door.Enter(ctx, &s.visit) {
		return
	}
	if s.visit.Share && e.hit(ctx, s) {
		return
	}
	e.Door.Miss(ctx, &s.visit)
}

// hit answers from the cache if a fresh page is there.
func (e *Edge) hit(ctx *fasthttp.RequestCtx, s *scratch) bool {
	err := e.Cache.Get(context.Background(), s.visit.Key, &s.page)
	if err != nil {
		if !errors.Is(err, pagecache.ErrMiss) {
			e.Door.Metrics.CacheError(metrics.OpGet)
		}
		return false
	}
	defer s.page.Release()
	now := e.now()
	if !s.page.Fresh(now) {
		return false
	}
	door.WritePage(ctx, &s.page, now)
	e.Door.Metrics.Request(metrics.Hit)
	return true
}

func (e *Edge) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}
