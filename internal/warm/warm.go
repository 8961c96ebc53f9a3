// Package warm asks for the pages of a site before its visitors do, so that these find them in the cache: the pages that a
// sitemap or a list names, one after the other at a bounded rate, each within a bounded time. What became of each page is
// told by the answer's Cache-Status (RFC 9211). It asks as a visitor without cookies would, and only the hosts that it was
// sent to: a sitemap cannot send it elsewhere.
package warm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// userAgent is what the requests call themselves.
const userAgent = "pagegate-warm"

// Options say whom to ask and how hard. The zero value of a bound is no bound, but for Concurrency.
type Options struct {
	// Sites are the addresses of the site, http://host or https://host: only pages of these hosts are asked for. Targets
	// without a host (/path) are the first one's.
	Sites []*url.URL
	// Connect is where to connect whatever host a URL names: host:port or unix:/path, by plain HTTP; "" for the URL's own.
	Connect string
	// Rate is how many requests begin in a second; Concurrency how many are under way at once, at least 1.
	Rate        float64
	Concurrency int
	// Timeout bounds each request, from its beginning to the last byte of the answer.
	Timeout time.Duration
	// Max is how many URLs there may be.
	Max int
	// Header holds fields that all requests carry.
	Header http.Header
}

// Warmer asks for pages. Close ends its connections.
type Warmer struct {
	o      Options
	client *http.Client
}

// New makes a Warmer.
func New(o Options) *Warmer {
	o.Concurrency = max(o.Concurrency, 1)
	// Bodies come as they are kept: what is asked for is the page, not one of its codings.
	t := &http.Transport{MaxIdleConnsPerHost: o.Concurrency, DisableCompression: true}
	if o.Connect != "" {
		network, addr := "tcp", o.Connect
		if path, ok := strings.CutPrefix(addr, "unix:"); ok {
			network, addr = "unix", path
		}
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	}
	w := &Warmer{o: o}
	w.client = &http.Client{Transport: t, Timeout: o.Timeout, CheckRedirect: w.mayFollow}
	return w
}

// Close ends the idle connections.
func (w *Warmer) Close() { w.client.CloseIdleConnections() }

// Run asks for each page and tells what became of them. done is called after each, by one goroutine at a time. When ctx
// ends, Run stops, and what was not asked for is left out of the result.
func (w *Warmer) Run(ctx context.Context, pages []*url.URL, done func()) *Result {
	limit := rate.Inf
	if w.o.Rate > 0 {
		limit = rate.Limit(w.o.Rate)
	}
	pace := rate.NewLimiter(limit, 1)
	result := newResult()
	var mu sync.Mutex
	var workers sync.WaitGroup
	next := make(chan *url.URL)
	for range min(w.o.Concurrency, len(pages)) {
		workers.Go(func() {
			for u := range next {
				o := w.page(ctx, u)
				mu.Lock()
				if ctx.Err() == nil {
					result.add(u, o)
					done()
				}
				mu.Unlock()
			}
		})
	}
	for _, u := range pages {
		if pace.Wait(ctx) != nil {
			break
		}
		next <- u
	}
	close(next)
	workers.Wait()
	return result
}

// page asks for one page and reads it to its end.
func (w *Warmer) page(ctx context.Context, u *url.URL) outcome {
	resp, err := w.get(ctx, u)
	if err != nil {
		return failure(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return failure(err)
	}
	return outcomeOf(resp)
}

// followRedirects marks the requests whose redirects are followed: a page's redirect is an answer like any other.
type followRedirects struct{}

// maxRedirects bounds the redirects on the way to a sitemap.
const maxRedirects = 5

var errElsewhere = errors.New("it is elsewhere")

func (w *Warmer) mayFollow(r *http.Request, via []*http.Request) error {
	switch {
	case r.Context().Value(followRedirects{}) == nil:
		return http.ErrUseLastResponse
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case !w.ours(r.URL):
		return fmt.Errorf("%w: it redirects to %s, which is not the site's", errElsewhere, r.URL.Host)
	}
	w.redirect(r)
	return nil
}

// get sends one request.
func (w *Warmer) get(ctx context.Context, u *url.URL) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", userAgent)
	for name, values := range w.o.Header {
		r.Header[name] = values
	}
	w.redirect(r)
	return w.client.Do(r)
}

// redirect leads a request to where all go, if there is such a place.
func (w *Warmer) redirect(r *http.Request) {
	if w.o.Connect != "" {
		r.URL.Scheme = "http"
	}
}

// ours tells whether a URL is of the site.
func (w *Warmer) ours(u *url.URL) bool {
	for _, site := range w.o.Sites {
		if hostOf(u) == hostOf(site) {
			return true
		}
	}
	return false
}

// hostOf is a URL's host as it is compared: in lower case, without a port that its scheme has anyway. A page is the same by
// http and by https.
func hostOf(u *url.URL) string {
	host := strings.ToLower(u.Host)
	switch u.Port() {
	case "80", "443":
		host = strings.TrimSuffix(host, ":"+u.Port())
	}
	return host
}
