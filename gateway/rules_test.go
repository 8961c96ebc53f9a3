package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// running is a gateway with a configuration of its own before a backend that tells what it was asked.
type running struct {
	t           *testing.T
	addr, admin string
	file        string // its configuration
	log         *realproc.Log

	mu    sync.Mutex
	asked []*http.Request
}

// runGateway starts the program with a configuration file; answer is the backend.
func runGateway(t *testing.T, config string, answer http.HandlerFunc) *running {
	t.Helper()
	g := &running{t: t, addr: realproc.FreeAddr(t), admin: realproc.FreeAddr(t), log: new(realproc.Log)}
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.asked = append(g.asked, r.Clone(context.Background()))
		g.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(backend.Close)
	g.file = filepath.Join(t.TempDir(), "gateway.yaml")
	g.configure(config, backend.URL)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"--config", g.file}, io.Discard, g.log) }()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != 0 {
			t.Errorf("exit code %d:\n%s", code, g.log)
		}
	})
	realproc.WaitFor(t, 10*time.Second, "the gateway to listen", func() bool {
		resp, err := http.Get("http://" + g.admin + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return g
}

// configure writes the configuration file.
func (g *running) configure(config, backend string) {
	g.t.Helper()
	text := fmt.Sprintf("listen: %s\nadmin: %s\nbackend: %s\n%s", g.addr, g.admin, backend, config)
	if err := os.WriteFile(g.file, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// get asks for a target and returns the answer's Cache-Status, without the cache's name, and the answer.
func (g *running) get(target string, fields ...string) (status string, resp *http.Response, body string) {
	g.t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+g.addr+target, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	resp, err = noKeepAlive.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return strings.TrimPrefix(resp.Header.Get("Cache-Status"), "pagegate; "), resp, string(text)
}

var noKeepAlive = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// hits asks until the answer comes from the cache, and tells whether it ever does.
func (g *running) hits(target string, fields ...string) bool {
	g.t.Helper()
	for range 200 {
		status, _, _ := g.get(target, fields...)
		if strings.HasPrefix(status, "hit") {
			return true
		}
		if !strings.Contains(status, "stored") && !strings.Contains(status, "collapsed") {
			return false // it is not being stored
		}
		time.Sleep(time.Millisecond) // between two looks; the loop waits for the condition
	}
	return false
}

// last is the last request that the backend was asked.
func (g *running) last() *http.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked[len(g.asked)-1]
}

func (g *running) metric(line string) bool {
	resp, err := http.Get("http://" + g.admin + "/metrics")
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return strings.Contains(string(text), line+"\n")
}

const shopRules = `
ttl: 60s
status_ttl: {404: 10s}
cookies: {sessions: [wordpress], personal: [basket]}
rules:
  - path: /cart*
    bypass: true
  - path: [/feed, "*.json"]
    name: feeds
    ttl: 5s
    status_ttl: {301: 1h}
  - path: /members/*
    cookies: {personal: ["*"]}
  - path: /raw/*
    ttl: 0
  - path: /small/*
    max_body: 10B
`

// What a rule says holds for its paths, and for no other.
func TestRulesByPath(t *testing.T) {
	g := runGateway(t, shopRules, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch {
		case strings.HasSuffix(r.URL.Path, ".json"):
			w.Header().Set("Content-Type", "application/json")
		case strings.HasSuffix(r.URL.Path, "/moved"):
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusMovedPermanently)
		case strings.HasSuffix(r.URL.Path, "/missing"):
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, "a page of "+r.URL.Path)
	})
	for _, tt := range []struct {
		target, cookie string
		kept           bool
	}{
		{"/", "", true},
		{"/", "theme=dark", true},
		{"/", "theme=dark; wordpress_logged_in_1=x", false},
		{"/", "basket=1", false},
		{"/", "wp-settings-1=x", true},
		{"/cart", "", false},
		{"/cart/1?x", "", false},
		{"/feed", "", true},
		{"/a/b.json", "", true},
		{"/a/b.jsonx", "", true},
		{"/members/1", "", true},
		{"/members/1", "theme=dark", false},
		{"/raw/1", "", false},
		{"/small/1", "", false},
		{"/missing", "", true},
		{"/feed/missing", "", true},
		{"/moved", "", false},
		{"/x/moved/y.json", "", true},
	} {
		fields := []string{}
		if tt.cookie != "" {
			fields = []string{"Cookie", tt.cookie}
		}
		if got := g.hits(tt.target, fields...); got != tt.kept {
			status, _, _ := g.get(tt.target, fields...)
			t.Errorf("%s with %q: kept %v, want %v (%s)", tt.target, tt.cookie, got, tt.kept, status)
		}
	}
	if status, _, _ := g.get("/cart"); !strings.Contains(status, "detail=rule") {
		t.Errorf("/cart: %s", status)
	}
	for target, most := range map[string]int{"/": 60, "/feed": 5, "/missing": 10} {
		status, _, _ := g.get(target)
		var ttl int
		if _, err := fmt.Sscanf(status, "hit; ttl=%d", &ttl); err != nil || ttl > most || ttl < most-4 {
			t.Errorf("%s: %s, want a ttl of at most %d", target, status, most)
		}
	}
	for _, line := range []string{
		`pagegate_requests_total{outcome="pass",route="/cart*"} 3`,
		`pagegate_passes_total{reason="rule"} 3`,
	} {
		if !g.metric(line) {
			t.Errorf("no metric %s", line)
		}
	}
}

const keyRules = `
key: "$pagegate_device|$uri?$pagegate_args"
args: {sort: true}
`

// Requests that differ in what the key leaves out share a page, and the backend sees nothing of it.
func TestKeyOfKeptArgumentsAndDevice(t *testing.T) {
	g := runGateway(t, keyRules, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Vary", "User-Agent")
		fmt.Fprintf(w, "%s for %s", r.URL, r.Header.Get("X-Device"))
	})
	const phone, pad = "Mozilla/5.0 (Linux; Android 15; Pixel 9) Mobile", "Mozilla/5.0 (iPad; CPU OS 17_0)"
	if !g.hits("/list?page=2&size=9", "User-Agent", phone) {
		t.Fatal("not kept")
	}
	for _, target := range []string{"/list?size=9&page=2", "/list?utm_source=x&size=9&gclid=1&page=2&fbclid=2"} {
		status, _, body := g.get(target, "User-Agent", phone+"/2", "X-Device", "forged")
		if !strings.HasPrefix(status, "hit") || body != "/list?page=2&size=9 for mobile" {
			t.Errorf("%s: %s, %q", target, status, body)
		}
	}
	if status, _, body := g.get("/list?size=9&page=2&utm_id=1", "User-Agent", pad, "X-Device", "mobile"); !strings.HasPrefix(status, "fwd=uri-miss") || body != "/list?page=2&size=9 for tablet" {
		t.Errorf("another device: %s, %q", status, body)
	}
	if agent := g.last().UserAgent(); !strings.Contains(agent, "iPad") || strings.Contains(agent, "17_0") {
		t.Errorf("the backend was asked by %q", agent)
	}
	// A pass is the visitor's own: it goes to the backend as it came.
	g.get("/list?utm_source=x&a=1", "User-Agent", pad, "Cookie", "sid=1")
	if r := g.last(); r.URL.String() != "/list?utm_source=x&a=1" || r.UserAgent() != pad {
		t.Errorf("the pass was %s by %q", r.URL, r.UserAgent())
	}
}
