package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"pagegate/internal/admin"
	"pagegate/internal/config"
	"pagegate/internal/loop"
	"pagegate/internal/metrics"
	"pagegate/internal/origin"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/purge"
)

// house holds what outlives a configuration (the metrics, the process's own store, the memory of purges), and the
// generation that the present configuration has made.
type house struct {
	program  Program
	stderr   io.Writer
	metrics  *metrics.Metrics
	purges   purge.Log
	stopping atomic.Bool

	own     pagecache.Cache // the process's own store; nil where pages are kept on cache servers
	current atomic.Pointer[generation]
	retired sync.WaitGroup // generations that still have requests
}

func newHouse(p Program, stderr io.Writer) *house {
	return &house{program: p, stderr: zerolog.SyncWriter(stderr), metrics: metrics.New()}
}

// open makes the first generation.
func (h *house) open(c *config.Config) error {
	if len(c.Cache.Servers) == 0 {
		own, err := h.program.OpenCache(c, NewPolicy(c))
		if err != nil {
			return err
		}
		h.own = own
		if sized, ok := own.(pagecache.Sized); ok {
			h.metrics.Store(
				func() float64 { return float64(sized.Sizes().Pages) }, func() float64 { return float64(sized.Sizes().Bytes) },
				func() float64 { return float64(sized.Sizes().Limit) }, func() float64 { return float64(sized.Sizes().Evictions) })
		}
	}
	g, err := h.newGeneration(c)
	if err != nil {
		return err
	}
	h.current.Store(g)
	h.metrics.Backend(h.backendDown)
	return nil
}

// close waits for all generations to end, and closes what they shared.
func (h *house) close() (err error) {
	if g := h.current.Load(); g != nil {
		h.retire(g)
	}
	h.retired.Wait()
	if h.own != nil {
		err = named("cache", h.own.Close())
	}
	return err
}

// handle answers a request by the present generation.
func (h *house) handle(ctx *fasthttp.RequestCtx) {
	g := h.enter()
	defer g.leave()
	g.handler(ctx)
}

// fast answers a request by the present generation, if that takes no wait. What it lends belongs to the process's own
// store, which outlives every generation.
func (h *house) fast(r *loop.Request, now time.Time, dst []byte) (head, body []byte, done page.Releaser, ok bool) {
	g := h.enter()
	defer g.leave()
	return g.fast(r, now, dst)
}

// enter returns the present generation, which does not end before its leave is called.
func (h *house) enter() *generation {
	for {
		if g := h.current.Load(); g.acquire() {
			return g
		} // it was replaced a moment ago
	}
}

// reload reads the configuration again and lets a generation of it take over. Requests under way end by the old one. A
// configuration that is not valid changes nothing.
func (h *house) reload(args []string) {
	log := h.log()
	old := h.current.Load()
	cmd, err := config.Parse(h.program.Name, args, io.Discard)
	var g *generation
	if err == nil {
		err = restartNeeded(old.config, cmd.Config)
	}
	if err == nil {
		g, err = h.newGeneration(cmd.Config)
	}
	if err != nil {
		log.Error().Err(err).Msg("the configuration was not reloaded; the old one still holds")
		return
	}
	h.current.Store(g)
	h.retire(old)
	log.Info().Str("backend", withoutSecret(cmd.Config.Backend)).Msg("the configuration was reloaded")
}

// restartNeeded tells which fields differ that are looked at only when the program starts.
func restartNeeded(old, now *config.Config) error {
	var errs []error
	for _, f := range []struct {
		name     string
		old, now any
	}{
		{"listen", old.Listen, now.Listen}, {"admin", old.Admin, now.Admin}, {"memory", old.Memory, now.Memory},
		{"event_loop", old.EventLoop, now.EventLoop}, {"io_uring", old.IOUring, now.IOUring},
		{"max_conns", old.MaxConns, now.MaxConns},
		{"cache.servers (from none or to none)", len(old.Cache.Servers) == 0, len(now.Cache.Servers) == 0},
	} {
		if f.old != f.now {
			errs = append(errs, fmt.Errorf("%s has changed, which needs a restart", f.name))
		}
	}
	return errors.Join(errs...)
}

// retire lets a generation end once its last request has.
func (h *house) retire(g *generation) {
	h.retired.Go(func() {
		g.leave() // the house's own
		<-g.unused
		if err := g.end(); err != nil {
			g.log.Error().Err(err).Msg("close what the old configuration used")
		}
	})
}

// bodies returns when the answers of the present generation have been sent or given up. No request may follow.
func (h *house) bodies() { h.current.Load().door.WaitForBodies() }

// log is the present generation's.
func (h *house) log() zerolog.Logger { return h.current.Load().log }

// purge purges by the present generation.
func (h *house) purge(ctx context.Context, r purge.Rule) (int, error) {
	g := h.enter()
	defer g.leave()
	return g.door.Fill.Purge(ctx, r)
}

func (h *house) urlKey(url string) (string, error) {
	return h.current.Load().door.URLKey(url)
}

func (h *house) explain(ctx context.Context, w io.Writer, url string, fields http.Header) error {
	g := h.enter()
	defer g.leave()
	return g.door.Explain(ctx, w, url, fields)
}

// checks are what /readyz looks at: whether the program still takes requests, whether the cache answers, and what is known of
// the backend. Without the cache the pages still come from the backend, and without that from the cache, so these two are told
// and no reason to send visitors elsewhere, where they would find the same.
func (h *house) checks() []admin.Check {
	return []admin.Check{
		{Name: "running", Needed: true, Run: func(context.Context) error {
			if h.stopping.Load() {
				return errors.New("the program is stopping")
			}
			return nil
		}},
		{Name: "cache", Run: func(ctx context.Context) error {
			g := h.enter()
			defer g.leave()
			return g.probe(ctx)
		}},
		{Name: "backend", Run: func(context.Context) error {
			if h.backendDown() {
				return origin.ErrDown
			}
			return nil
		}},
	}
}

// backendDown tells whether the present backend is taken to be down.
func (h *house) backendDown() bool { return origin.Down(h.current.Load().from) }

// named says what an error came from.
func named(what string, err error) error {
	if err != nil {
		return fmt.Errorf("close the %s: %w", what, err)
	}
	return nil
}

// probeTimeout bounds the question to the cache whether it is there.
const probeTimeout = time.Second
