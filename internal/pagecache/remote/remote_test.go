package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/pagecache/pagecachetest"
	"pagegate/internal/realproc"
	"pagegate/internal/ring"
)

var bg = context.Background()

func open(t testing.TB, o Options, addrs ...string) *Cache {
	t.Helper()
	for _, a := range addrs {
		o.Servers = append(o.Servers, ring.Server{Addr: a, Weight: 1})
	}
	if o.BodyType == nil {
		o.BodyType = func(uri string) string { return "type of " + uri }
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestSuiteOneServer(t *testing.T) {
	pagecachetest.Run(t, func(t *testing.T, now func() time.Time) pagecache.Cache {
		addr, _ := realproc.Memcached(t)
		return open(t, Options{Now: now}, addr)
	})
}

func TestSuiteThreeServers(t *testing.T) {
	for _, modulo := range []bool{false, true} {
		pagecachetest.Run(t, func(t *testing.T, now func() time.Time) pagecache.Cache {
			var addrs []string
			for range 3 {
				addr, _ := realproc.Memcached(t)
				addrs = append(addrs, addr)
			}
			return open(t, Options{Now: now, Modulo: modulo}, addrs...)
		})
	}
}

func TestUnixSocket(t *testing.T) {
	path := realproc.SocketPath(t, "m.sock")
	p := realproc.Start(t, "memcached", "-s", path, "-u", "nobody", "-a", "777")
	p.WaitListen(t, path)
	c := open(t, Options{}, "unix:"+path)
	stored := testPage("x", true)
	if err := c.Set(bg, []byte("/a?"), stored); err != nil {
		t.Fatal(err)
	}
	var got page.Page
	if err := c.Get(bg, []byte("/a?"), &got); err != nil || string(got.Body) != "x" {
		t.Errorf("%q, %v", got.Body, err)
	}
}

func testPage(body string, readable bool, fields ...string) *page.Page {
	now := time.Now()
	h := "Content-Type: text/html; charset=utf-8\r\n"
	for i := 0; i < len(fields); i += 2 {
		h += fields[i] + ": " + fields[i+1] + "\r\n"
	}
	return &page.Page{
		Status: 200, Header: []byte(h), Body: []byte(body), StoredAt: now,
		FreshUntil: now.Add(time.Minute), StaleUntil: now.Add(time.Hour), NginxReadable: readable,
	}
}

func TestWhatNginxSees(t *testing.T) {
	addr, _ := realproc.Memcached(t)
	c := open(t, Options{}, addr)
	client := memcache.New(addr)
	defer client.Close()

	for _, tt := range []struct {
		name string
		page *page.Page
		body string // "" for none
		flag uint32
	}{
		{"readable", testPage("plain", true), "plain", 0},
		{"gzip", testPage("coded", true, "Content-Encoding", "gzip"), "coded", GzipFlag},
		{"not readable: an earlier body goes", testPage("secret", false), "", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := c.Set(bg, []byte("/a b?x=%20"), tt.page); err != nil {
				t.Fatal(err)
			}
			item, err := client.Get("/a%20b?x=%2520")
			if tt.body == "" {
				if !errors.Is(err, memcache.ErrCacheMiss) {
					t.Errorf("nginx would find %+v, %v", item, err)
				}
				return
			}
			if err != nil || string(item.Value) != tt.body || item.Flags != tt.flag {
				t.Errorf("nginx would find %+v, %v", item, err)
			}
		})
	}
}

func TestWhatAnAppStored(t *testing.T) {
	addr, _ := realproc.Memcached(t)
	c := open(t, Options{}, addr)
	client := memcache.New(addr)
	defer client.Close()
	check := func(what, body, header string) {
		t.Helper()
		var p page.Page
		if err := c.Get(bg, []byte("/a?x"), &p); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if !p.BodyOnly || p.Status != 200 || string(p.Body) != body || string(p.Header) != header || !p.Fresh(time.Now()) {
			t.Errorf("%s: %+v", what, p)
		}
	}
	set := func(item *memcache.Item) {
		t.Helper()
		if err := client.Set(item); err != nil {
			t.Fatal(err)
		}
	}
	set(&memcache.Item{Key: "/a?x", Value: []byte("app")})
	check("a body alone", "app", "Content-Type: type of /a\r\n")
	set(&memcache.Item{Key: "/a?x", Value: []byte("app"), Flags: GzipFlag})
	check("a gzip body", "app", "Content-Type: type of /a\r\nContent-Encoding: gzip\r\n")
	for _, readable := range []bool{true, false} {
		if err := c.Set(bg, []byte("/a?x"), testPage("ours", readable)); err != nil {
			t.Fatal(err)
		}
		set(&memcache.Item{Key: "/a?x", Value: []byte("newer")})
		check("a body over one of ours", "newer", "Content-Type: type of /a\r\n")
	}
	set(&memcache.Item{Key: "pg:m:/b?", Value: []byte("garbage")})
	if err := c.Get(bg, []byte("/b?"), new(page.Page)); !errors.Is(err, pagecache.ErrMiss) {
		t.Errorf("garbage in place of a record: %v", err)
	}
}

func TestKeysThatCannotBeWritten(t *testing.T) {
	addr, _ := realproc.Memcached(t)
	c := open(t, Options{}, addr)
	for _, key := range []string{"/a\x7fb?", "/" + strings.Repeat("a", 250), "/" + strings.Repeat(" ", 90)} {
		if err := c.Set(bg, []byte(key), testPage("x", true)); !errors.Is(err, pagecache.ErrKey) {
			t.Errorf("Set %.20q: %v", key, err)
		}
		if err := c.Get(bg, []byte(key), new(page.Page)); !errors.Is(err, pagecache.ErrMiss) {
			t.Errorf("Get %.20q: %v", key, err)
		}
	}
	// The server is none the worse for it.
	if err := c.Set(bg, []byte("/a?"), testPage("x", true)); err != nil {
		t.Error(err)
	}
}

func TestTooLarge(t *testing.T) {
	addr, _ := realproc.Memcached(t)
	c := open(t, Options{}, addr)
	if err := c.Set(bg, []byte("/a?"), testPage(strings.Repeat("x", 2<<20), true)); !errors.Is(err, pagecache.ErrTooLarge) {
		t.Errorf("%v", err)
	}
	if err := c.Set(bg, []byte("/a?"), testPage("x", true)); err != nil {
		t.Errorf("a page that fits, right after: %v", err)
	}
}

func TestRestartedServerIsFoundAtOnce(t *testing.T) {
	port := fmt.Sprint(realproc.FreePort(t))
	start := func() *realproc.Proc {
		p := realproc.Start(t, "memcached", "-p", port, "-l", "127.0.0.1", "-U", "0", "-u", "nobody")
		p.WaitListen(t, "127.0.0.1:"+port)
		return p
	}
	p := start()
	c := open(t, Options{}, "127.0.0.1:"+port)
	if err := c.Set(bg, []byte("/a?"), testPage("x", true)); err != nil {
		t.Fatal(err)
	}
	p.Stop()
	start()
	// The pooled connections are dead; nobody notices.
	if err := c.Get(bg, []byte("/a?"), new(page.Page)); !errors.Is(err, pagecache.ErrMiss) {
		t.Errorf("after a restart: %v", err)
	}
	if err := c.Set(bg, []byte("/a?"), testPage("x", true)); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

func TestDeadServerCostsOneTrialAnInterval(t *testing.T) {
	addr := realproc.FreeAddr(t)
	c := open(t, Options{RetryAfter: time.Hour}, addr)
	clock := time.Now()
	c.selector.now = func() time.Time { return clock }
	key := []byte("/a?")
	if err := c.Get(bg, key, new(page.Page)); err == nil || errors.Is(err, ErrDown) || errors.Is(err, pagecache.ErrMiss) {
		t.Fatalf("first: %v", err)
	} else if !strings.Contains(err.Error(), addr) {
		t.Errorf("the error does not name the server: %v", err)
	}
	for range 100 {
		if err := c.Get(bg, key, new(page.Page)); !errors.Is(err, ErrDown) {
			t.Fatalf("while it is left alone: %v", err)
		}
	}
	// The server comes back: the next one finds it once the interval has passed, and then all do.
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	p := realproc.Start(t, "memcached", "-p", port, "-l", "127.0.0.1", "-U", "0", "-u", "nobody")
	p.WaitListen(t, addr)
	clock = clock.Add(2 * time.Hour)
	for range 3 {
		if err := c.Get(bg, key, new(page.Page)); !errors.Is(err, pagecache.ErrMiss) {
			t.Errorf("after it came back: %v", err)
		}
	}
}

func TestNeighbourTakesOver(t *testing.T) {
	alive, _ := realproc.Memcached(t)
	c := open(t, Options{RetryAfter: time.Hour}, realproc.FreeAddr(t), alive)
	failed := 0
	for i := range 50 {
		key := fmt.Append(nil, "/", i, "?")
		if c.Set(bg, key, testPage("x", true)) != nil {
			failed++
			continue
		}
		if err := c.Get(bg, key, new(page.Page)); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if failed != 1 {
		t.Errorf("%d writes failed; the first to reach the dead server should be the only one", failed)
	}
}

func TestSilentServerIsBounded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := open(t, Options{Timeout: 50 * time.Millisecond}, l.Addr().String())
	done := make(chan error, 1)
	go func() { done <- c.Get(bg, []byte("/a?"), new(page.Page)) }()
	select {
	case err := <-done:
		if err == nil || errors.Is(err, pagecache.ErrMiss) {
			t.Errorf("a silent server: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("waits for ever")
	}
}
