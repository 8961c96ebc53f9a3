package policy

import (
	"net/http"
	"testing"
	"time"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// header makes a response's fields from lines "Name: value".
func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func html(pairs ...string) http.Header {
	return header(append([]string{"Content-Type", "text/html; charset=utf-8"}, pairs...)...)
}

func at(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }

func testPolicy() *Policy {
	return &Policy{
		TTL: time.Minute, Stale: time.Hour, MaxBody: 1000,
		Nginx: NginxView{DefaultType: "text/html; charset=utf-8", Types: map[string]string{"css": "text/css", "json": "application/json"}},
	}
}

func TestStored(t *testing.T) {
	const s = time.Second
	tests := []struct {
		name  string
		x     Exchange
		fresh time.Duration
		stale time.Duration // past the freshness
		age   time.Duration
	}{
		{"the operator's TTL for plain HTML", Exchange{Header: html()}, 60 * s, time.Hour, 0},
		{"the TTL counts from the Date", Exchange{Header: html("Date", at(-10*s))}, 50 * s, time.Hour, 10 * s},
		{"RFC 9111 4.2.1: s-maxage before max-age", Exchange{Header: html("Cache-Control", "max-age=5, s-maxage=9")}, 9 * s, 0, 0},
		{"RFC 9111 4.2.1: max-age before Expires", Exchange{Header: html("Cache-Control", "max-age=5", "Expires", at(9*s))}, 5 * s, time.Hour, 0},
		{"RFC 9111 5.3: Expires less Date", Exchange{Header: html("Expires", at(9*s), "Date", at(0))}, 9 * s, time.Hour, 0},
		{"RFC 9111 5.2: names have no case, several lines join", Exchange{Header: html("Cache-Control", "PUBLIC", "Cache-Control", "Max-Age=7")}, 7 * s, time.Hour, 0},
		{"RFC 9111 5.2: a quoted argument", Exchange{Header: html("Cache-Control", `max-age="7"`)}, 7 * s, time.Hour, 0},
		{"RFC 9111 5.2.3: unknown directives", Exchange{Header: html("Cache-Control", `x="no-store, private", max-age=7`)}, 7 * s, time.Hour, 0},
		{"RFC 9111 1.2.2: too large a number is 2^31", Exchange{Header: html("Cache-Control", "max-age=99999999999999999999")}, maxDelta, time.Hour, 0},
		{"RFC 9111 4.2.3: Age and delay", Exchange{Header: html("Cache-Control", "max-age=60", "Age", "10"), Delay: 2 * s}, 48 * s, time.Hour, 12 * s},
		{"RFC 9111 4.2.2: heuristic", Exchange{Header: header("Content-Type", "image/png", "Last-Modified", at(-1000*s))}, 100 * s, time.Hour, 0},
		{"RFC 9111 4.2.2: heuristic has a bound", Exchange{Header: header("Content-Type", "image/png", "Last-Modified", at(-1000*time.Hour))}, time.Hour, time.Hour, 0},
		{"RFC 5861 4: stale-if-error", Exchange{Header: html("Cache-Control", "max-age=5, stale-if-error=7")}, 5 * s, 7 * s, 0},
		{"RFC 9111 5.2.2.2: must-revalidate is never stale", Exchange{Header: html("Cache-Control", "max-age=5, must-revalidate")}, 5 * s, 0, 0},
		{"RFC 9111 4.1: what fills normalise may vary", Exchange{Header: html("Vary", "accept-encoding, Cookie")}, 60 * s, time.Hour, 0},
		{"RFC 9111 5.2.2.7 with fields: the rest may be kept", Exchange{Header: html("Cache-Control", `max-age=5, private="x-a, x-b"`)}, 5 * s, time.Hour, 0},
		{"RFC 9111 5.2.2.7: a cookie that is told apart", Exchange{Header: html("Set-Cookie", "a=1", "Cache-Control", `max-age=5, private="set-cookie"`)}, 5 * s, time.Hour, 0},
		{"RFC 9111 5.2.2.4 with fields: the rest may be kept", Exchange{Header: html("Cache-Control", `max-age=5, no-cache=x-a`)}, 5 * s, time.Hour, 0},
		{"RFC 9111 5.2.2.4: kept to be validated", Exchange{Header: html("Cache-Control", "max-age=5, no-cache", "Etag", `"1"`)}, 0, 0, 0},
		{"RFC 9111 5.2.2.3: a status understood", Exchange{Status: 302, Header: html("Cache-Control", "max-age=5, must-understand, no-store")}, 5 * s, time.Hour, 0},
		{"RFC 9111 3: any final status with freshness", Exchange{Status: 299, Header: html("Cache-Control", "max-age=5")}, 5 * s, time.Hour, 0},
		{"RFC 9111 3: a failure with freshness", Exchange{Status: 503, Header: html("Cache-Control", "max-age=5")}, 5 * s, time.Hour, 0},
		{"RFC 9111 4.2.2: public allows heuristics", Exchange{Status: 599, Header: html("Cache-Control", "public", "Last-Modified", at(-100*s))}, 10 * s, time.Hour, 0},
		{"RFC 9111 4.1: other fields make variants", Exchange{Header: html("Vary", "Accept-Language")}, 60 * s, time.Hour, 0},
		{"RFC 9213: before Cache-Control and Expires", Exchange{Header: html("Cache-Control", "no-store", "Expires", "0", "Cdn-Cache-Control", "max-age=9")}, 9 * s, time.Hour, 0},
		{"RFC 9213: an extension", Exchange{Header: html("Cdn-Cache-Control", "foo;bar, max-age=9, x=1.5")}, 9 * s, time.Hour, 0},
		{"RFC 9213: names have a case", Exchange{Header: html("Cache-Control", "max-age=5", "Cdn-Cache-Control", "Max-Age=9")}, 5 * s, time.Hour, 0},
		{"RFC 9111 5.1: of several ages the first", Exchange{Header: html("Cache-Control", "max-age=60", "Age", "10, 50")}, 50 * s, time.Hour, 10 * s},
		{"RFC 9111 5.1: an age that is none", Exchange{Header: html("Cache-Control", "max-age=60", "Age", "-7")}, 60 * s, time.Hour, 0},
		{"stale on arrival with a validator", Exchange{Header: html("Cache-Control", "max-age=0", "Last-Modified", at(-100*s))}, 0, time.Hour, 0},
		{"RFC 9110 15.1: a 404 with freshness", Exchange{Status: 404, Header: html("Cache-Control", "max-age=5")}, 5 * s, time.Hour, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.x.Status == 0 {
				tt.x.Status = 200
			}
			d := testPolicy().Response(now, &tt.x)
			if !d.Store {
				t.Fatalf("not stored: %s", d.Reason)
			}
			if got := d.FreshUntil.Sub(now); got != tt.fresh {
				t.Errorf("fresh for %v, want %v", got, tt.fresh)
			}
			if got := d.StaleUntil.Sub(d.FreshUntil); got != tt.stale {
				t.Errorf("stale for %v, want %v", got, tt.stale)
			}
			if d.InitialAge != tt.age {
				t.Errorf("age %v, want %v", d.InitialAge, tt.age)
			}
		})
	}
}

func TestNotStored(t *testing.T) {
	tests := []struct {
		name string
		x    Exchange
		why  Reason
	}{
		{"RFC 9111 5.2.2.5", Exchange{Header: html("Cache-Control", "no-store, max-age=5")}, ReasonNoStore},
		{"RFC 9111 5.2.2.7", Exchange{Header: html("Cache-Control", "private")}, ReasonPrivate},
		{"RFC 9111 5.2.2.7 with what cannot be names", Exchange{Header: html("Cache-Control", `max-age=5, private="x a"`)}, ReasonPrivate},
		{"RFC 9111 5.2.2.7 without a name", Exchange{Header: html("Cache-Control", `max-age=5, private=""`)}, ReasonPrivate},
		{"RFC 9111 5.2.2.3: a status not understood", Exchange{Status: 299, Header: html("Cache-Control", "max-age=5, must-understand, no-store")}, ReasonNoStore},
		{"RFC 9111 5.2.2.3: nor without no-store", Exchange{Status: 299, Header: html("Cache-Control", "max-age=5, must-understand")}, ReasonStatus},
		{"RFC 9213: CDN-Cache-Control is above the others", Exchange{Header: html("Cache-Control", "max-age=5", "Expires", at(9*time.Second), "Cdn-Cache-Control", "no-store")}, ReasonNoStore},
		{"RFC 9213: it confines", Exchange{Header: html("Cache-Control", "max-age=5", "Cdn-Cache-Control", "private")}, ReasonPrivate},
		{"RFC 9213: an empty lifetime", Exchange{Header: html("Cache-Control", "max-age=5", "Cdn-Cache-Control", "max-age=0")}, ReasonExpired},
		{"RFC 9213: no lifetime, and no other counts", Exchange{Header: html("Cache-Control", "max-age=5", "Cdn-Cache-Control", "public")}, ReasonNoFreshness},
		{"RFC 9213 2.1: not valid, so not there", Exchange{Header: html("Cache-Control", "no-store", "Cdn-Cache-Control", "max-age=5, &&&")}, ReasonNoStore},
		{"RFC 9213 2.1: of the wrong type, so not there", Exchange{Header: html("Cache-Control", "no-store", "Cdn-Cache-Control", `max-age="5"`)}, ReasonNoStore},
		{"RFC 9111 5.2.2.4", Exchange{Header: html("Cache-Control", "no-cache")}, ReasonNoCache},
		{"RFC 9111 5.4: Pragma stands for it", Exchange{Header: html("Pragma", "no-cache")}, ReasonNoCache},
		{"a cookie is somebody's", Exchange{Header: html("Set-Cookie", "sid=1", "Cache-Control", "public, max-age=5")}, ReasonSetCookie},
		{"RFC 9110 12.5.5: a name that is none", Exchange{Header: html("Vary", "Accept Language")}, ReasonVary},
		{"RFC 9111 4.1: Vary *", Exchange{Header: html("Vary", "*")}, ReasonVary},
		{"RFC 9111 4.1: one of several", Exchange{Header: html("Vary", "Accept-Encoding", "Vary", "*, User-Agent")}, ReasonVary},
		{"a coding nobody asked for", Exchange{Header: html("Content-Encoding", "br", "Vary", "Accept-Encoding")}, ReasonEncoding},
		{"two codings", Exchange{Header: html("Content-Encoding", "gzip, gzip", "Vary", "Foo, accept-encoding")}, ReasonEncoding},
		{"a redirect without freshness", Exchange{Status: 302, Header: html("Location", "/")}, ReasonStatus},
		{"part of a page", Exchange{Status: 206, Header: html("Cache-Control", "max-age=5")}, ReasonStatus},
		{"a failure", Exchange{Status: 500, Header: html()}, ReasonStatus},
		{"HTML, but not found", Exchange{Status: 404, Header: html()}, ReasonNoFreshness},
		{"no HTML, no freshness", Exchange{Header: header("Content-Type", "application/json")}, ReasonNoFreshness},
		{"no type", Exchange{Header: header()}, ReasonNoFreshness},
		{"two types", Exchange{Header: html("Content-Type", "text/html")}, ReasonNoFreshness},
		{"RFC 9111 4.2.1: an invalid max-age", Exchange{Header: html("Cache-Control", "max-age=1.5")}, ReasonInvalid},
		{"RFC 9111 4.2.1: two that differ", Exchange{Header: html("Cache-Control", "max-age=5, max-age=6")}, ReasonInvalid},
		{"RFC 9111 5.2.2.1: none at all", Exchange{Header: html("Cache-Control", "max-age")}, ReasonInvalid},
		{"RFC 9111 5.3: Expires 0", Exchange{Header: html("Expires", "0")}, ReasonExpired},
		{"RFC 9111 5.3: Expires of the past", Exchange{Header: html("Expires", at(-time.Second))}, ReasonExpired},
		{"max-age=0", Exchange{Header: html("Cache-Control", "max-age=0")}, ReasonExpired},
		{"RFC 9111 5.2: white space before the equals sign", Exchange{Header: html("Cache-Control", "max-age =5")}, ReasonInvalid},
		{"RFC 9111 5.2: white space after it", Exchange{Header: html("Cache-Control", "max-age= 5")}, ReasonInvalid},
		{"RFC 9111 5.2: single quotes are no quotes", Exchange{Header: html("Cache-Control", "max-age='5'")}, ReasonInvalid},
		{"RFC 9110 5.6.7: a date but for its zone", Exchange{Header: html("Expires", "Thu, 18 Aug 2050 02:01:18 UTC")}, ReasonExpired},
		{"RFC 9110 5.6.7: a date but for its hour", Exchange{Header: html("Expires", "Thu, 18 Aug 2050 2:01:18 GMT")}, ReasonExpired},
		{"RFC 9110 5.6.7: a date but for its comma", Exchange{Header: html("Expires", "Thu 18 Aug 2050 02:01:18 GMT")}, ReasonExpired},
		{"as old as it may get", Exchange{Header: html("Cache-Control", "max-age=60", "Age", "60")}, ReasonExpired},
		{"too large", Exchange{Header: html(), BodyLen: 1001}, ReasonTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.x.Status == 0 {
				tt.x.Status = 200
			}
			if d := testPolicy().Response(now, &tt.x); d.Store || d.Reason != tt.why {
				t.Errorf("store %v, reason %q; want %q", d.Store, d.Reason, tt.why)
			}
		})
	}
}

func TestPureRFCModeStoresNoSilentHTML(t *testing.T) {
	p := testPolicy()
	p.TTL = 0
	if d := p.Response(now, &Exchange{Status: 200, Header: html()}); d.Reason != ReasonNoFreshness {
		t.Errorf("reason %q", d.Reason)
	}
}

func TestNginxReadable(t *testing.T) {
	tests := []struct {
		name string
		x    Exchange
		why  Reason
	}{
		{"plain HTML", Exchange{URI: "/a", Header: html()}, ReasonNone},
		{"the charset's case is nothing", Exchange{URI: "/a", Header: header("Content-Type", "text/HTML;charset=UTF-8")}, ReasonNone},
		{"no charset where nginx says one", Exchange{URI: "/a", Header: header("Content-Type", "text/html")}, ReasonNginxType},
		{"the type by extension", Exchange{URI: "/a.css", Header: header("Content-Type", "text/css", "Cache-Control", "max-age=5")}, ReasonNone},
		{"HTML under a style sheet's name", Exchange{URI: "/account/x.css", Header: html()}, ReasonNginxType},
		{"JSON without the extension", Exchange{URI: "/api", Header: header("Content-Type", "application/json", "Cache-Control", "max-age=5")}, ReasonNginxType},
		{"nginx says 200 always", Exchange{URI: "/a", Status: 404, Header: html("Cache-Control", "max-age=5")}, ReasonNginxStatus},
		{"a redirect", Exchange{URI: "/a", Status: 301, Header: html("Location", "/b", "Cache-Control", "max-age=5")}, ReasonNginxStatus},
		{"a security field", Exchange{URI: "/a", Header: html("Content-Security-Policy", "default-src 'self'")}, ReasonNginxField},
		{"a download's name", Exchange{URI: "/a", Header: html("Content-Disposition", "attachment")}, ReasonNginxField},
		{"an unknown field", Exchange{URI: "/a", Header: html("X-Whatever", "1")}, ReasonNginxField},
		{"a field that nginx adds", Exchange{URI: "/a", Header: html("X-Frame-Options", "DENY")}, ReasonNone},
		{"the same with another value", Exchange{URI: "/a", Header: html("X-Frame-Options", "SAMEORIGIN")}, ReasonNginxField},
		{"a coding that nginx cannot name", Exchange{URI: "/a", Header: html("Content-Encoding", "br")}, ReasonNginxField},
		{"fields nobody misses", Exchange{URI: "/a", Header: html("Server", "x", "Etag", `"1"`, "X-Powered-By", "PHP/8", "Date", at(0))}, ReasonNone},
		{"must-revalidate", Exchange{URI: "/a", Header: html("Cache-Control", "max-age=5, must-revalidate")}, ReasonNginxField},
		{"a type that is kept out", Exchange{URI: "/a.json", Header: header("Content-Type", "application/json", "Cache-Control", "max-age=5")}, ReasonNginxOnly},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.x.Status == 0 {
				tt.x.Status = 200
			}
			p := testPolicy()
			p.Nginx.Adds = map[string]string{"X-Frame-Options": "DENY"}
			p.Nginx.Only = []string{"text/html", "text/css"}
			d := p.Response(now, &tt.x)
			if !d.Store {
				t.Fatalf("not stored: %s", d.Reason)
			}
			if d.NginxReadable != (tt.why == ReasonNone) || d.NginxReason != tt.why {
				t.Errorf("readable %v, reason %q; want %q", d.NginxReadable, d.NginxReason, tt.why)
			}
		})
	}
}

func TestFillHeaderCarriesNothingOfTheClient(t *testing.T) {
	in := header("Cookie", "a=1", "Authorization", "x", "X-Forwarded-Host", "evil", "Accept-Language", "de", "User-Agent", "u",
		"X-Original-Url", "/admin", "Range", "bytes=0-1", "If-None-Match", `"x"`, "X-Request-Id", "7", "X-Theme", "dark")
	out := new(Policy).FillHeader(in, "https", []string{"X-Theme"}, "")
	want := header("Accept", "*/*", "Accept-Encoding", "identity", "User-Agent", FillUserAgent, "Via", Via, "X-Forwarded-Proto", "https",
		"X-Request-Id", "7", "X-Theme", "dark")
	if len(out) != len(want) {
		t.Errorf("got %v", out)
	}
	for name := range want {
		if out.Get(name) != want.Get(name) {
			t.Errorf("%s: %q, want %q", name, out.Get(name), want.Get(name))
		}
	}
}

func FuzzCacheControl(f *testing.F) {
	for _, s := range []string{"", "max-age=5", `private="a,b", max-age=1`, `x="\"`, ",,=,", "max-age==5", "no-store;x", `"no-store"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := parseCacheControl(s)
		if c.maxAge < 0 || c.maxAge > maxDelta || c.sMaxAge < 0 || c.sMaxAge > maxDelta {
			t.Errorf("out of bounds: %+v", c)
		}
		if c := parseCacheControl(s + ", no-store"); !c.has(ccNoStore) && !openQuote(s) {
			t.Errorf("%q hides a directive that follows it", s)
		}
	})
}

// openQuote tells whether s ends inside a quoted string, which swallows what follows.
func openQuote(s string) bool {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++
		}
	}
	return quoted
}
