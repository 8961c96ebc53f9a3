package flow

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"pagegate/internal/listen"
	"pagegate/internal/origin/demo"
)

// demoDrain bounds the wait for requests under way when the demo backend ends.
const demoDrain = 5 * time.Second

// demoCommand is `filler demo` and `gateway demo`: the built-in site as an HTTP server of its own, with no cache, for those
// who try caches before it. It logs each request but health checks, so that one sees what a backend is spared.
func demoCommand(ctx context.Context, c *command) error {
	addr := c.String("listen", "127.0.0.1:9000", "where to listen: host:port or unix:/path")
	delay := c.Duration("delay", demo.DefaultDelay, "how long the slow pages take")
	if err := c.parse("Serve the built-in site by itself, as a backend to try caches with.", ""); err != nil {
		return err
	}
	if *delay <= 0 {
		return usageError{errors.New("--delay must be more than 0")}
	}
	log := zerolog.New(zerolog.SyncWriter(c.stderr)).With().Timestamp().Logger()
	return serveDemo(ctx, *addr, demo.Handler(demo.Options{Delay: *delay}), log)
}

// serveDemo serves the site until ctx ends.
func serveDemo(ctx context.Context, addr string, site http.Handler, log zerolog.Logger) error {
	l, err := listen.Listen(addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.UserAgent() != healthAgent {
				log.Info().Str("method", r.Method).Str("target", r.RequestURI).Str("client", r.RemoteAddr).Msg("request")
			}
			site.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute, // longer than the caches keep theirs
	}
	log.Info().Str("listen", l.Addr().String()).Msg("the demo site started")
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	bound, cancel := context.WithTimeout(context.Background(), demoDrain)
	defer cancel()
	if err := server.Shutdown(bound); err != nil {
		server.Close() // cuts off who is still there
	}
	<-ended
	return nil
}
