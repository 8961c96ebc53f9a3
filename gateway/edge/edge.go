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
	"pagegate/internal/loop"
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
	of      *Edge // which keeps it for a request that it knows; nil for one that serves any
	visit   door.Visit
	page    page.Page // that answers
	mark    page.Page // by which it was found
	variant []byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// Release gives back the page whose bytes an answer has lent.
func (s *scratch) Release() {
	s.giveBack()
	if s.of == nil {
		scratches.Put(s)
	}
}

func (s *scratch) giveBack() {
	s.page.Release()
	s.mark.Release()
}

// Handle answers one request. A hit on a page in one piece allocates nothing in this project's code.
func (e *Edge) Handle(ctx *fasthttp.RequestCtx) {
	s := scratches.Get().(*scratch)
	defer s.Release()
	if !e.Door.Enter(ctx, &s.visit) {
		return
	}
	now := e.now()
	if f := e.find(ctx, s, now); f.ok {
		door.WritePage(ctx, &s.visit, &s.page, now)
		if c, ok := ctx.Conn().(interface{ Quick() }); ok {
			c.Quick()
		}
		e.answered(ctx, s, &f, now)
		return
	}
	s.giveBack() // a miss may take long
	e.Door.Miss(ctx, &s.visit)
}

// Fast answers a request if that takes no wait: from a page in the process's own store. Otherwise it has done nothing. It
// returns dst with the answer's head behind it and the body, the page's own bytes, which stay until done is released.
func (e *Edge) Fast(r *loop.Request, now time.Time, dst []byte) (head, body []byte, done page.Releaser, ok bool) {
	s := e.look(r)
	if s == nil {
		return dst, nil, nil, false
	}
	ctx := &r.Ctx
	if f := e.find(ctx, s, now); f.ok {
		if head, body, ok = door.AppendHit(dst, ctx, &s.visit, &s.page, now); ok {
			e.answered(ctx, s, &f, now)
			done = s.page.Detach()
			s.Release()
			return head, body, done, true
		}
	}
	s.Release()
	return dst, nil, nil, false
}

// look finds out what a request wants, nil for one that is to be refused. Of a request that is known it has done so before,
// unless by another Edge, whose rules may have been others.
func (e *Edge) look(r *loop.Request) *scratch {
	s, _ := r.Known.(*scratch)
	switch {
	case s != nil && s.of == e:
		return s
	case r.Keep:
		s = spare(r)
	default:
		s = scratches.Get().(*scratch)
	}
	if r.Known = nil; !e.Door.Look(&r.Ctx, &s.visit) {
		s.Release()
		return nil
	}
	if r.Keep {
		s.of, r.Known = e, s
	}
	return s
}

// spare returns a scratch for a request that will be known. Where many pages are asked for, their heads take each other's
// places all the time: the scratch of the one that had to go serves the next.
func spare(r *loop.Request) *scratch {
	s, _ := r.Spare.(*scratch)
	if s == nil {
		return new(scratch)
	}
	r.Spare, s.of = nil, nil
	return s
}

// found is a page that answers a request.
type found struct {
	ok      bool
	key     []byte     // of the cache
	mark    *page.Page // by which it was found, nil if by none
	verdict policy.Verdict
}

// find looks for a page in the cache that may answer.
func (e *Edge) find(ctx *fasthttp.RequestCtx, s *scratch, now time.Time) (f found) {
	f.key = s.visit.Key
	if !s.visit.Share || !e.get(f.key, &s.page) {
		return f
	}
	if s.page.Mark() {
		s.mark, s.page = s.page, page.Page{}
		f.mark = &s.mark
		s.variant = door.AppendVariantKey(s.variant[:0], ctx, &s.visit, f.mark)
		if f.key = s.variant; !e.get(f.key, &s.page) {
			return f
		}
	}
	f.verdict = s.visit.Policy.Reuse(now, &s.page, &s.visit.Wishes)
	f.ok = f.verdict != policy.Ask
	return f
}

// answered does what an answer from the cache leads to: the page is fetched anew if it is time to, or coded if that is
// wanted, and the answer is counted.
func (e *Edge) answered(ctx *fasthttp.RequestCtx, s *scratch, f *found, now time.Time) {
	if f.verdict == policy.Refresh || f.verdict == policy.Use && policy.Early(now, &s.page) {
		e.Door.RefreshBehind(ctx, &s.visit, f.mark)
	}
	if s.page.Uncoded && s.visit.TakesCoding() {
		e.Door.Fill.CodeBehind(f.key)
	}
	outcome := metrics.Hit
	if f.verdict != policy.Use {
		outcome = metrics.Stale
	}
	e.Door.Hit(ctx, &s.visit, outcome, &s.page, now)
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
