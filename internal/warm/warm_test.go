package warm

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// collect reads a source and returns the targets in it, or the error.
func collect(t testing.TB, source []byte, most int) (pages *Pages, err error) {
	t.Helper()
	w := New(Options{Sites: []*url.URL{{Scheme: "https", Host: "www.example.com"}}, Max: most})
	defer w.Close()
	return w.Collect(t.Context(), []string{"-"}, bytes.NewReader(source))
}

func TestSources(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("/packed\n"))
	z.Close()
	for _, tt := range []struct{ source, want string }{
		{"", ""},
		{"\n\n# only a comment\n", ""},
		{"/a\r\n/b?x=1#top\n\n  /a  \nhttps://www.example.com/a", "https://www.example.com/a https://www.example.com/b?x=1"},
		{"\xef\xbb\xbf/bom", "https://www.example.com/bom"},
		{"http://www.example.com/plain", "http://www.example.com/plain"},
		{packed.String(), "https://www.example.com/packed"},
		{"<urlset><url><loc>https://www.example.com/ä</loc></url></urlset>", "https://www.example.com/%C3%A4"},
		{"\n <?xml version='1.0'?><urlset><url><loc><![CDATA[/a?b&c]]></loc></url></urlset>", "https://www.example.com/a?b&c"},
		{"<urlset><loc>/not-in-a-url</loc><url><x><loc>/deeper</loc></x></url></urlset>", ""},
		{"https://user:secret@www.example.com/a", "https://www.example.com/a"},
		{"no-target", "broken: no-target: it is no http URL"},
		{"<urlset><url><loc>javascript:1</loc></url></urlset>", "broken: javascript:1: it is no http URL"},
		{"//evil.example/a\nhttps://www.example.com.evil.example/\nhttps://www.example.com:8443/a", "broken: //evil.example/a: it is no http URL foreign: 2"},
		{"<rss></rss>", "error: -: <rss> is no sitemap: want <urlset> or <sitemapindex>, or a list with one URL a line"},
		{"<urlset><url><loc>/a</url></urlset>", "error: -: XML syntax error on line 1: element <loc> closed by </url>"},
		{"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><urlset><url><loc>/&a;</loc></url></urlset>", "error: -: XML syntax error on line 1: invalid character entity &a;"},
		{strings.Repeat("<urlset>", 40), "error: -: its elements are nested too deep"},
		{"/a\n/b\n/c\n/d\n/e\n/f", "error: -: too many pages: raise --max, or warm a part of them"},
		{"\x1f\x8bno gzip", "error: -: unexpected EOF"},
	} {
		var got []string
		pages, err := collect(t, []byte(tt.source), 5)
		if err != nil {
			got = append(got, "error: "+err.Error())
		} else {
			for _, u := range pages.URLs {
				got = append(got, u.String())
			}
			for _, f := range pages.Broken {
				got = append(got, "broken: "+f.URL+": "+f.Why)
			}
			if pages.Foreign > 0 {
				got = append(got, fmt.Sprintf("foreign: %d", pages.Foreign))
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%q:\n%s\nwant %s", tt.source, strings.Join(got, " "), tt.want)
		}
	}
}

// serves is a client's transport that answers by itself.
type serves func(*http.Request) (*http.Response, error)

func (s serves) RoundTrip(r *http.Request) (*http.Response, error) { return s(r) }

// The first request begins at once, and each further one when its turn has come.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := New(Options{Rate: 20, Concurrency: 2})
		begun := time.Now()
		var mu sync.Mutex
		var times []time.Duration
		w.client.Transport = serves(func(*http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			times = append(times, time.Since(begun))
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
		})
		pages := make([]*url.URL, 4)
		for i := range pages {
			pages[i] = &url.URL{Scheme: "http", Host: "www.example.com", Path: fmt.Sprint("/", i)}
		}
		if r := w.Run(t.Context(), pages, func() {}); r.Pages() != len(pages) {
			t.Errorf("%v", r)
		}
		if want := []time.Duration{0, 50 * time.Millisecond, 100 * time.Millisecond, 150 * time.Millisecond}; !slices.Equal(times, want) {
			t.Errorf("they began at %v, want %v", times, want)
		}
	})
}

// What unpacks to more than a sitemap may have is given up, wherever it comes from.
func TestABombIsNotUnpacked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bomb.gz")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	z, _ := gzip.NewWriterLevel(f, gzip.BestSpeed)
	line := append(bytes.Repeat([]byte("#"), 32<<10), '\n')
	for range maxSource >> 15 {
		_, _ = z.Write(line)
	}
	z.Close()
	f.Close()
	w := New(Options{Sites: []*url.URL{{Scheme: "https", Host: "www.example.com"}}})
	defer w.Close()
	if _, err := w.Collect(t.Context(), []string{file}, nil); err == nil || !strings.Contains(err.Error(), "longer than 50 MiB") {
		t.Errorf("%v", err)
	}
}

func TestCacheStatus(t *testing.T) {
	for _, tt := range []struct {
		lines string
		fate  fate
		why   string
	}{
		{"pagegate; hit; ttl=3", hit, ""},
		{"nginx; hit", hit, ""},
		{"pagegate; fwd=uri-miss; fwd-status=200; stored", stored, ""},
		{"pagegate; fwd=uri-miss; fwd-status=200; collapsed; stored", stored, ""},
		{"pagegate; fwd=uri-miss; fwd-status=200; detail=set-cookie", notStored, "set-cookie"},
		{"pagegate; fwd=bypass; fwd-status=200", notStored, "bypass"},
		{"origin; fwd=miss, pagegate; hit=?0; detail=private", notStored, "private"},
		{"", notStored, "no Cache-Status tells: is it pagegate that answers?"},
		{"pagegate; =", notStored, "no Cache-Status tells: is it pagegate that answers?"},
	} {
		var lines []string
		if tt.lines != "" {
			lines = append(lines, tt.lines)
		}
		if got := cacheStatus(lines); got != (outcome{tt.fate, tt.why}) {
			t.Errorf("%q: %v", tt.lines, got)
		}
	}
}

// Whatever a source holds, only pages of the site come out.
func FuzzSources(f *testing.F) {
	f.Add([]byte("/a\nhttps://www.example.com/b\n//c/d"))
	f.Add([]byte("<sitemapindex><sitemap><loc>https://other.example/</loc></sitemap></sitemapindex>"))
	f.Add([]byte("<urlset><url><loc>https://www.example.com/?a&amp;b</loc></url></urlset>"))
	f.Fuzz(func(t *testing.T, source []byte) {
		if bytes.Contains(bytes.ToLower(source), []byte("sitemapindex")) {
			return // it would be fetched
		}
		pages, err := collect(t, source, 1000)
		if err != nil {
			return
		}
		for _, u := range pages.URLs {
			again, err := url.Parse(u.String())
			if err != nil || again.Host != "www.example.com" || again.User != nil || !strings.HasPrefix(again.Scheme, "http") {
				t.Errorf("%q gave %q", source, u)
			}
		}
	})
}
