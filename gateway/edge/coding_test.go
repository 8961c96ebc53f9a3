package edge

import (
	"compress/gzip"
	"crypto/rand"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"pagegate/internal/fill"
	"pagegate/internal/origin"
	"pagegate/internal/page"
	"pagegate/internal/realproc"
)

// decoded undoes a content coding.
func decoded(t *testing.T, coding, body string) string {
	t.Helper()
	var r io.Reader = strings.NewReader(body)
	var err error
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "br":
		r = brotli.NewReader(r)
	case "zstd":
		r, err = zstd.NewReader(r)
	}
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", coding, err)
	}
	return string(all)
}

// A page of text is kept in each coding and given in the one that the client likes best.
func TestCodings(t *testing.T) {
	text := strings.Repeat("<p>many pages are alike</p>\n", 200)
	random := make([]byte, 2000)
	_, _ = rand.Read(random)
	s := &site{pages: map[string]func(*origin.Request) (*origin.Response, error){
		"/text":   fixed(200, html, text, "Etag", `"1"`),
		"/short":  fixed(200, html, "short"),
		"/image":  fixed(200, "image/png", text, "Cache-Control", "max-age=60"),
		"/sealed": fixed(200, html, text, "Cache-Control", "max-age=60, no-transform"),
		"/random": fixed(200, html, string(random)),
	}}
	e := newEdge(t, s, func(o *fill.Options) { o.Codings = []page.Coding{page.Brotli, page.Zstd, page.Gzip} })
	c := serve(t, e)()
	// The first answer tells caches behind this one that others may differ; the first hit that takes a coding is given the
	// plain body and has the page coded.
	if a := ask(t, c, request("GET", "/text", "Accept-Encoding", "gzip")); a.header.Get("Vary") != "Accept-Encoding" || a.body != text {
		t.Errorf("the first answer: %v", a.header)
	}
	if a := hit(t, c, request("GET", "/text")); a.header.Get("Vary") != "Accept-Encoding" || a.header.Get("Etag") != `"1"` {
		t.Errorf("a plain hit: %v", a.header)
	}
	realproc.WaitFor(t, 10*time.Second, "the coding", func() bool {
		a := hit(t, c, request("GET", "/text", "Accept-Encoding", "gzip"))
		if plain := decoded(t, a.header.Get("Content-Encoding"), a.body); plain != text || a.header.Get("Vary") != "Accept-Encoding" {
			t.Fatalf("%v, %d bytes", a.header, len(plain))
		}
		return a.header.Get("Content-Encoding") == "gzip"
	})
	for accept, want := range map[string]string{
		"": "", "identity": "", "gzip": "gzip", "x-gzip": "gzip", "br": "br", "zstd": "zstd", "gzip, deflate, br, zstd": "br",
		"gzip, zstd": "zstd", "gzip;q=1, br;q=0.5": "gzip", "br;q=0, *": "zstd", "*": "br", "*;q=0": "", "deflate": "",
		"identity;q=1, gzip;q=0.5": "", "identity;q=0.5, gzip": "gzip", "GZIP;Q=0.1": "gzip", "gzip;q=0.000": "", "gzip;q=0.001": "gzip",
	} {
		a := hit(t, c, request("GET", "/text", "Accept-Encoding", accept))
		if got := a.header.Get("Content-Encoding"); got != want || decoded(t, got, a.body) != text {
			t.Errorf("%q: Content-Encoding %q, want %q; %d bytes", accept, got, want, len(a.body))
		}
		if a.header.Get("Vary") != "Accept-Encoding" || want != "" && len(a.body) > len(text)/10 {
			t.Errorf("%q: Vary %q, %d bytes", accept, a.header.Get("Vary"), len(a.body))
		}
		if etag := a.header.Get("Etag"); (etag == `"1"`) != (want == "") {
			t.Errorf("%q: the entity tag of a coded body is %s", accept, etag)
		}
	}
	if a := hit(t, c, request("GET", "/text", "Accept-Encoding", "gzip", "If-None-Match", `W/"1"`)); a.status != 304 {
		t.Errorf("a condition on a coded page: %+v", a)
	}
	if a := hit(t, c, request("GET", "/text", "Accept-Encoding", "gzip", "Range", "bytes=0-2")); a.status != 206 || a.body != "<p>" || a.header.Get("Content-Encoding") != "" {
		t.Errorf("a range of a page with codings: %+v", a)
	}
	if a := hit(t, c, request("HEAD", "/text", "Accept-Encoding", "gzip")); a.header.Get("Content-Encoding") != "gzip" || a.body != "" {
		t.Errorf("a HEAD: %+v", a)
	}
	// Texts that would not gain are alike but for the body; what is no text, or must not be transformed, is left alone.
	for target, vary := range map[string]string{"/short": "Accept-Encoding", "/random": "Accept-Encoding", "/image": "", "/sealed": ""} {
		for range 20 {
			if a := hit(t, c, request("GET", target, "Accept-Encoding", "gzip, br")); a.header.Get("Content-Encoding") != "" || a.header.Get("Vary") != vary {
				t.Errorf("%s: %v", target, a.header)
			}
		}
	}
}
