package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pagegate/internal/realproc"
)

// warmSite is a site with sitemaps; its host is www.example.com, wherever it listens.
type warmSite struct {
	other   atomic.Int32 // requests that named another host
	threes  threes       // requests for /threes/
	elapsed chan struct{}
}

const sitemapIndex = `<?xml version="1.0" encoding="UTF-8"?>
<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
<sitemap><loc>https://www.example.com/pages.xml.gz</loc><lastmod>2026-01-01</lastmod></sitemap>
<sitemap><loc>https://www.example.com/sitemap.xml</loc></sitemap>
<sitemap><loc>https://elsewhere.example/sitemap.xml</loc></sitemap>
</sitemapindex>`

const sitemapPages = `<?xml version="1.0"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
<url><loc> https://www.example.com/a?x=1&amp;y=2 </loc><image:image><image:loc>https://www.example.com/image.png</image:loc></image:image></url>
<url><loc>https://WWW.example.com:443/b#part</loc><priority>0.5</priority></url>
<url><loc>https://www.example.com/b</loc></url>
<url><loc>https://www.example.com/basket</loc></url>
<url><loc>https://www.example.com/moved</loc></url>
<url><loc>https://elsewhere.example/c</loc></url>
</urlset>`

func (s *warmSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Host != "www.example.com" {
		s.other.Add(1)
	}
	switch r.URL.Path {
	case "/sitemap.xml":
		http.Redirect(w, r, "https://www.example.com/index.xml", http.StatusMovedPermanently)
	case "/index.xml":
		_, _ = io.WriteString(w, sitemapIndex)
	case "/pages.xml.gz":
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, sitemapPages)
		z.Close()
	default:
		s.page(w, r)
	}
}

func (s *warmSite) page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	switch path := r.URL.Path; {
	case path == "/basket":
		http.SetCookie(w, &http.Cookie{Name: "sid", Value: "1"})
	case path == "/moved":
		http.Redirect(w, r, "/a", http.StatusMovedPermanently)
	case path == "/gone":
		w.WriteHeader(http.StatusGone)
	case path == "/cut":
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
	case path == "/silent":
		<-s.elapsed
	case strings.HasPrefix(path, "/threes/"):
		s.threes.meet(r.Context())
	}
	fmt.Fprint(w, "a page")
}

// threes has requests wait for one another until three are there.
type threes struct {
	mu          sync.Mutex
	under, most int           // requests under way; the most that were
	waiting     int           // those that have not gone on
	third       chan struct{} // closed when the third of them is there
}

func (m *threes) meet(ctx context.Context) {
	m.mu.Lock()
	if m.waiting == 0 {
		m.third = make(chan struct{})
	}
	third := m.third
	m.under++
	m.most = max(m.most, m.under)
	if m.waiting = (m.waiting + 1) % 3; m.waiting == 0 {
		close(third)
	}
	m.mu.Unlock()
	select {
	case <-third:
	case <-ctx.Done():
	}
	m.mu.Lock()
	m.under--
	m.mu.Unlock()
}

// warmRun runs `gateway warm` against a gateway before the site.
func warmRun(t *testing.T, g *running, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"warm", "--connect", g.addr, "--rate", "0"}, args...), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func newWarmSite(t *testing.T) (*warmSite, *running) {
	s := &warmSite{elapsed: make(chan struct{})}
	g := runGateway(t, "hosts: [www.example.com]\n", s.ServeHTTP)
	t.Cleanup(func() { close(s.elapsed) }) // before the gateway and its backend end
	return s, g
}

// A sitemap that redirects to an index of a packed one: its pages are kept afterwards, each asked for once, by the site's
// name, and nothing else is.
func TestWarmBySitemap(t *testing.T) {
	s, g := newWarmSite(t)
	code, out, errs := warmRun(t, g, "https://www.example.com/sitemap.xml")
	want := "4 pages: 0 in the cache already, 2 stored now, 2 not stored, 0 failed\n" +
		"  not stored      1  no-freshness\n  not stored      1  set-cookie\n"
	if out != want {
		t.Errorf("%d: %s%s\nwant %s", code, out, errs, want)
	}
	if code != 0 || !strings.Contains(errs, "left out 2 URLs of other hosts (elsewhere.example)") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	for _, target := range []string{"/a?x=1&y=2", "/b"} {
		if !g.hits(target) {
			t.Errorf("%s is not kept", target)
		}
	}
	asked := make(map[string]int)
	g.mu.Lock()
	for _, r := range g.asked {
		asked[r.RequestURI]++
	}
	g.mu.Unlock()
	for _, target := range []string{"/a?x=1&y=2", "/b", "/basket", "/moved"} {
		if asked[target] != 1 {
			t.Errorf("%s was asked for %d times", target, asked[target])
		}
	}
	if asked["/image.png"] != 0 || s.other.Load() != 0 {
		t.Errorf("%v, %d for other hosts", asked, s.other.Load())
	}
	if _, out, _ := warmRun(t, g, "https://www.example.com/sitemap.xml"); !strings.Contains(out, "2 in the cache already") {
		t.Errorf("the second time: %s", out)
	}
}

// A list; and what fails is told and shows in the exit code.
func TestWarmByList(t *testing.T) {
	_, g := newWarmSite(t)
	list := filepath.Join(t.TempDir(), "list.txt")
	text := "# the front\n/\n\nhttp://www.example.com/a\nhttps://other.example/\n/gone\n/cut\n/silent\nftp://www.example.com/\n"
	if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := warmRun(t, g, "--site", "https://www.example.com", "--timeout", "500ms", list)
	if code != 1 || !strings.HasPrefix(out, "6 pages: 0 in the cache already, 2 stored now, 0 not stored, 4 failed\n") {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	for _, want := range []string{
		"failed: https://www.example.com/gone: status 410 Gone\n", "failed: https://www.example.com/cut: the answer was cut short\n",
		"failed: https://www.example.com/silent: no whole answer in time\n", "failed: ftp://www.example.com/: it is no http URL\n",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("%s\nwant %q in it", errs, want)
		}
	}
}

// As many requests are under way as --concurrency says, and no more; --max and --rate bound them too.
func TestWarmIsBounded(t *testing.T) {
	s, g := newWarmSite(t)
	list := filepath.Join(t.TempDir(), "list.txt")
	var text strings.Builder
	for i := range 60 {
		fmt.Fprintf(&text, "/threes/%d\n", i)
	}
	if err := os.WriteFile(list, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := warmRun(t, g, "--site", "http://www.example.com", "--concurrency", "3", list)
	if code != 0 || !strings.HasPrefix(out, "60 pages: ") {
		t.Fatalf("exit code %d: %s%s", code, out, errs)
	}
	if s.threes.most != 3 {
		t.Errorf("%d at once, want 3", s.threes.most)
	}
	if code, _, errs := warmRun(t, g, "--site", "http://www.example.com", "--max", "59", list); code != 1 || !strings.Contains(errs, "raise --max") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

// At one request in a quarter of an hour the second page is still to come when the first is there.
func TestWarmIsInterrupted(t *testing.T) {
	_, g := newWarmSite(t)
	list := filepath.Join(t.TempDir(), "list.txt")
	if err := os.WriteFile(list, []byte("/first\n/second\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() {
		var out, errs bytes.Buffer
		code := run(ctx, []string{"warm", "--connect", g.addr, "--site", "http://www.example.com", "--rate", "0.001", list}, &out, &errs)
		if code != 1 || !strings.Contains(errs.String(), "interrupted before 1 page had been asked for") {
			t.Errorf("exit code %d: %s%s", code, out.String(), errs.String())
		}
	})
	realproc.WaitFor(t, 20*time.Second, "the first page to be stored", func() bool { return g.metric("pagegate_stored_total 1") })
	interrupt()
	ended.Wait()
}

func TestWarmUsage(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.xml")
	if err := os.WriteFile(bad, []byte("<html><body>404</body></html>"), 0o600); err != nil {
		t.Fatal(err)
	}
	nobody := realproc.FreeAddr(t)
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"", 2, "want a sitemap or a list"},
		{bad, 2, "a list needs --site"},
		{"--site www.example.com " + bad, 2, `"www.example.com" is no address of a site`},
		{"--site http://www.example.com " + bad, 1, "<html> is no sitemap"},
		{"--site http://www.example.com /does/not/exist", 1, "/does/not/exist"},
		{"--header x --site http://www.example.com -", 2, `"x" is no field`},
		{"--connect " + nobody + " http://www.example.com/sitemap.xml", 1, "connection refused"},
		{"--help", 0, "Usage: gateway warm [flags] SOURCE..."},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), append([]string{"warm"}, strings.Fields(tt.args)...), &out, &errs)
		if code != tt.code || !strings.Contains(out.String()+errs.String(), tt.want) {
			t.Errorf("%q: exit code %d\n%s%s", tt.args, code, out.String(), errs.String())
		}
	}
}

// A terminal sees how far it is; anything else sees no control bytes.
func TestWarmShowsABarOnATerminal(t *testing.T) {
	_, g := newWarmSite(t)
	terminal, screen := openTerminal(t)
	code := run(t.Context(), []string{"warm", "--connect", g.addr, "https://www.example.com/index.xml"}, io.Discard, terminal)
	terminal.Close()
	shown, _ := io.ReadAll(screen) // ends with an error, as terminals do
	if code != 0 || !bytes.Contains(shown, []byte("warming")) || !bytes.Contains(shown, []byte("(0/4")) {
		t.Errorf("exit code %d: %q", code, shown)
	}
	if _, _, errs := warmRun(t, g, "https://www.example.com/index.xml"); strings.ContainsAny(errs, "\r\x1b") || strings.Contains(errs, "warming") {
		t.Errorf("without a terminal: %q", errs)
	}
}

// openTerminal opens a pseudo terminal: what is written to it can be read from its screen.
func openTerminal(t *testing.T) (terminal, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	fd := int(screen.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 25, Col: 80}); err != nil {
		t.Fatal(err)
	}
	return terminal, screen
}
