package door

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"pagegate/internal/fill"
	"pagegate/internal/metrics"
	"pagegate/internal/page"
	"pagegate/internal/pagekey"
	"pagegate/internal/policy"
)

func TestAcceptsGzip(t *testing.T) {
	for value, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "x-gzip": true, "br, gzip": true, "gzip;q=0": false, "gzip; q=0.000": false,
		"gzip;q=0.001": true, "*": true, "*;q=0": false, "gzip;q=0, *": false, "*, gzip;q=0": false, "identity": false, "gzipped": false,
	} {
		if got := acceptsGzip(value); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

func FuzzConditions(f *testing.F) {
	f.Add(`"a", W/"b"`, `"b"`)
	f.Add(`"`, `"`)
	f.Add(`*`, `""`)
	f.Fuzz(func(t *testing.T, list, etag string) {
		matches(list, etag)
		acceptsGzip(list)
		if etag == `"tag"` && !matches(`"x", `+etag, etag) {
			t.Error("a tag of the list is not found")
		}
	})
}

func TestCacheStatus(t *testing.T) {
	now := time.Unix(1000, 0)
	for want, a := range map[string]*fill.Answer{
		"pagegate; hit; ttl=7": {Outcome: metrics.Hit, Page: &page.Page{FreshUntil: now.Add(7 * time.Second)}},
		"pagegate; hit":        {Outcome: metrics.Hit, Page: &page.Page{BodyOnly: true}},
		"pagegate; hit; ttl=-5; detail=backend-failed":              {Outcome: metrics.Stale, Page: &page.Page{FreshUntil: now.Add(-5 * time.Second)}},
		"pagegate; fwd=uri-miss; fwd-status=200; stored":            {Outcome: metrics.Miss, Status: 200, Stored: true},
		"pagegate; fwd=uri-miss; fwd-status=200; collapsed; stored": {Outcome: metrics.Collapsed, Status: 200, Stored: true},
		"pagegate; fwd=uri-miss; fwd-status=200; detail=set-cookie": {Outcome: metrics.Miss, Status: 200, Reason: policy.ReasonSetCookie},
		"pagegate; fwd=bypass; fwd-status=200; detail=cookie":       {Outcome: metrics.Pass, Status: 200, Reason: policy.ReasonCookie},
		"pagegate; fwd=method; fwd-status=201; detail=method":       {Outcome: metrics.Pass, Status: 201, Reason: policy.ReasonMethod},
	} {
		if got := cacheStatus(a, now); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// A visit is read from the request as it came.
func TestEnter(t *testing.T) {
	key, err := pagekey.Parse("$host$uri?$args")
	if err != nil {
		t.Fatal(err)
	}
	d := &Door{Key: key, Policy: &policy.Policy{}, Metrics: metrics.New()}
	for _, tt := range []struct {
		target, host            string
		key, uri, send, forHost string
	}{
		{"/a%20b//c?x=%20", "H.example:80", "h.example/a b/c?x=%20", "/a b/c", "/a%20b//c?x=%20", "H.example:80"},
		{"http://Other.example:8080/x/../y#f", "h.example", "other.example/y?", "/y", "/x/../y", "Other.example:8080"},
		{"http://other.example?q", "h.example", "other.example/?q", "/", "/?q", "other.example"},
	} {
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetRequestURI(tt.target)
		ctx.Request.Header.SetHost(tt.host)
		var v Visit
		if !d.Enter(&ctx, &v) {
			t.Errorf("%s: refused: %s", tt.target, ctx.Response.Body())
			continue
		}
		if string(v.Key) != tt.key || string(v.URI) != tt.uri || string(v.Target) != tt.send || string(v.Host) != tt.forHost || !v.Share {
			t.Errorf("%s: key %q, uri %q, target %q, host %q", tt.target, v.Key, v.URI, v.Target, v.Host)
		}
	}
}

func TestURLKey(t *testing.T) {
	key, err := pagekey.Parse("$host$uri?$args")
	if err != nil {
		t.Fatal(err)
	}
	d := &Door{Key: key}
	for text, want := range map[string]string{
		"http://h.example/a%20b?x=%20":    "h.example/a b?x=%20",
		"https://u:p@H.example:8443/a//b": "h.example/a/b?",
		"http://h.example":                "h.example/?",
		"http://h.example?x":              "h.example/?x",
		"//h.example/x":                   "h.example/x?",
	} {
		if got, err := d.URLKey(text); got != want || err != nil {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "a", "mailto:x", "http://h/%"} {
		if got, err := d.URLKey(text); err == nil {
			t.Errorf("%s has the key %q", text, got)
		}
	}
}

func TestPurgeRule(t *testing.T) {
	r := PurgeRule{Allow: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, Token: "secret"}
	inside, outside := &net.TCPAddr{IP: net.ParseIP("10.1.2.3")}, &net.TCPAddr{IP: net.ParseIP("192.0.2.1")}
	for _, tt := range []struct {
		addr  net.Addr
		token string
		want  bool
	}{{inside, "", true}, {outside, "", false}, {outside, "secre", false}, {outside, "secret", true}, {&net.UnixAddr{}, "", false}} {
		if got := r.allows(tt.addr, []byte(tt.token)); got != tt.want {
			t.Errorf("%v with token %q: %v", tt.addr, tt.token, got)
		}
	}
	if none := (&PurgeRule{}); none.allows(inside, nil) || none.offered() {
		t.Error("an empty token opens the door")
	}
}
