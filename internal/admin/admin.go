// Package admin is the listener for operators: health, readiness, metrics and profiles. It is never the public one.
// Programs register what they know of themselves with it; it knows none of them.
package admin

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"pagegate/internal/metrics"
)

// Check is one thing that must be well for the program to be ready. It returns within ctx's bound.
type Check struct {
	Name string
	// Needed says that the program is not ready without it; else a failure is only told.
	Needed bool
	Run    func(ctx context.Context) error
}

// checkTimeout bounds all checks of one /readyz together.
const checkTimeout = 2 * time.Second

// Server serves the admin pages until it is closed.
type Server struct {
	http *http.Server
	done chan struct{}
}

// Serve starts to answer on l. With a purger it takes purges too. What changes something is refused to web pages of other
// sites, whose visitors may well reach this listener.
func Serve(l net.Listener, m *metrics.Metrics, purger *Purger, explain Explain, checks ...Check) *Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", readiness(checks))
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /{$}", index)
	if purger != nil {
		mux.Handle("POST /purge", purger)
	}
	if explain != nil {
		mux.Handle("GET /explain", explain)
	}
	s := &Server{
		http: &http.Server{Handler: http.NewCrossOriginProtection().Handler(mux), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute},
		done: make(chan struct{}),
	}
	go func() {
		defer close(s.done)
		_ = s.http.Serve(l) // ends with Close
	}()
	return s
}

// Close ends the listener and every connection, and waits.
func (s *Server) Close() {
	s.http.Close()
	<-s.done
}

func readiness(checks []Check) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		var told strings.Builder
		status, head := http.StatusOK, "ready"
		for _, c := range checks {
			err := c.Run(ctx)
			if err == nil {
				fmt.Fprintf(&told, "%s: ok\n", c.Name)
				continue
			}
			fmt.Fprintf(&told, "%s: %v\n", c.Name, err)
			if c.Needed {
				status, head = http.StatusServiceUnavailable, "not ready"
			}
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintf(w, "%s\n%s", head, told.String())
	}
}

func index(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprint(w, `<!doctype html><title>pagegate</title><h1>pagegate</h1><ul>
<li><a href="/healthz">/healthz</a>: the process runs
<li><a href="/readyz">/readyz</a>: it can serve
<li><a href="/metrics">/metrics</a>: for Prometheus
<li>/explain?url=/path: what is stored of a page, or why nothing
<li>POST /purge: purge pages, by url, key, prefix, match or tag, with soft=1 for stale only
<li><a href="/debug/pprof/">/debug/pprof/</a>: profiles
</ul>`)
}
