package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// A purge at one door reaches every process that shares the cache: the pages go from nginx's place too, and what another
// process has been fetching since before the purge is not stored.
func TestPurgeReachesEveryDoor(t *testing.T) {
	for _, which := range []string{"cacheserver", "memcached"} {
		t.Run(which, func(t *testing.T) {
			var version atomic.Int64
			hold, release := context.WithCancel(t.Context())
			defer release()
			b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
				v := version.Load()
				if strings.HasPrefix(r.URL.Path, "/slow") {
					<-hold.Done()
				}
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				w.Header().Set("Cache-Control", "max-age=600")
				w.Header().Set("Surrogate-Key", "site "+strings.Trim(r.URL.Path, "/"))
				fmt.Fprintf(w, "<p>version %d", v)
			})
			cache, _ := startCache(t, which)
			admin := fmt.Sprintf("127.0.0.1:%d", realproc.FreePort(t))
			filler, _ := startFiller(t, b.URL, cache)
			gateway, _ := startGateway(t, b.URL, "--cache", cache, "--admin", admin)
			nginx := startNginx(t, cache, filler)

			slow := make(chan answer, 1)
			go func() { slow <- fetch(t, nginx, "/slow") }()
			for _, flags := range [][]string{
				{"--url", "/a", "--url", "/b"}, {"--prefix", "/"}, {"--match", "*"}, {"--tag", "site"}, {"--prefix", "/", "--soft"},
			} {
				v := fmt.Sprintf("<p>version %d", version.Load())
				for _, page := range []string{"/a", "/b"} {
					if a := fetchNginxHit(t, nginx, page); a.body != v || a.header.Get("Surrogate-Key") != "" {
						t.Fatalf("before the purge: %+v", a)
					}
				}
				version.Add(1)
				code, out := runToEnd(t, "gateway", append([]string{"purge", "--admin", admin}, flags...)...)
				if code != 0 || out != "2 pages purged\n" {
					t.Fatalf("%v: exit %d: %s", flags, code, out)
				}
				v = fmt.Sprintf("<p>version %d", version.Load())
				for _, door := range []string{nginx, gateway} {
					for _, page := range []string{"/a", "/b"} {
						if a := fetch(t, door, page); a.body != v {
							t.Errorf("%v: %s of %s is %q, want %q", flags, page, door, a.body, v)
						}
					}
				}
			}
			release()
			if a := <-slow; a.body != "<p>version 0" {
				t.Errorf("who waited got %+v", a)
			}
			v := fmt.Sprintf("<p>version %d", version.Load())
			// Another process's purge does not turn away those who wait for a fetch that began before it.
			realproc.WaitFor(t, 5*time.Second, "the old fetch to be over", func() bool { return fetch(t, nginx, "/slow").body == v })
			for range 20 {
				if a := fetch(t, nginx, "/slow"); a.body != v {
					t.Fatalf("a page came back after its purge: %+v", a)
				}
				time.Sleep(10 * time.Millisecond)
			}
		})
	}
}

// PURGE is for those who may.
func TestPurgeMethod(t *testing.T) {
	var version atomic.Int64
	b := newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<p>version %d", version.Add(1))
	})
	file := t.TempDir() + "/gateway.yaml"
	if err := os.WriteFile(file, []byte("purge:\n  token: secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	gateway, _ := startGateway(t, b.URL, "--config", file)
	before := fetchHit(t, gateway, "/a?x").body
	purge := func(fields string) string {
		return raw(t, gateway, "PURGE /a?x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"+fields+"\r\n", 5*time.Second)
	}
	if got := purge(""); !strings.HasPrefix(got, "HTTP/1.1 403") {
		t.Errorf("without a token: %s", got)
	}
	if got := purge("X-Purge-Token: secre\r\n"); !strings.HasPrefix(got, "HTTP/1.1 403") {
		t.Errorf("with another token: %s", got)
	}
	if a := fetch(t, gateway, "/a?x"); a.body != before {
		t.Errorf("a refused purge took the page: %+v", a)
	}
	if got := purge("X-Purge-Token: secret\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200") || !strings.Contains(got, "purged: 1") {
		t.Errorf("with the token: %s", got)
	}
	if a := fetch(t, gateway, "/a?x"); a.body == before {
		t.Errorf("the page is still there: %+v", a)
	}
}

// The programs tell what they have of a page, and why they have nothing.
func TestExplain(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch r.URL.Path {
		case "/cookie":
			w.Header().Set("Set-Cookie", "sid=1")
		case "/vary":
			w.Header().Set("Vary", "Accept-Language")
		}
		fmt.Fprint(w, "page")
	})
	admin := fmt.Sprintf("127.0.0.1:%d", realproc.FreePort(t))
	gateway, _ := startGateway(t, b.URL, "--admin", admin)
	for target, want := range map[string][]string{
		"/a?x":    {`key       "/a?x"`, "this process's own store", "status 200, 4 bytes", "fresh     for", "Content-Type: text/html"},
		"/cookie": {"stored    nothing", "not storable: set-cookie"},
		"/vary":   {"variants by Accept-Language"},
		"/never":  {"stored    nothing"},
	} {
		if target != "/never" {
			fetch(t, gateway, target)
		}
		var out string
		realproc.WaitFor(t, 5*time.Second, "what is known of "+target, func() bool {
			var code int
			if code, out = runToEnd(t, "gateway", "explain", "--admin", admin, target); code != 0 {
				t.Fatalf("exit %d: %s", code, out)
			}
			for _, w := range want {
				if !strings.Contains(out, w) {
					return false
				}
			}
			return true
		})
	}
	if code, out := runToEnd(t, "gateway", "explain", "--admin", admin, "no url"); code != 1 || !strings.Contains(out, "want a URL") {
		t.Errorf("exit %d: %s", code, out)
	}
}
