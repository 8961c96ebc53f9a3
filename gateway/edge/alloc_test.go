//go:build !race

package edge

import (
	"testing"
	"time"

	"pagegate/internal/loop"
)

// The race detector's own allocations would count, so this file is left out there; `make test` runs it besides.
func TestHitAllocatesNothing(t *testing.T) {
	e := newEdge(t, hitSite())
	ctx := prepared(t, e, serve(t, e)())
	if n := testing.AllocsPerRun(1000, func() {
		ctx.Response.Reset()
		e.Handle(ctx)
	}); n != 0 {
		t.Errorf("%v allocations per hit", n)
	}
	if len(ctx.Response.Body()) != 16000 {
		t.Errorf("%d bytes", len(ctx.Response.Body()))
	}
}

// Nor does the event loop's way, for a head that is known and for one that is not.
func TestFastAllocatesNothing(t *testing.T) {
	e := newEdge(t, hitSite())
	ctx := prepared(t, e, serve(t, e)())
	for _, keep := range []bool{false, true} {
		r := &loop.Request{Keep: keep}
		r.Ctx.Init(&ctx.Request, nil, nil)
		fastAllocatesNothing(t, e, r, func() {})
		if keep { // and each time for another head, in the place of the one before
			fastAllocatesNothing(t, e, r, func() { r.Spare, r.Known = r.Known, nil })
		}
	}
}

func fastAllocatesNothing(t *testing.T, e *Edge, r *loop.Request, before func()) {
	t.Helper()
	var out []byte
	if n := testing.AllocsPerRun(1000, func() {
		before()
		head, body, done, ok := e.Fast(r, time.Now(), out[:0])
		if !ok || len(body) != 16000 {
			t.Fatalf("answered %v, %d bytes", ok, len(body))
		}
		out = head
		done.Release()
	}); n != 0 {
		t.Errorf("%v allocations per hit of the event loop", n)
	}
}
