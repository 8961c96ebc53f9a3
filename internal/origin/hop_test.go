package origin

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestStripHopByHop(t *testing.T) {
	for name, c := range map[string]struct{ in, want http.Header }{
		"nothing": {nil, nil},
		"end to end": {http.Header{"X-A": {"1"}, "Cache-Control": {"private"}}, http.Header{"X-A": {"1"},
			"Cache-Control": {"private"}}},
		"the standing ones": {http.Header{"Connection": {"close"}, "Keep-Alive": {"x"}, "Te": {"trailers"},
			"Transfer-Encoding": {"gzip"}, "Upgrade": {"h2c"}}, http.Header{}},
		"of proxies": {http.Header{"Proxy-Connection": {"x"}, "Proxy-Authorization": {"x"},
			"Proxy-Authenticate": {"x"}, "Proxy": {"http://x"}}, http.Header{}},
		"named": {http.Header{"Connection": {"X-A ,\tx-b", ",,X-C"}, "X-A": {"1"}, "X-B": {"1"}, "X-C": {"1"},
			"X-D": {"1"}}, http.Header{"X-D": {"1"}}},
		"in another case": {http.Header{"connection": {"x-a"}, "X-A": {"1"}, "tE": {"x"}}, http.Header{}},
		"named against the rule": {
			http.Header{"Connection": {"Set-Cookie, Cache-Control, cookie, X-Forwarded-For, Content-Type, If-None-Match, Vary"}, "Set-Cookie": {"a"}, "Cache-Control": {"private"},
				"Cookie": {"a"}, "X-Forwarded-For": {"a"}, "Content-Type": {"a"}, "If-None-Match": {"a"}, "Vary": {"a"}},
			http.Header{"Set-Cookie": {"a"}, "Cache-Control": {"private"}, "Cookie": {"a"}, "X-Forwarded-For": {"a"},
				"Content-Type": {"a"}, "If-None-Match": {"a"}, "Vary": {"a"}},
		},
		"no field names": {http.Header{"Connection": {"", " ", "a b, \x00", "close;x"}, "X-A": {"1"}}, http.Header{"X-A": {"1"}}},
	} {
		StripHopByHop(c.in)
		if diff := cmp.Diff(c.want, c.in); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestStripHopByHopProperty: what is left is what was there, less exactly what has to go; and nothing more goes the
// second time.
func TestStripHopByHopProperty(t *testing.T) {
	names := []string{"Connection", "Te", "Upgrade", "Proxy-X", "X-A", "X-B", "Cookie", "Set-Cookie", "Content-Type", "Keep-Alive"}
	rapid.Check(t, func(t *rapid.T) {
		before := http.Header{}
		for _, name := range rapid.SliceOf(rapid.SampledFrom(names)).Draw(t, "fields") {
			before.Add(name, strings.Join(rapid.SliceOf(rapid.SampledFrom(names)).Draw(t, "value"),
				rapid.SampledFrom([]string{",", ", ", " ,"}).Draw(t, "comma")))
		}
		after := before.Clone()
		StripHopByHop(after)
		for _, name := range names {
			named := false
			for option := range strings.SplitSeq(strings.Join(before["Connection"], ","), ",") {
				named = named || strings.TrimSpace(option) == name
			}
			goes := hopByHop(name) || named && !endToEnd(name)
			want := before[name]
			if goes {
				want = nil
			}
			if diff := cmp.Diff(want, after[name]); diff != "" {
				t.Fatalf("%s of %v: %s", name, before, diff)
			}
		}
		again := after.Clone()
		StripHopByHop(again)
		if diff := cmp.Diff(after, again); diff != "" {
			t.Fatal(diff)
		}
	})
}
