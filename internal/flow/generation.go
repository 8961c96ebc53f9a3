package flow

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"pagegate/internal/config"
	"pagegate/internal/door"
	"pagegate/internal/fill"
	"pagegate/internal/loop"
	"pagegate/internal/origin"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
)

// generation is all that one reading of the configuration has made. It ends when another has taken its place and its last
// request has been answered.
type generation struct {
	config  *config.Config
	log     zerolog.Logger
	door    *door.Door
	handler fasthttp.RequestHandler
	fast    loop.Fast // nil for a program without
	cache   pagecache.Cache
	ownsIt  bool // the cache ends with the generation
	from    origin.Origin

	users  atomic.Int64 // requests that use it, and one while it is the present one; never more after 0
	unused chan struct{}
}

// newGeneration opens what a configuration names and puts a door together.
func (h *house) newGeneration(c *config.Config) (g *generation, err error) {
	g = &generation{config: c, log: newLog(c, h.stderr), cache: h.own, unused: make(chan struct{})}
	g.users.Store(1)
	pol := NewPolicy(c)
	key, err := c.Template()
	if err != nil {
		return nil, err
	}
	networks, err := c.Purge.Networks()
	if err != nil {
		return nil, err
	}
	if g.cache == nil {
		if g.cache, err = h.program.OpenCache(c, pol); err != nil {
			return nil, err
		}
		g.ownsIt = true
	}
	if g.from, err = openOrigin(c, g.log); err != nil {
		return nil, errors.Join(err, g.closeCache())
	}
	h.metrics.Rules(pol.Names()...)
	o := fillOptions(c, g.from, g.cache, pol, key, h.metrics, g.log)
	o.Purges = &h.purges
	g.door = &door.Door{
		Key: key, HTTPS: c.Scheme == "https", Policy: pol, Fill: fill.New(o), Metrics: h.metrics, Log: g.log,
		PurgeBy: door.PurgeRule{Allow: networks, Token: c.Purge.Token}, DebugToken: c.DebugToken,
	}
	g.door.LogTo(accessLog(c, g.log))
	g.handler = h.program.Handler(g.door, g.cache)
	if h.program.Fast != nil {
		g.fast = h.program.Fast(g.door, g.cache)
	}
	return g, nil
}

// acquire keeps the generation from ending; it fails on one that has ended.
func (g *generation) acquire() bool {
	for {
		n := g.users.Load()
		if n == 0 {
			return false
		}
		if g.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// leave undoes acquire.
func (g *generation) leave() {
	if g.users.Add(-1) == 0 {
		close(g.unused)
	}
}

// end closes everything, once the bodies that are still being sent have gone.
func (g *generation) end() error {
	g.door.WaitForBodies()
	return errors.Join(named("miss path", g.door.Fill.Close()), named("backend", g.from.Close()), g.closeCache())
}

func (g *generation) closeCache() error {
	if !g.ownsIt {
		return nil
	}
	return named("cache", g.cache.Close())
}

// probe asks the cache for a page that nobody stores.
func (g *generation) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var p page.Page
	defer p.Release()
	if err := g.cache.Get(ctx, []byte("pg:ready?"), &p); err != nil && !errors.Is(err, pagecache.ErrMiss) {
		return err
	}
	return nil
}
