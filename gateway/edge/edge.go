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
	"pagegate/internal/policy"
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
	visit   door.Visit
	page    page.Page
	mark    page.Page
	variant []byte
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

// hit answers from the cache if a page is there that may answer.
func (e *Edge) hit(ctx *fasthttp.RequestCtx, s *scratch) bool {
	if !e.get(s.visit.Key, &s.page) {
		return false
	}
	var mark *page.Page
	key := s.visit.Key
	if s.page.Mark() {
		s.mark, s.page = s.page, page.Page{}
		defer s.mark.Release()
		mark = &s.mark
		s.variant = door.AppendVariantKey(s.variant[:0], ctx, &s.visit, mark)
		if key = s.variant; !e.get(key, &s.page) {
			return false
		}
	}
	defer s.page.Release()
	now := e.now()
	outcome := metrics.Hit
	switch s.visit.Policy.Reuse(now, &s.page, &s.visit.Wishes) {
	case policy.Ask:
		return false
	case policy.Refresh:
		outcome = metrics.Stale
		e.Door.RefreshBehind(ctx, &s.visit, mark)
	case policy.UseOld:
		outcome = metrics.Stale
	case policy.Use:
		if policy.Early(now, &s.page) {
			e.Door.RefreshBehind(ctx, &s.visit, mark)
		}
	}
	door.WritePage(ctx, &s.visit, &s.page, now)
	if s.page.Uncoded && s.visit.TakesCoding() {
		e.Door.Fill.CodeBehind(key)
	}
	e.Door.Hit(ctx, &s.visit, outcome, &s.page, now)
	return true
}

// get reads a page from the cache and tells whether one is there.
func (e *Edge) get(key []byte, p *page.Page) bool {
	err := e.Cache.Get(context.Background(), key, p)
	if err != nil && !errors.Is(err, pagecache.ErrMiss) {
		e.Door.Metrics.CacheError(metrics.OpGet)
	}
	return err == nil
}

func (e *Edge) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}
