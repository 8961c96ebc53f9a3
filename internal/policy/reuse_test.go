package policy

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"pagegate/internal/page"
)

// stored is a page that is 10 s old, fresh for 20 s more, and usable for longer.
func stored(change func(*page.Page)) *page.Page {
	p := &page.Page{
		Status: 200, StoredAt: now.Add(-10 * time.Second), FreshUntil: now.Add(20 * time.Second),
		RefreshUntil: now.Add(30 * time.Second), StaleUntil: now.Add(time.Hour),
	}
	if change != nil {
		change(p)
	}
	return p
}

func TestReuse(t *testing.T) {
	gone := func(p *page.Page) { p.FreshUntil = now.Add(-5 * time.Second) }
	expired := func(p *page.Page) { gone(p); p.RefreshUntil = p.FreshUntil }
	forbidden := func(p *page.Page) { gone(p); p.NoStale = true }
	immutable := func(p *page.Page) { p.Immutable = true }
	tests := []struct {
		name   string
		page   func(*page.Page)
		asks   string
		want   Verdict
		silent Verdict // where clients are not obeyed
	}{
		{"fresh", nil, "", Use, Use},
		{"RFC 9111 5.2.1.1: young enough", nil, "max-age=10", Use, Use},
		{"RFC 9111 5.2.1.1: too old", nil, "max-age=9", Ask, Use},
		{"RFC 9111 5.2.1.1: a reload", nil, "max-age=0", Ask, Use},
		{"RFC 9111 5.2.1.1: what cannot be read asks for the newest", nil, "max-age=x", Ask, Use},
		{"RFC 9111 5.2.1.3: fresh for long enough", nil, "min-fresh=20", Use, Use},
		{"RFC 9111 5.2.1.3: not fresh for long enough", nil, "min-fresh=21", Ask, Use},
		{"RFC 9111 5.2.1.4: no-cache", nil, "no-cache", Ask, Use},
		{"RFC 8246 2: a reload of what does not change", immutable, "max-age=0", Use, Use},
		{"RFC 8246 2: who insists gets it", immutable, "no-cache", Ask, Use},
		{"RFC 5861 3: stale while it is fetched anew", gone, "", Refresh, Refresh},
		{"RFC 5861 3: not for one who wants it young", gone, "max-age=100", Ask, Refresh},
		{"RFC 9111 4.2.4: stale", expired, "", Ask, Ask},
		{"RFC 9111 4.2.4: forbidden", forbidden, "max-stale", Ask, Ask},
		{"RFC 9111 5.2.1.2: max-stale", expired, "max-stale", UseOld, Ask},
		{"RFC 9111 5.2.1.2: within it", expired, "max-stale=5", UseOld, Ask},
		{"RFC 9111 5.2.1.2: beyond it", expired, "max-stale=4", Ask, Ask},
		{"RFC 9111 5.2.3: unknown directives", nil, `x="no-cache, max-age=0"`, Use, Use},
		{"a mark is no page", func(p *page.Page) { p.Variants = 7 }, "", Ask, Ask},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := ParseWishes(tt.asks, "")
			if got := (&Policy{ClientControl: true}).Reuse(now, stored(tt.page), &w); got != tt.want {
				t.Errorf("verdict %d, want %d", got, tt.want)
			}
			if got := (&Policy{}).Reuse(now, stored(tt.page), &w); got != tt.silent {
				t.Errorf("without client control: verdict %d, want %d", got, tt.silent)
			}
		})
	}
}

func TestPragma(t *testing.T) {
	if w := ParseWishes("", "No-Cache"); !w.NoCache {
		t.Error("RFC 9111 5.4: Pragma alone is no-cache")
	}
	if w := ParseWishes("max-age=5", "no-cache"); w.NoCache {
		t.Error("RFC 9111 5.4: Pragma beside Cache-Control is nothing")
	}
}

func TestStaleOnFailure(t *testing.T) {
	old := func(p *page.Page) { p.FreshUntil = now.Add(-5 * time.Second) }
	tests := []struct {
		name string
		page func(*page.Page)
		asks string
		want bool
	}{
		{"within the window", old, "", true},
		{"RFC 5861 4: beyond it", func(p *page.Page) { old(p); p.StaleUntil = now }, "", false},
		{"RFC 9111 4.2.4: forbidden", func(p *page.Page) { old(p); p.NoStale = true; p.StaleUntil = p.FreshUntil }, "stale-if-error=60", false},
		{"RFC 5861 4: the request allows less", old, "stale-if-error=4", false},
		{"RFC 5861 4: the request allows it", func(p *page.Page) { old(p); p.StaleUntil = p.FreshUntil }, "stale-if-error=5", true},
		{"fresh, but refused by the request", nil, "no-cache", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := ParseWishes(tt.asks, "")
			if got := (&Policy{ClientControl: true}).StaleOnFailure(now, stored(tt.page), &w); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
	if (&Policy{}).StaleOnFailure(now, &page.Page{}, &Wishes{}) {
		t.Error("a page that is not there was usable")
	}
}

// A page is refreshed early only near its end, and then surely.
func TestEarly(t *testing.T) {
	count := func(left, took time.Duration) (n int) {
		p := stored(func(p *page.Page) { p.FreshUntil, p.Took = now.Add(left), took })
		for range 1000 {
			if Early(now, p) {
				n++
			}
		}
		return n
	}
	if n := count(time.Minute, time.Second); n != 0 {
		t.Errorf("%d of 1000 requests refreshed a page that has a minute left", n)
	}
	if n := count(time.Second, time.Second); n < 300 || n > 440 { // 1/e is 368
		t.Errorf("%d of 1000 requests refreshed a page that has just its own time left", n)
	}
	if n := count(0, time.Second); n != 1000 {
		t.Errorf("%d of 1000 requests refreshed a page at its end", n)
	}
	if n := count(time.Second, 0); n != 0 {
		t.Errorf("%d of 1000 requests refreshed a page of unknown cost", n)
	}
}

func TestVaryNames(t *testing.T) {
	names, ok := VaryNames(header("Vary", "user-agent, Accept-Encoding,,accept-language", "Vary", "User-Agent, cookie"), nil)
	if want := []string{"Accept-Language", "User-Agent"}; !ok || !slices.Equal(names, want) {
		t.Errorf("%q, %v; want %q", names, ok, want)
	}
	for _, v := range []string{"*", "a, *", "*, *", ", *", "a b"} {
		if _, ok := VaryNames(header("Vary", v), nil); ok {
			t.Errorf("%q names fields", v)
		}
	}
}

// RFC 9111, section 3.2.
func TestFreshened(t *testing.T) {
	old := &page.Page{Header: page.AppendHeader(nil, header("Etag", `"1"`, "X-Kept", "1", "X-New", "1", "Date", at(-time.Hour),
		"Content-Encoding", "gzip", "Cache-Control", "max-age=1"))}
	got := Freshened(old, header("X-New", "2", "X-New", "3", "Cache-Control", "max-age=9", "Content-Encoding", "br",
		"Content-Length", "0", "Set-Cookie", "sid=1", "Date", at(0)))
	want := map[string][]string{"Etag": {`"1"`}, "X-Kept": {"1"}, "X-New": {"2", "3"}, "Date": {at(0)},
		"Content-Encoding": {"gzip"}, "Cache-Control": {"max-age=9"}}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}
	for name, values := range want {
		if !slices.Equal(got[name], values) {
			t.Errorf("%s: %q, want %q", name, got[name], values)
		}
	}
}

func TestConfirms(t *testing.T) {
	pg := &page.Page{Status: 200, Header: page.AppendHeader(nil, header("Etag", `W/"1"`, "Last-Modified", at(-time.Hour))), Body: []byte("four")}
	for etag, want := range map[string]bool{"": true, `W/"1"`: true, `"1"`: true, `"2"`: false} {
		if got := Confirms(header("Etag", etag), pg); got != want {
			t.Errorf("RFC 9111 4.3.4: 304 with %s: %v", etag, got)
		}
	}
	for _, tt := range []struct {
		h      http.Header
		length int64
		want   bool
	}{
		{header(), -1, true}, {header(), 4, true}, {header(), 5, false}, {header("Etag", `W/"1"`), 4, true},
		{header("Etag", `W/"2"`), 4, false}, {header("Last-Modified", at(0)), 4, false},
	} {
		if got := HeadConfirms(tt.h, tt.length, pg); got != tt.want {
			t.Errorf("RFC 9111 4.3.5: HEAD with %v and length %d: %v", tt.h, tt.length, got)
		}
	}
}

// With all fields, a fill carries what a backend may vary by, and nothing that is personal or known to poison.
func TestFillHeaderWithAllFields(t *testing.T) {
	in := header("Cookie", "a=1", "Authorization", "x", "X-Forwarded-Host", "evil", "X-Forwarded-Scheme", "evil",
		"X-Original-Url", "/admin", "X-Rewrite-Url", "/admin", "X-Http-Method-Override", "POST", "X-Host", "evil",
		"Forwarded", "host=evil", "Range", "bytes=0-1", "If-None-Match", `"x"`, "Foo", "1", "Accept-Language", "de",
		"Accept-Encoding", "br")
	out := (&Policy{AllFields: true}).FillHeader(in, "http", []string{"Foo", "Absent"}, "")
	want := header("Accept", "*/*", "Accept-Encoding", "identity", "User-Agent", FillUserAgent, "Via", Via, "X-Forwarded-Proto", "http",
		"Foo", "1", "Accept-Language", "de")
	for name := range out {
		if out.Get(name) != want.Get(name) {
			t.Errorf("%s: %q, want %q", name, out.Get(name), want.Get(name))
		}
	}
	if len(out) != len(want) {
		t.Errorf("got %v", out)
	}
}

func FuzzWishes(f *testing.F) {
	for _, s := range []string{"", "no-cache", "max-age=0, min-fresh=x", "max-stale", `a="b`, "max-age =1"} {
		f.Add(s)
	}
	pg := stored(nil)
	p := &Policy{ClientControl: true}
	f.Fuzz(func(t *testing.T, s string) {
		w := ParseWishes(s, "")
		p.Reuse(now, pg, &w)
		p.StaleOnFailure(now, pg, &w)
	})
}

func FuzzTargeted(f *testing.F) {
	for _, s := range []string{"max-age=5", "no-store", `private="a"`, "max-age=-1", "a=(1 2)", "&&&", "max-age=?1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if c, ok := parseTargeted([]string{s}); ok && (c.maxAge < 0 || c.maxAge > maxDelta) {
			t.Errorf("out of bounds: %+v", c)
		}
	})
}
