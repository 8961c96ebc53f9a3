package e2e

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// plainOf undoes gzip where the answer has it.
func plainOf(t *testing.T, a answer) string {
	t.Helper()
	if a.header.Get("Content-Encoding") != "gzip" {
		return a.body
	}
	r, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// One gzip body of a page serves nginx, with and without clients that take it, and a gateway on the same cache server.
func TestGzipBodyForNginx(t *testing.T) {
	for _, which := range []string{"cacheserver", "memcached"} {
		t.Run(which, func(t *testing.T) {
			cache, _ := startCache(t, which)
			long := strings.Repeat("<p>many pages are alike</p>\n", 600)
			b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				w.Header().Set("Etag", `"1"`)
				if r.URL.Path == "/short" {
					fmt.Fprint(w, "short")
					return
				}
				fmt.Fprint(w, long)
			})
			config := filepath.Join(t.TempDir(), "filler.yaml")
			if err := os.WriteFile(config, []byte("nginx: {gzip: true}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			filler, _ := startFiller(t, b.URL, cache, "--config", config)
			nginx := startNginx(t, cache, filler)
			gateway, _ := startGateway(t, b.URL, "--cache", cache)
			fetchNginxHit(t, nginx, "/long")
			fetchNginxHit(t, nginx, "/short")
			asked := b.total.Load()
			for _, at := range []string{nginx, gateway, filler} {
				for _, accept := range []string{"", "gzip", "br", "gzip;q=0"} {
					a := fetch(t, at, "/long", "Accept-Encoding", accept)
					coded := a.header.Get("Content-Encoding") == "gzip"
					if plainOf(t, a) != long || coded != (accept == "gzip") || coded && len(a.body) > len(long)/10 || !strings.Contains(a.header.Get("Vary"), "Accept-Encoding") {
						t.Errorf("%s, %q: %v, %d bytes", at, accept, a.header, len(a.body))
					}
					if etag := a.header.Get("Etag"); etag != "" && !strings.HasPrefix(etag, "W/") {
						t.Errorf("%s, %q: the entity tag %s is not these bytes'", at, accept, etag)
					}
				}
				if a := fetch(t, at, "/short", "Accept-Encoding", "gzip"); a.body != "short" || a.header.Get("Content-Encoding") != "" {
					t.Errorf("%s: a short page: %v", at, a.header)
				}
			}
			if a := fetch(t, gateway, "/long", "If-None-Match", `"1"`); a.status != http.StatusNotModified {
				t.Errorf("a condition: %d", a.status)
			}
			if a := fetch(t, gateway, "/long", "Accept-Encoding", "gzip", "Range", "bytes=0-2"); a.status != http.StatusOK {
				t.Errorf("a range: %d", a.status)
			}
			if n := b.total.Load(); n != asked {
				t.Errorf("the backend was asked %d times more", n-asked)
			}
		})
	}
}
