package fill

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"pagegate/internal/metrics"
	"pagegate/internal/origin"
)

// Invalidate removes the page of a key with all its variants. A fill that is under way is not stored.
func (f *Filler) Invalidate(key []byte) error {
	primary := string(key)
	// First the flights, then the cache: a page that was stored before its flight was doomed is deleted here, and one
	// that is stored afterwards is deleted by its writer (store.go).
	f.flights.doom(func(fl *flight) bool { return fl.primary == primary })
	err := f.o.Cache.Delete(context.Background(), key)
	if err != nil {
		f.o.Metrics.CacheError(metrics.OpDelete)
	}
	return err
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
			if err := f.Invalidate(key); err != nil {
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
