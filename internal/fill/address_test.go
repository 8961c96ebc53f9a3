package fill

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pagegate/internal/metrics"
	"pagegate/internal/origin"
)

func TestConceal(t *testing.T) {
	for _, tt := range []struct{ own, scheme, name, value, want string }{
		{"http://127.0.0.1:9000", "http", "Location", "http://127.0.0.1:9000/x?y#z", "/x?y#z"},
		{"http://127.0.0.1:9000", "http", "Location", "http://127.0.0.1:9000", "/"},
		{"http://127.0.0.1:9000", "http", "Location", "http://127.0.0.1:9000?y", "/?y"},
		{"http://127.0.0.1:9000", "http", "Location", "http://127.0.0.1:9000#z", "/#z"},
		{"http://127.0.0.1:9000", "http", "Content-Location", "http://127.0.0.1:9000/x", "/x"},
		{"http://127.0.0.1:9000", "http", "Link", "<http://127.0.0.1:9000/x>; rel=next", "<http://127.0.0.1:9000/x>; rel=next"},
		{"http://app:9000", "http", "Location", "HTTP://App:9000/X", "/X"},
		{"http://[::1]:9000", "http", "Location", "http://[::1]:9000/x", "/x"},
		// The port that a scheme has anyway need not be named.
		{"http://app", "http", "Location", "http://app:80/x", "/x"},
		{"https://app:443", "https", "Location", "https://app/x", "/x"},
		{"http://app", "http", "Location", "http://app:/x", "/x"},
		// The backend is told the visitors' scheme, and so may name itself by that one.
		{"http://app:9000", "https", "Location", "https://app:9000/x", "/x"},
		{"http://app:9000", "https", "Location", "http://app:9000/x", "/x"},
		{"http://app", "http", "Location", "https://app/x", "https://app/x"}, // it sends them to TLS
		// Others are left alone.
		{"http://app:9000", "http", "Location", "http://app/x", "http://app/x"},
		{"http://app:9000", "http", "Location", "http://app:90001/x", "http://app:90001/x"},
		{"http://app:9000", "http", "Location", "http://app:9000@evil.example/x", "http://app:9000@evil.example/x"},
		{"http://app:9000", "http", "Location", "http://app:9000\\@evil.example/x", "http://app:9000\\@evil.example/x"},
		{"http://app:9000", "http", "Location", "ftp://app:9000/x", "ftp://app:9000/x"},
		{"http://app:9000", "http", "Location", "//app:9000/x", "//app:9000/x"},
		{"http://app:9000", "http", "Location", "/x?to=http://app:9000/y", "/x?to=http://app:9000/y"},
		{"http://app:9000", "http", "Location", "x", "x"},
		{"http://app:9000", "http", "Location", "", ""},
		{"", "http", "Location", "http://app:9000/x", "http://app:9000/x"},
		// What would name a host without the address before it.
		{"http://app:9000", "http", "Location", "http://app:9000//evil.example/x", "/.//evil.example/x"},
		{"http://app:9000", "http", "Location", "http://app:9000/\\evil.example/x", "/./\\evil.example/x"},
		{"http://app:9000", "http", "Location", "http://app:9000/\t/evil.example/x", "/./\t/evil.example/x"},
		{"http://app:9000", "http", "Refresh", "5; url=http://app:9000/x", "5; url=/x"},
		{"http://app:9000", "http", "Refresh", "0;URL='http://app:9000/x'", "0;URL='/x'"},
		{"http://app:9000", "http", "Refresh", `0; Url="http://app:9000/x"`, `0; Url="/x"`},
		{"http://app:9000", "http", "Refresh", "0; url=/x?url=http://app:9000/y", "0; url=/x?url=http://app:9000/y"},
		{"http://app:9000", "http", "Refresh", "5; url=", "5; url="},
		{"http://app:9000", "http", "Refresh", "5", "5"},
		{"http://app:9000", "http", "Refresh", "", ""},
	} {
		a := newAddress(tt.own, tt.scheme)
		h := http.Header{tt.name: {"first", tt.value}}
		if a.conceal(h); h[tt.name][1] != tt.want || h[tt.name][0] != "first" {
			t.Errorf("%s, %s: %q gives %q, want %q", tt.own, tt.name, tt.value, h[tt.name], tt.want)
		}
	}
}

// Whatever follows the address, what is left of the reference stays on the visitor's host.
func TestConcealedPlacesAreLocal(t *testing.T) {
	a := newAddress("http://app:9000", "http")
	base := &url.URL{Scheme: "http", Host: "visitor.example", Path: "/a/b"}
	rapid.Check(t, func(t *rapid.T) {
		rest := rapid.StringOf(rapid.SampledFrom([]rune("/\\.?#@:\t ab%2f"))).Draw(t, "rest")
		place := a.place("http://app:9000/" + rest)
		asBrowsersRead := strings.NewReplacer("\\", "/", "\t", "").Replace(place)
		if !strings.HasPrefix(asBrowsersRead, "/") || strings.HasPrefix(asBrowsersRead, "//") {
			t.Fatalf("%q", place)
		}
		if u, err := base.Parse(place); err == nil && u.Host != base.Host {
			t.Fatalf("%q is on %s", place, u.Host)
		}
	})
}

// Fills and passes, kept or not, name no address of the backend's; and what a POST names by it has changed.
func TestBackendsAddressIsConcealed(t *testing.T) {
	b := &backend{answer: func(_ int64, r *origin.Request) (*origin.Response, error) {
		if r.Method == "POST" {
			return response(303, "", "Location", "http://127.0.0.1:9000/a"), nil
		}
		return response(301, "", "Location", "http://127.0.0.1:9000/b", "Cache-Control", "max-age=60"), nil
	}}
	cache := newEmbedded(t, 4<<20)
	f := newFiller(t, b, cache, func(o *Options) { o.Backend = "http://127.0.0.1:9000" })
	pass := get()
	pass.Share = false
	for _, r := range []*Request{get(), get(), pass} {
		a, err := f.Serve(t.Context(), r)
		read(t, a, err)
		if to := a.Header.Get("Location"); to != "/b" {
			t.Errorf("%s: Location: %s", a.Outcome, to)
		}
		await(t, "the page", func() bool { return lies(t, cache, "/a?") })
	}
	post := get()
	post.Method, post.Share = "POST", false
	post.Target, post.Key = "/other", []byte("/other?")
	post.KeyOf = func(target string) []byte { return []byte(target + "?") }
	a, err := f.Serve(t.Context(), post)
	if read(t, a, err); a.Outcome != metrics.Pass || a.Header.Get("Location") != "/a" || lies(t, cache, "/a?") {
		t.Errorf("%s, Location: %s", a.Outcome, a.Header.Get("Location"))
	}
}
