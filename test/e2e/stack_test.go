package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// backend is a site that counts how often it is asked.
type backend struct {
	*httptest.Server
	total atomic.Int64
}

func newBackend(t *testing.T, handle http.HandlerFunc) *backend {
	b := new(backend)
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.total.Add(1)
		handle(w, r)
	}))
	t.Cleanup(b.Close)
	return b
}

// htmlPage answers with a page that says which target it is for.
func htmlPage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<p>page %s", r.RequestURI)
}

// program starts one of this project's programs and waits until it answers on addr.
func program(t *testing.T, name, addr string, args ...string) *realproc.Proc {
	t.Helper()
	p := realproc.StartCmd(t, exec.Command(filepath.Join(bin, name), args...))
	p.WaitListen(t, addr)
	return p
}

// startCache starts a cache server: this project's with `-o page_keys`, or Debian's memcached.
func startCache(t *testing.T, which string) (addr string, p *realproc.Proc) {
	t.Helper()
	if which == "memcached" {
		return realproc.Memcached(t)
	}
	port := fmt.Sprint(realproc.FreePort(t))
	addr = "127.0.0.1:" + port
	return addr, program(t, "cacheserver", addr, "-p", port, "-l", "127.0.0.1", "-m", "64", "-o", "page_keys")
}

func startFiller(t *testing.T, backend, cache string, more ...string) (addr string, p *realproc.Proc) {
	t.Helper()
	addr = realproc.FreeAddr(t)
	return addr, program(t, "filler", addr, append([]string{"--listen", addr, "--backend", backend, "--cache", cache}, more...)...)
}

func startGateway(t *testing.T, backend string, more ...string) (addr string, p *realproc.Proc) {
	t.Helper()
	addr = realproc.FreeAddr(t)
	return addr, program(t, "gateway", addr, append([]string{"--listen", addr, "--backend", backend}, more...)...)
}

// startNginx starts nginx with the shipped configuration for one cache server, but for the ports.
func startNginx(t *testing.T, cache string, fillers ...string) (addr string) {
	t.Helper()
	return startNginxWith(t,
		"server 127.0.0.1:11211", "server "+cache,
		"server 127.0.0.1:8082", "server "+strings.Join(fillers, "; server "))
}

// startNginxWith starts nginx with the shipped configuration on a free port, after texts in it have been replaced.
func startNginxWith(t *testing.T, replacements ...string) (addr string) {
	t.Helper()
	addr, _ = realproc.NginxShipped(t, "../../nginx", replacements...)
	return addr
}

// client never follows redirects and asks for no compression.
var client = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       time.Minute,
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) isHit() bool { return strings.Contains(a.header.Get("Cache-Status"), "; hit") }

// fetch asks a door for a target.
func fetch(t testing.TB, addr, target string, fields ...string) answer {
	t.Helper()
	a, err := tryFetch(addr, target, fields...)
	if err != nil {
		t.Fatalf("%s: %v", target, err)
	}
	return a
}

func tryFetch(addr, target string, fields ...string) (answer, error) {
	req, err := http.NewRequest("GET", "http://"+addr+target, nil)
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Add(fields[i], fields[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(body)}, err
}

// fetchHit asks until the answer is a hit: a page is stored after it has been answered.
func fetchHit(t testing.TB, addr, target string, fields ...string) (a answer) {
	t.Helper()
	realproc.WaitFor(t, 10*time.Second, "a hit on "+target, func() bool {
		a = fetch(t, addr, target, fields...)
		return a.isHit()
	})
	return a
}

// fetchNginxHit asks until nginx answers from the cache by itself: before, the filler may have found the page that it was
// about to store.
func fetchNginxHit(t testing.TB, nginx, target string) (a answer) {
	t.Helper()
	realproc.WaitFor(t, 10*time.Second, "nginx's own hit on "+target, func() bool {
		a = fetch(t, nginx, target)
		return a.header.Get("Cache-Status") == "nginx; hit"
	})
	return a
}

// raw sends bytes on a connection and returns all that comes back until the other end closes, or the bound.
func raw(t testing.TB, addr, text string, bound time.Duration) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(bound))
	if _, err := io.WriteString(c, text); err != nil {
		return ""
	}
	got, _ := io.ReadAll(c)
	return string(got)
}
