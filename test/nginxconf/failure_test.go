package nginxconf_test

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"pagegate/internal/realproc"
)

// TestCacheGone: with no cache server listening every request is answered by the filler.
func TestCacheGone(t *testing.T) {
	forEach(t, allLayouts, func(t *testing.T, l layout) {
		var nobody []string
		for _, addr := range l.caches {
			if isUnix(addr) {
				nobody = append(nobody, "unix:"+socketPath(t, "nobody.sock"))
			} else {
				nobody = append(nobody, realproc.FreeAddr(t))
			}
		}
		d := openWith(t, l, nobody, nil)
		c := dial(t, d.addr)
		for range 5 {
			wantFilled(t, c.ask(get("/page?a=b")), "/page?a=b")
			wantFilled(t, c.ask(request{method: "POST", target: "/form", body: "x"}), "/form")
		}
		if got := d.arrivals(); len(got) != 10 {
			t.Errorf("%d requests reached the fillers, want 10", len(got))
		}
	})
}

// TestCacheDies kills the cache servers under nginx, whose kept connections break.
func TestCacheDies(t *testing.T) {
	forEach(t, allLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		d.store(t, "/page?", "a page", 0)
		c := dial(t, d.addr)
		wantHit(t, c.ask(get("/page")), "a page")
		for _, cache := range d.caches {
			cache.proc.Kill()
		}
		for range 3 {
			wantFilled(t, c.ask(get("/page")), "/page")
		}
	})
}

// TestCacheSilent: a cache server that accepts and never answers costs a request the read timeout, not the minute that
// nginx would wait by default (and for which this test's client would not).
func TestCacheSilent(t *testing.T) {
	forEach(t, tunedLayouts, func(t *testing.T, l layout) {
		var silent []string
		for _, addr := range l.caches {
			silent = append(silent, startSilent(t, isUnix(addr)))
		}
		d := openWith(t, l, silent, nil)
		wantFilled(t, d.ask(t, get("/page")), "/page")
	})
}

// startSilent starts a server that accepts connections and reads, but never answers.
func startSilent(t *testing.T, unix bool) (addr string) {
	t.Helper()
	network, target := "tcp", "127.0.0.1:0"
	if unix {
		network, target = "unix", socketPath(t, "silent.sock")
	}
	l, err := net.Listen(network, target)
	if err != nil {
		t.Fatal(err)
	}
	if addr = l.Addr().String(); unix {
		addr = "unix:" + addr
		chmodSocket(t, target)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				for b := make([]byte, 512); err == nil; {
					_, err = c.Read(b)
				}
			})
		}
	})
	// nginx, which is stopped first, has closed its ends by then.
	t.Cleanup(func() { l.Close(); running.Wait() })
	return addr
}

// TestOverLongKey: memcached answers an error to a key of more than 250 bytes. That must cost the one request its hit and
// no other request anything.
func TestOverLongKey(t *testing.T) {
	long := "/" + strings.Repeat("k", 300)
	forEach(t, allLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		c := dial(t, d.addr)
		for i, page := range []string{"/a", "/b", "/c", "/d", "/e", "/f"} {
			d.store(t, page+"?", "page "+page, 0)
			for range 3 {
				wantFilled(t, c.ask(get(long+page)), long+page)
			}
			wantHit(t, c.ask(get(page)), "page "+page)
			if got := d.arrivals(); len(got) != 3 {
				t.Errorf("round %d: %d requests reached the fillers, want 3", i, len(got))
			}
		}
	})
}

// TestFillerGone: without a filler the client gets a clear answer, and hits go on.
func TestFillerGone(t *testing.T) {
	cache := startCache(t, false)
	cache.set(t, "/page?", "a page", 0)
	for _, l := range []layout{minimal, overTCP} {
		t.Run(l.entry, func(t *testing.T) {
			addr, _ := startNginx(t, l, []string{cache.addr}, []string{realproc.FreeAddr(t)})
			c := dial(t, addr)
			for range 3 {
				if a := c.ask(get("/other")); a.Status != http.StatusBadGateway {
					t.Errorf("got %d, want 502", a.Status)
				}
				wantHit(t, c.ask(get("/page")), "a page")
			}
		})
	}
}
