package fill

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"pagegate/internal/metrics"
	"pagegate/internal/origin"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/purge"
)

// Purge removes the pages that a rule matches, or makes them stale, and tells how many. What a fill brings that began
// before is given to those who wait for it and not stored, in whatever process it runs.
func (f *Filler) Purge(ctx context.Context, r purge.Rule) (int, error) {
	if err := r.Check(); err != nil {
		return 0, err
	}
	// First the notes, then the cache: a page that was stored before is taken away here, and who stores one afterwards
	// sees the notes (store.go).
	f.purges.Add(r, f.o.Now())
	f.flights.forget(func(fl *flight) bool { return !r.ByKey() || r.MatchesKey([]byte(fl.primary)) })
	if fence, ok := f.o.Cache.(pagecache.Fence); ok {
		if err := fence.NotePurge(ctx, r); err != nil {
			f.o.Metrics.CacheError(metrics.OpDelete)
			return 0, err
		}
	}
	purger, ok := f.o.Cache.(pagecache.Purger)
	if !ok {
		return 0, errors.New("fill: this cache cannot be purged")
	}
	n, err := purger.Purge(ctx, r)
	f.o.Metrics.Purged.Add(float64(n))
	if err != nil {
		f.o.Metrics.CacheError(metrics.OpDelete)
	}
	return n, err
}

// since is what a flight notes when it begins, to find the purges that were made meanwhile.
type since struct {
	own, shared uint64
	unknown     bool // the shared notes could not be read
}

// beginning returns the purges so far.
func (f *Filler) beginning(ctx context.Context, key string) (s since) {
	s.own = f.purges.Entries().Last()
	if fence, ok := f.o.Cache.(pagecache.Fence); ok {
		entries, err := fence.Purges(ctx, []byte(key))
		s.shared, s.unknown = entries.Last(), err != nil
	}
	return s
}

// notes returns what reads the purges that other processes have noted where a page key is kept; nil where there are none.
func (f *Filler) notes(primary string) func() (purge.Entries, error) {
	fence, ok := f.o.Cache.(pagecache.Fence)
	if !ok {
		return nil
	}
	return func() (purge.Entries, error) { return fence.Purges(context.Background(), []byte(primary)) }
}

// purgedSince tells whether a page was purged since its flight began. Where that cannot be known it counts as purged.
func (f *Filler) purgedSince(s since, primary string, p *page.Page, notes func() (purge.Entries, error)) bool {
	hit := func(r purge.Rule) bool { return r.MatchesPage([]byte(primary), p) }
	if f.purges.Entries().Since(s.own, hit) {
		return true
	}
	if notes == nil {
		return false
	}
	entries, err := notes()
	return err != nil || s.unknown || entries.Since(s.shared, hit)
}

// invalidate removes what a pass with an unsafe method may have changed: the page of its target, and those that the
// response names in Location and Content-Location (RFC 9111, section 4.4).
func (f *Filler) invalidate(r *Request, resp *origin.Response) {
	if safe(r.Method) || r.KeyOf == nil || resp.Status < 200 || resp.Status >= 400 {
		return
	}
	targets := []string{r.Target}
	for _, name := range []string{"Location", "Content-Location"} {
		if t, ok := sameSite(r, resp.Header.Get(name)); ok {
			targets = append(targets, t)
		}
	}
	for _, t := range targets {
		if key := r.KeyOf(t); key != nil {
			if _, err := f.Purge(context.Background(), purge.Rule{Kind: purge.Key, Value: string(key)}); err != nil {
				f.o.Log.Warn().Err(err).Str("target", t).Msg("page not invalidated after " + r.Method)
			}
		}
	}
}

// sameSite resolves a reference against the request's target and returns the target that it names, if that is on the
// same host: a response may not take other sites' pages away.
func sameSite(r *Request, reference string) (target string, ok bool) {
	if reference == "" {
		return "", false
	}
	base, err := url.Parse(r.Target)
	if err != nil {
		return "", false
	}
	ref, err := url.Parse(reference)
	if err != nil || ref.Host != "" && !strings.EqualFold(ref.Host, r.Host) {
		return "", false
	}
	u := base.ResolveReference(ref)
	if u.Opaque != "" || !strings.HasPrefix(u.Path, "/") {
		return "", false
	}
	return u.RequestURI(), true
}

// safe lists the methods that change nothing (RFC 9110, section 9.2.1; WebDAV's; RFC 10008).
func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, "PROPFIND", "REPORT", "SEARCH", "QUERY":
		return true
	}
	return false
}

// drop deletes what is stored under a key of the cache.
func (f *Filler) drop(key string) {
	if err := f.o.Cache.Delete(context.Background(), []byte(key)); err != nil {
		f.o.Metrics.CacheError(metrics.OpDelete)
	}
}
