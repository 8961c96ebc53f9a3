package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// With a stale window in the cache server nobody waits for an expired page's refresh at an unmodified nginx but the one
// visitor in each interval who causes it, and a backend that is gone costs freshness only.
func TestStaleWindowBehindNginx(t *testing.T) {
	const slow = 300 * time.Millisecond
	var version atomic.Int64
	b := newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(slow) // the site's database
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "max-age=2")
		fmt.Fprintf(w, "<p>version %d", version.Add(1))
	})
	port := fmt.Sprint(realproc.FreePort(t))
	cache := "127.0.0.1:" + port
	program(t, "cacheserver", cache, "-p", port, "-l", "127.0.0.1", "-o", "page_keys,stale_window=600,stale_retry=2")
	filler, _ := startFiller(t, b.URL, cache)
	nginx := startNginx(t, cache, filler)
	fetchNginxHit(t, nginx, "/page")
	before := version.Load()

	var waited atomic.Int64
	var visitors sync.WaitGroup
	end := time.Now().Add(6 * time.Second)
	for range 40 {
		visitors.Go(func() {
			for time.Now().Before(end) {
				a, err := tryFetch(nginx, "/page")
				if err != nil || a.status != 200 || !strings.HasPrefix(a.body, "<p>version ") {
					t.Errorf("%v: %+v", err, a)
					return
				}
				if a.header.Get("Cache-Status") != "nginx; hit" {
					waited.Add(1) // at the filler
				}
				time.Sleep(10 * time.Millisecond) // a visitor reads before he asks again
			}
		})
	}
	visitors.Wait()
	fetches := version.Load() - before
	t.Logf("%d fetches, %d visitors waited", fetches, waited.Load())
	if fetches < 1 || fetches > 6 {
		t.Errorf("%d fetches in six seconds of a page that is fresh for two", fetches)
	}
	if waited.Load() > 2*fetches {
		t.Errorf("%d visitors waited for %d fetches", waited.Load(), fetches)
	}

	b.Close()
	end = time.Now().Add(5 * time.Second)
	for time.Now().Before(end) {
		if a := fetch(t, nginx, "/page"); a.status != 200 || !strings.HasPrefix(a.body, "<p>version ") {
			t.Fatalf("with the backend gone: %+v", a)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
