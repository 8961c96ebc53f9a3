package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

func TestCacheServerDiesAndComesBack(t *testing.T) {
	b := newBackend(t, htmlPage)
	port := fmt.Sprint(realproc.FreePort(t))
	cache := "127.0.0.1:" + port
	start := func() *realproc.Proc {
		return program(t, "cacheserver", cache, "-p", port, "-l", "127.0.0.1", "-o", "page_keys")
	}
	p := start()
	filler, _ := startFiller(t, b.URL, cache)
	nginx := startNginx(t, cache, filler)
	gateway, _ := startGateway(t, b.URL, "--cache", cache)
	doors := []string{nginx, gateway}
	for _, door := range doors {
		fetchHit(t, door, "/a")
	}
	p.Kill()
	for _, door := range doors {
		for range 20 {
			begin := time.Now()
			if a := fetch(t, door, "/a"); a.status != 200 || a.body != "<p>page /a" {
				t.Errorf("%+v", a)
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		}
	}
	start()
	for _, door := range doors {
		fetchHit(t, door, "/a")
	}
}

func TestBackendGone(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=1")
		if r.URL.Path == "/confirmed" {
			w.Header().Set("Cache-Control", "max-age=1, must-revalidate")
			w.Header().Set("Etag", `"1"`)
		}
		htmlPage(w, r)
	})
	cache, _ := startCache(t, "cacheserver")
	filler, _ := startFiller(t, b.URL, cache)
	nginx := startNginx(t, cache, filler)
	gateway, _ := startGateway(t, b.URL)
	fetchHit(t, gateway, "/a")
	for _, door := range []string{nginx, gateway} {
		fetchHit(t, door, "/confirmed")
	}
	b.Close()
	for _, door := range []string{nginx, gateway} {
		if a := fetch(t, door, "/never-seen"); a.status != 502 || !strings.Contains(a.body, "backend cannot be reached") {
			t.Errorf("%+v", a)
		}
	}
	// The page outlives its second of freshness.
	realproc.WaitFor(t, 10*time.Second, "a stale page", func() bool {
		a := fetch(t, gateway, "/a")
		if a.status != 200 || a.body != "<p>page /a" {
			t.Fatalf("%+v", a)
		}
		return strings.Contains(a.header.Get("Cache-Status"), "backend-failed")
	})
	// One that has to be confirmed does not.
	for _, door := range []string{nginx, gateway} {
		realproc.WaitFor(t, 10*time.Second, "the page that has to be confirmed to be stale", func() bool { return fetch(t, door, "/confirmed").status == 504 })
	}
}

// A backend that says half a page and is silent: nothing is stored, nobody waits for ever.
func TestBackendHalfAnswers(t *testing.T) {
	var whole atomic.Bool
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Length", "8")
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		if whole.Load() {
			_, _ = io.WriteString(w, "half")
			return
		}
		panic(http.ErrAbortHandler)
	})
	gateway, _ := startGateway(t, b.URL)
	if a, err := tryFetch(gateway, "/a"); err == nil {
		t.Errorf("half a page passed for a whole one: %+v", a)
	}
	whole.Store(true)
	if a := fetch(t, gateway, "/a"); a.body != "halfhalf" || a.isHit() {
		t.Errorf("%+v", a)
	}
	fetchHit(t, gateway, "/a")
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	for name, args := range map[string][]string{
		"gateway":     {"--listen", addr, "--backend", "demo:"},
		"filler":      {"--listen", addr, "--backend", "demo:", "--cache", "127.0.0.1:1"},
		"cacheserver": {"-l", "127.0.0.1", "-p", port},
	} {
		code, out := runToEnd(t, name, args...)
		if code == 0 || !strings.Contains(out, port) {
			t.Errorf("%s: exit code %d, said %q", name, code, out)
		}
	}
}

// runToEnd runs a program that is expected to end by itself.
func runToEnd(t *testing.T, name string, args ...string) (code int, out string) {
	t.Helper()
	p := realproc.StartCmd(t, exec.Command(filepath.Join(bin, name), args...))
	return p.Wait(t, 20*time.Second), p.Output()
}

func TestHelpAndCheck(t *testing.T) {
	typo := filepath.Join(t.TempDir(), "typo.yaml")
	if err := os.WriteFile(typo, []byte("backend: \"demo:\"\nlissten: 127.0.0.1:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		code int
		out  string
	}{
		{"gateway", []string{"--help"}, 0, "--memory"},
		{"filler", []string{"--help"}, 0, "--cache"},
		{"cacheserver", []string{"--help"}, 0, "--port"},
		{"gateway", []string{"--config", "../../configs/gateway.yaml", "--check"}, 0, "valid"},
		{"filler", []string{"--config", "../../configs/filler.yaml", "--check"}, 0, "valid"},
		{"gateway", []string{"--config", typo, "--check"}, 2, `typo.yaml:2: unknown field "lissten"`},
		{"gateway", []string{"--backend", "demo:", "--nope"}, 2, "unknown flag: --nope"},
	} {
		code, out := runToEnd(t, tt.name, tt.args...)
		if code != tt.code || !strings.Contains(out, tt.out) {
			t.Errorf("%s %v: exit code %d, said %q", tt.name, tt.args, code, out)
		}
	}
}

// Told to stop, a program first ends what it has begun.
func TestStopLetsRequestsEnd(t *testing.T) {
	arrived := make(chan struct{})
	release := make(chan struct{})
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
		htmlPage(w, r)
	})
	gateway, p := startGateway(t, b.URL)
	var wg sync.WaitGroup
	wg.Go(func() {
		if a, err := tryFetch(gateway, "/slow"); err != nil || a.body != "<p>page /slow" {
			t.Errorf("%+v, %v", a, err)
		}
	})
	<-arrived
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	realproc.WaitFor(t, 10*time.Second, "the listener to close", func() bool {
		c, err := net.Dial("tcp", gateway)
		if err != nil {
			return true
		}
		c.Close()
		return false
	})
	close(release)
	wg.Wait()
	if code := p.Wait(t, 20*time.Second); code != 0 {
		t.Errorf("exit code %d: %s", code, p.Output())
	}
}

// Garbage, a huge length, a client that does not read: each is told so or put up with, and the others go on.
func TestBadClientsOfTheCacheServer(t *testing.T) {
	cache, _ := startCache(t, "cacheserver")
	for _, tt := range []struct{ send, want string }{
		{"\x00\xff\xfe garbage\r\n", "ERROR\r\n"},
		{"set k 0 0 2097152\r\n" + strings.Repeat("x", 2097152) + "\r\n", "SERVER_ERROR object too large for cache\r\n"},
		{"set k 0 0 1073741824\r\n", ""}, // and then silence
		{"set k 0 0 -1\r\n", "CLIENT_ERROR bad command line format\r\n"},
		{"set k 0 0 abc\r\n", "CLIENT_ERROR bad command line format\r\n"},
	} {
		c, err := net.Dial("tcp", cache)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(c, tt.send)
		got := make([]byte, len(tt.want))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != tt.want {
			t.Errorf("%.80q: %q, %v", tt.send, got, err)
		}
		c.Close()
	}
	value := strings.Repeat("v", 1<<19)
	if got := raw(t, cache, fmt.Sprintf("set big 0 0 %d\r\n%s\r\nquit\r\n", len(value), value), 10*time.Second); got != "STORED\r\n" {
		t.Fatalf("%.80q", got)
	}
	deaf, err := net.Dial("tcp", cache)
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	_ = deaf.SetDeadline(time.Now().Add(2 * time.Second))
	_, _ = io.Copy(deaf, bytes.NewReader(bytes.Repeat([]byte("get big\r\n"), 100_000))) // never reads
	if got := raw(t, cache, "get big\r\nquit\r\n", 10*time.Second); !strings.HasPrefix(got, "VALUE big 0 524288\r\n") {
		t.Errorf("beside a deaf client: %.80q", got)
	}
}

// What does not end in time is cut off, and nothing breaks over it.
func TestStopCutsOffWhatDoesNotEnd(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-release
	})
	t.Cleanup(func() { close(release) })
	config := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(config, []byte("timeouts:\n  drain: 200ms\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	gateway, p := startGateway(t, b.URL, "--config", config)
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = tryFetch(gateway, "/stuck") })
	<-arrived
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := p.Wait(t, 20*time.Second); code != 0 || !strings.Contains(p.Output(), "cut off") {
		t.Errorf("exit code %d: %s", code, p.Output())
	}
	wg.Wait()
}

// A client that sends its request byte by byte, or never ends it, holds up nobody.
func TestSlowClients(t *testing.T) {
	b := newBackend(t, htmlPage)
	gateway, _ := startGateway(t, b.URL)
	for range 50 {
		c, err := net.Dial("tcp", gateway)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET /a HTTP/1.1\r\nHos")
	}
	if a := fetch(t, gateway, "/a"); a.status != 200 {
		t.Errorf("%+v", a)
	}
	slow, err := net.Dial("tcp", gateway)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	_ = slow.SetDeadline(time.Now().Add(20 * time.Second))
	for _, c := range []byte("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") {
		if _, err := slow.Write([]byte{c}); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := io.ReadAll(slow); !strings.HasSuffix(string(got), "<p>page /a") {
		t.Errorf("%q", got)
	}
}
