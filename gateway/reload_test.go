package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// reload has the gateway read another configuration, and waits until its log says so.
func (g *running) reload(config, backend, said string) {
	g.t.Helper()
	before := strings.Count(g.log.String(), said)
	g.configure(config, backend)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		g.t.Fatal(err)
	}
	realproc.WaitFor(g.t, 10*time.Second, said, func() bool { return strings.Count(g.log.String(), said) > before })
}

// SIGHUP makes a changed configuration hold: no request is dropped, the store keeps its pages, requests under way end as
// they began. One that is not valid changes nothing and is named in the log.
func TestReload(t *testing.T) {
	slow := make(chan struct{})
	page := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprintf(w, "%s of %s, ", r.URL.Path, name)
			if r.URL.Path == "/slow" {
				w.(http.Flusher).Flush()
				<-slow
			}
			fmt.Fprint(w, "the end")
		}
	}
	g := runGateway(t, "", page("the first"))
	second := httptest.NewServer(page("the second"))
	defer second.Close()
	if !g.hits("/kept") {
		t.Fatal("not kept")
	}
	under := make(chan string, 1)
	resp, err := noKeepAlive.Get("http://" + g.addr + "/slow")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer resp.Body.Close()
		var b strings.Builder
		buf := make([]byte, 100)
		for {
			n, err := resp.Body.Read(buf)
			b.Write(buf[:n])
			if err != nil {
				under <- fmt.Sprintf("%s%v", b.String(), err)
				return
			}
		}
	}()

	// Visitors who come without a pause.
	var failed, asked atomic.Int64
	stop := make(chan struct{})
	var visitors sync.WaitGroup
	for i := range 4 {
		visitors.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := client.Get(fmt.Sprintf("http://%s/busy/%d/%d", g.addr, i, n%7))
				if err == nil {
					resp.Body.Close()
				}
				if asked.Add(1); err != nil || resp.StatusCode != http.StatusOK {
					failed.Add(1)
				}
			}
		})
	}
	realproc.WaitFor(t, 10*time.Second, "visitors", func() bool { return asked.Load() > 50 })
	g.reload("rules: [{path: /private/*, bypass: true}]\ndebug_token: secret\n", second.URL, "the configuration was reloaded")
	for range 3 {
		g.reload("rules: [{path: /private/*, bypass: true}]\ndebug_token: secret\n", second.URL, "the configuration was reloaded")
	}
	before := asked.Load()
	realproc.WaitFor(t, 10*time.Second, "visitors", func() bool { return asked.Load() > before+50 })
	close(stop)
	visitors.Wait()
	if n := failed.Load(); n != 0 {
		t.Errorf("%d of %d requests failed", n, asked.Load())
	}
	close(slow)
	if got := <-under; got != "/slow of the first, the endEOF" {
		t.Errorf("the request that was under way got %q", got)
	}

	if status, _, body := g.get("/kept"); !strings.HasPrefix(status, "hit") || body != "/kept of the first, the end" {
		t.Errorf("the stored page: %s, %q", status, body)
	}
	if _, _, body := g.get("/new"); body != "/new of the second, the end" {
		t.Errorf("a new page: %q", body)
	}
	if status, _, _ := g.get("/private/x"); !strings.Contains(status, "detail=rule") {
		t.Errorf("the new rule does not hold: %s", status)
	}
	if _, resp, _ := g.get("/kept", "X-Cache-Debug", "secret"); !strings.Contains(resp.Header.Get("X-Cache-Debug"), `key="/kept?"; route="default"`) {
		t.Errorf("X-Cache-Debug: %q", resp.Header.Get("X-Cache-Debug"))
	}
	if _, resp, _ := g.get("/kept", "X-Cache-Debug", "guess"); resp.Header.Get("X-Cache-Debug") != "" {
		t.Errorf("who guesses is told %q", resp.Header.Get("X-Cache-Debug"))
	}

	const refused = "the configuration was not reloaded"
	g.reload("ttl: soon\n", second.URL, refused)
	g.reload("memory: 1GiB\n", second.URL, refused)
	if log := g.log.String(); !strings.Contains(log, `gateway.yaml:4: \"soon\" is no time span`) || !strings.Contains(log, "memory has changed, which needs a restart") {
		t.Errorf("the log:\n%s", log)
	}
	if status, _, _ := g.get("/private/x"); !strings.Contains(status, "detail=rule") {
		t.Errorf("the old rule does not hold any more: %s", status)
	}
}
