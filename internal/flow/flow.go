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
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"pagegate/internal/admin"
	"pagegate/internal/config"
	"pagegate/internal/door"
	"pagegate/internal/loop"
	"pagegate/internal/pagecache"
	"pagegate/internal/policy"
	"pagegate/internal/service"
	"pagegate/internal/version"
)

// Program is what differs between the mains.
type Program struct {
	Name config.Program
	// OpenCache opens the place where pages are kept.
	OpenCache func(*config.Config, *policy.Policy) (pagecache.Cache, error)
	// Handler makes the request handler over what both doors share.
	Handler func(*door.Door, pagecache.Cache) fasthttp.RequestHandler
	// Fast, if set, makes what answers requests that need no wait, from a cache in this process.
	Fast func(*door.Door, pagecache.Cache) loop.Fast
	// Welcome, if set, prints where to look and what to try once the program listens.
	Welcome func(w io.Writer, c *config.Config, addr net.Addr)
}

// Exit codes of Run.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// Main is a program's main function around run, whose ctx ends with SIGINT or SIGTERM. It does not return.
func Main(run func(ctx context.Context, args []string, stdout, stderr io.Writer) int) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run is a whole program: it reads args, serves until ctx ends, and returns the exit code. Help and the answer of
// --check go to stdout, everything else to stderr.
func Run(ctx context.Context, p Program, args []string, stdout, stderr io.Writer) int {
	if code, ok := runCommand(ctx, p.Name, args, stdout, stderr); ok {
		return code
	}
	cmd, err := config.Parse(p.Name, args, stdout)
	switch {
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
		return exitUsage
	case cmd.Help:
		return exitOK
	case cmd.Version:
		fmt.Fprintf(stdout, "pagegate %s %s\n", p.Name, version.String())
		return exitOK
	case cmd.Check:
		fmt.Fprintf(stdout, "%s: the configuration is valid\n", p.Name)
		return exitOK
	}
	if err := serve(ctx, p, cmd.Config, args, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
		return exitFailed
	}
	return exitOK
}

// collectSeldom has Go's garbage collected when there is four times as much as there is to keep, unless the environment says
// otherwise: with pages kept elsewhere that is a few MiB, gone through for nothing many times a second under misses.
func collectSeldom() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// serve listens and answers until ctx ends, reading the configuration anew at each SIGHUP, and closes in the opposite
// order: first no new request, then those under way to their end, then the pages that are still to be written, then the
// cache they are written to.
func serve(ctx context.Context, p Program, c *config.Config, args []string, stdout, stderr io.Writer) (err error) {
	listening, err := openSockets(c)
	if err != nil {
		return err
	}
	defer listening.close()
	h := newHouse(p, stderr)
	if err := h.open(c); err != nil {
		return errors.Join(err, h.close())
	}
	if h.own == nil {
		collectSeldom()
	}
	// What requests use is not closed under those that would not end: the process's own end takes it along.
	cutOff := false
	defer func() {
		if !cutOff {
			err = errors.Join(err, h.close())
		}
	}()
	if listening.admin != nil {
		defer admin.Serve(listening.admin, h.metrics, &admin.Purger{Purge: h.purge, Key: h.urlKey}, h.explain, h.checks()...).Close()
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)

	log := h.log()
	server, err := h.server(listening.clients, log)
	if err != nil {
		return err
	}
	ended := make(chan error, len(listening.clients))
	for _, l := range listening.clients {
		go func() { ended <- server.Serve(l) }()
	}
	log.Info().Str("listen", listening.addresses()).Str("backend", withoutSecret(c.Backend)).
		Strs("cache", c.Cache.Servers).Msgf("%s started", p.Name)
	if p.Welcome != nil {
		p.Welcome(stdout, c, listening.clients[0].Addr())
	}
	manager := service.Ready()
	defer manager.Close()
	for {
		select {
		case err := <-ended:
			return fmt.Errorf("serving ended: %w", err)
		case <-hangups:
			h.reload(args)
		case <-ctx.Done():
			h.stopping.Store(true)
			manager.Stopping()
			cutOff, err = drain(server, h.bodies, time.Duration(c.Timeouts.Drain), h.log())
			return err
		}
	}
}

// drain lets the requests under way end, up to the bound, and tells whether some did not. bodies waits for what is sent past
// the server.
func drain(server server, bodies func(), bound time.Duration, log zerolog.Logger) (cutOff bool, err error) {
	log.Info().Msg("stopping")
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	err = server.ShutdownWithContext(ctx)
	if err == nil {
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			bodies()
		}()
		select {
		case <-sent:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn().Dur("after_ms", bound).Msg("some requests were still under way and have been cut off")
		return true, nil
	}
	return false, err
}
