package edge

import (
	"testing"
	"time"

	"pagegate/internal/door"
	"pagegate/internal/loop"
	"pagegate/internal/policy"
)

// What is known of a request is what one Edge found: after a reload another looks anew, by its own rules.
func TestKnownRequestAfterReload(t *testing.T) {
	e := newEdge(t, hitSite())
	ctx := prepared(t, e, serve(t, e)())
	r := &loop.Request{Keep: true}
	r.Ctx.Init(&ctx.Request, nil, nil)
	ask := func(e *Edge) bool {
		_, _, done, ok := e.Fast(r, time.Now(), nil)
		if ok {
			done.Release()
		}
		return ok
	}
	for range 2 {
		if !ask(e) {
			t.Fatal("no hit")
		}
	}
	strict := *e.Door.Policy
	strict.Cookies = policy.NewCookieRule(nil)
	reloaded := &door.Door{Key: e.Door.Key, Policy: &strict, Fill: e.Door.Fill, Metrics: e.Door.Metrics, Log: e.Door.Log}
	if ask(&Edge{Door: reloaded, Cache: e.Cache}) {
		t.Error("a hit for a request that the new rules keep from the cache")
	}
	if !ask(e) {
		t.Error("no hit by the old rules")
	}
}
