// Package flow puts the pieces of a door together from a configuration and runs them until the program is told to stop.
// It is all that the filler's and the gateway's mains have in common; where pages are kept and how a request is answered
// is the mains' to choose.
package flow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"pagegate/internal/admin"
	"pagegate/internal/config"
	"pagegate/internal/door"
	"pagegate/internal/fill"
	"pagegate/internal/listen"
	"pagegate/internal/metrics"
	"pagegate/internal/origin"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/pagekey"
	"pagegate/internal/policy"
)

// Program is what differs between the mains.
type Program struct {
	Name config.Program
	// OpenCache opens the place where pages are kept.
	OpenCache func(*config.Config, *policy.Policy) (pagecache.Cache, error)
	// Handler makes the request handler over what both doors share.
	Handler func(*door.Door, pagecache.Cache) fasthttp.RequestHandler
	// Welcome, if set, prints where to look and what to try once the program listens.
	Welcome func(w io.Writer, c *config.Config, addr net.Addr)
}

// Exit codes of Run.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Run is a whole program: it reads args, serves until ctx ends, and returns the exit code. Help and the answer of
// --check go to stdout, everything else to stderr.
func Run(ctx context.Context, p Program, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 {
		switch args[0] {
		case "purge":
			return purgeCommand(ctx, p.Name, args[1:], stdout, stderr)
		case "explain":
			return explainCommand(ctx, p.Name, args[1:], stdout, stderr)
		}
	}
	cmd, err := config.Parse(p.Name, args, stdout)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
		return exitUsage
	case cmd.Help:
		return exitOK
	case cmd.Check:
		fmt.Fprintf(stdout, "%s: the configuration is valid\n", p.Name)
		return exitOK
	}
	if err := serve(ctx, p, cmd.Config, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
		return exitFailed
	}
	return exitOK
}

// serve opens everything, answers until ctx ends, and closes in the opposite order: first no new request, then those
// under way to their end, then the pages that are still to be written, then the cache they are written to.
func serve(ctx context.Context, p Program, c *config.Config, stdout, stderr io.Writer) (err error) {
	log := newLog(c, stderr)
	pol := NewPolicy(c)
	m := metrics.New()
	m.Rules(pol.Names()...)

	l, err := listen.Listen(c.Listen)
	if err != nil {
		return err
	}
	defer l.Close()
	// What requests use is not closed under those that would not end: the process's own end takes it along.
	cutOff := false
	closing := func(name string, end func() error) {
		if !cutOff {
			if cerr := end(); cerr != nil {
				err = errors.Join(err, fmt.Errorf("close the %s: %w", name, cerr))
			}
		}
	}
	cache, err := p.OpenCache(c, pol)
	if err != nil {
		return err
	}
	defer func() { closing("cache", cache.Close) }()
	if sized, ok := cache.(pagecache.Sized); ok {
		m.Store(
			func() float64 { return float64(sized.Sizes().Pages) }, func() float64 { return float64(sized.Sizes().Bytes) },
			func() float64 { return float64(sized.Sizes().Limit) }, func() float64 { return float64(sized.Sizes().Evictions) })
	}
	from, err := openOrigin(c, log)
	if err != nil {
		return err
	}
	defer func() { closing("backend", from.Close) }()
	key, err := c.Template()
	if err != nil {
		return err
	}
	filler := fill.New(fillOptions(c, from, cache, pol, key, m, log))
	defer func() { closing("miss path", filler.Close) }()

	networks, err := c.Purge.Networks()
	if err != nil {
		return err
	}
	d := &door.Door{
		Key: key, HTTPS: c.Scheme == "https", Policy: pol, Fill: filler, Metrics: m, Log: log, AccessLog: c.Log.Access,
		PurgeBy: door.PurgeRule{Allow: networks, Token: c.Purge.Token},
	}
	if c.Admin != "" {
		al, err := listen.Listen(c.Admin)
		if err != nil {
			return err
		}
		defer admin.Serve(al, m, &admin.Purger{Purge: filler.Purge, Key: d.URLKey}, explainer(d)).Close()
	}
	server := door.NewServer(p.Handler(d, cache), log)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	log.Info().Str("listen", l.Addr().String()).Str("backend", withoutSecret(c.Backend)).
		Strs("cache", c.Cache.Servers).Msgf("%s started", p.Name)
	if p.Welcome != nil {
		p.Welcome(stdout, c, l.Addr())
	}

	select {
	case err := <-ended:
		return fmt.Errorf("serving ended: %w", err)
	case <-ctx.Done():
	}
	cutOff, err = drain(server, time.Duration(c.Timeouts.Drain), log)
	return err
}

// drain lets the requests under way end, up to the bound, and tells whether some did not.
func drain(server *fasthttp.Server, bound time.Duration, log zerolog.Logger) (cutOff bool, err error) {
	log.Info().Msg("stopping")
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	err = server.ShutdownWithContext(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn().Dur("after_ms", bound).Msg("some requests were still under way and have been cut off")
		return true, nil
	}
	return false, err
}

func newLog(c *config.Config, w io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(c.Log.Level)
	if err != nil {
		level = zerolog.InfoLevel
	}
	return zerolog.New(zerolog.SyncWriter(w)).Level(level).With().Timestamp().Logger()
}

func openOrigin(c *config.Config, log zerolog.Logger) (origin.Origin, error) {
	o, err := origin.Open(c.Backend, origin.Options{
		ConnectTimeout: time.Duration(c.Timeouts.Connect),
		HeaderTimeout:  time.Duration(c.Timeouts.Header),
		IdleTimeout:    time.Duration(c.Timeouts.Idle),
		Log:            log,
	})
	if err != nil {
		return nil, err
	}
	return origin.Guard(o, withoutSecret(c.Backend)), nil
}

func fillOptions(c *config.Config, from origin.Origin, cache pagecache.Cache, pol *policy.Policy,
	key *pagekey.Template, m *metrics.Metrics, log zerolog.Logger) fill.Options {
	passFor := time.Duration(c.PassFor)
	if passFor == 0 {
		passFor = -1
	}
	return fill.Options{
		Origin:    from,
		Cache:     cache,
		Policy:    pol,
		Metrics:   m,
		Log:       log,
		Hosts:     hosts(c),
		Scheme:    c.Scheme,
		KeyFields: key.FieldNames(),
		Codings:   codings(c),
		Workers:   c.Store.Workers,
		Queue:     c.Store.Queue,
		PassFor:   passFor,
	}
}

// codings are those of a configuration that has been validated.
func codings(c *config.Config) []page.Coding {
	all, _ := c.Codings()
	return all
}

// hosts says which Host shared fills are sent with: the site's first name, or the backend's where none is configured.
func hosts(c *config.Config) fill.Hosts {
	h := fill.Hosts{Canonical: "localhost", Keyed: c.KeyHoldsHost(), Known: c.Hosts}
	if u, err := url.Parse(c.Backend); err == nil && u.Host != "" {
		h.Canonical = u.Host
	}
	if len(c.Hosts) > 0 {
		h.Canonical = c.Hosts[0]
	}
	return h
}

// withoutSecret is a URL for the log.
func withoutSecret(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "?"
	}
	return u.Redacted()
}
