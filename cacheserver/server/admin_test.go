package server

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pagegate/cacheserver/store"
	"pagegate/internal/realproc"
)

func TestAdmin(t *testing.T) {
	var stopped atomic.Int32
	clock := NewClock(time.Now)
	t.Cleanup(clock.Stop)
	addr, _ := start(t, Config{Shutdown: func(graceful bool) {
		stopped.Add(1)
		if graceful {
			stopped.Add(10)
		}
	}, Crawler: Crawler{On: true}, TestClock: clock}, store.Config{})
	c := dial(t, addr)
	for _, step := range [][2]string{
		{"cache_memlimit\r\n", "ERROR\r\n"},
		{"cache_memlimit x\r\n", "ERROR\r\n"},
		{"cache_memlimit 1\r\n", "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n"},
		{"cache_memlimit 2000000000\r\n", "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n"},
		{"cache_memlimit 1000000\r\n", "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust\r\n"},
		{"cache_memlimit 32 noreply\r\ncache_memlimit 16\r\n", "OK\r\n"},
		{"lru mode flat\r\n", "ERROR\r\n"}, // without the maintainer
		{"slabs reassign 1 1\r\n", "SAME src and dst class are identical\r\n"},
		{"slabs reassign 1 99\r\n", "BADCLASS invalid src or dst class id\r\n"},
		{"slabs reassign 3 4\r\n", "NOSPARE source class has no spare pages\r\n"},
		{"slabs reassign a b\r\n", "CLIENT_ERROR bad command line format\r\n"},
		{"lru_crawler disable\r\n", "OK\r\n"},
		{"lru_crawler crawl all\r\n", "CLIENT_ERROR lru crawler disabled\r\n"},
		{"lru_crawler metadump all\r\n", "CLIENT_ERROR lru crawler disabled\r\n"},
		{"lru_crawler enable\r\n", "OK\r\n"},
		{"mg a\r\nlru_crawler metadump all\r\n", "EN\r\nERROR cannot pipeline other commands before metadump\r\n"},
		{"mn\r\nlru_crawler mgdump all\r\n", "MN\r\nERROR cannot pipeline other commands before mgdump\r\n"},
		{"mn\r\nwatch\r\n", "MN\r\nERROR cannot pipeline other commands before watch\r\n"},
		{"slabs automove ratio 0.5\r\nslabs automove window 5\r\nslabs automove freeratio 0.1\r\n", "OK\r\nOK\r\nOK\r\n"},
		{"slabs automove ratio\r\nslabs automove window x\r\n", "ERROR\r\nCLIENT_ERROR bad command line format\r\n"},
		{"verbosity\r\nverbosity x\r\n", "CLIENT_ERROR bad command line format\r\nCLIENT_ERROR bad command line format\r\n"},
		{"lru_crawler crawl x\r\n", "BADCLASS invalid class id\r\n"},
		{"lru_crawler crawl 1,2\r\n", "OK\r\n"},
		{"lru_crawler sleep 2000000\r\n", "CLIENT_ERROR sleep must be one second or less\r\n"},
		{"lru_crawler sleep 0\r\n", "OK\r\n"},
		{"lru_crawler tocrawl 0\r\n", "OK\r\n"},
		{"lru_crawler tocrawl x\r\n", "CLIENT_ERROR bad command line format\r\n"},
		{"set a 7 0 1\r\nx\r\nset b%20c 0 0 2\r\nyy\r\n", "STORED\r\nSTORED\r\n"},
		{"debugitem ref nope\r\n", "MISS\r\n"},
		{"debugitem ref a\r\ndebugitem unref b%20c\r\ndebugitem unref a\r\n", "OK\r\nMISS\r\nOK\r\n"},
		{"debugtime x\r\n", "ERROR\r\n"},
		{"debugtime p\r\ndebugtime +60\r\ndebugtime -60\r\ndebugtime 60\r\ndebugtime -60\r\ndebugtime r\r\n", "OK\r\nOK\r\nOK\r\nOK\r\nOK\r\nOK\r\n"},
		{"refresh_certs\r\n", "ERROR TLS is not enabled\r\n"},
		{"stats detail\r\n", "CLIENT_ERROR usage: stats detail on|off|dump\r\n"},
		{"stats detail on\r\n", "OK\r\n"},
		{"set p:1 0 0 1\r\nx\r\nget p:1 p:2\r\ndelete p:1\r\nget noprefix\r\n", "STORED\r\nVALUE p:1 0 1\r\nx\r\nEND\r\nDELETED\r\nEND\r\n"},
		{"stats detail dump\r\n", "PREFIX p get 2 hit 1 set 1 del 1\r\nEND\r\n"},
		{"stats detail off\r\n", "OK\r\n"},
		{"stats reset\r\nstats detail dump\r\n", "RESET\r\nEND\r\n"},
		{"stats cachedump\r\n", "CLIENT_ERROR bad command line\r\n"},
		{"stats cachedump 1 1 \r\n", "ITEM "},
	} {
		c.ask(t, step[0], step[1])
	}
	dial(t, addr).ask(t, "shutdown now\r\n", "CLIENT_ERROR invalid shutdown mode\r\n")
	last := dial(t, addr)
	last.ask(t, "shutdown graceful\r\n", "")
	if rest, err := io.ReadAll(last.r); err != nil || len(rest) != 0 {
		t.Errorf("%q, %v", rest, err)
	}
	if stopped.Load() != 11 {
		t.Errorf("shutdown was asked for %d times", stopped.Load())
	}
}

// What flags forbid is refused.
func TestForbidden(t *testing.T) {
	addr, _ := start(t, Config{NoDump: true, NoWatch: true, Crawler: Crawler{On: true}}, store.Config{})
	c := dial(t, addr)
	for _, step := range [][2]string{
		{"shutdown\r\n", "SERVER_ERROR: shutdown not enabled\r\n"},
		{"watch\r\n", "CLIENT_ERROR watch commands not allowed\r\n"},
		{"lru_crawler metadump all\r\n", "ERROR metadump not allowed\r\n"},
		{"lru_crawler mgdump all\r\n", "ERROR key dump not allowed\r\n"},
		{"stats cachedump 1 1\r\n", "CLIENT_ERROR stats cachedump not allowed\r\n"},
		{"stats detail dump\r\n", "CLIENT_ERROR stats detail not allowed\r\n"},
		{"debugtime p\r\n", "ERROR\r\n"},
		{"debugitem ref a\r\n", "ERROR\r\n"},
	} {
		c.ask(t, step[0], step[1])
	}
}

// A dump lists every item once, though it is much longer than what a connection may be owed, and other commands go on after it.
func TestDump(t *testing.T) {
	addr, s := start(t, Config{Crawler: Crawler{On: true}}, store.Config{})
	const items = 30_000
	var sets strings.Builder
	for i := range items {
		fmt.Fprintf(&sets, "set /page/%d?a%%20b 5 0 10 noreply\r\n0123456789\r\n", i)
	}
	c := dial(t, addr)
	c.ask(t, sets.String()+"mn\r\n", "MN\r\n")
	c.ask(t, "lru_crawler metadump all\r\nmn\r\n", "OK\r\n")
	line := regexp.MustCompile(`^key=%2Fpage%2F(\d+)%3Fa%2520b exp=-1 la=\d+ cas=\d+ fetch=no cls=\d+ size=\d+ flags=5\n$`)
	seen := make(map[string]bool)
	for {
		text, err := c.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if text == "END\r\n" {
			break
		}
		m := line.FindStringSubmatch(text)
		if m == nil || seen[m[1]] {
			t.Fatalf("line %q", text)
		}
		seen[m[1]] = true
	}
	if len(seen) != items {
		t.Errorf("%d of %d items", len(seen), items)
	}
	c.expect(t, "MN\r\n")
	c.ask(t, "lru_crawler mgdump hash\r\n", "OK\r\nmg /page/")
	if n := s.store.Stats().CurrItems; n != items {
		t.Errorf("%d items", n)
	}
}

// Watchers hear of what they have asked for, and of nothing else.
func TestWatch(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{})
	watcher := dial(t, addr)
	watcher.ask(t, "watch nonsense\r\n", "ERROR\r\n")
	watcher.ask(t, "watch fetchers mutations deletions connevents\r\n", "OK\r\n")
	realproc.WaitFor(t, 10*time.Second, "the watcher", func() bool {
		c := dial(t, addr)
		c.ask(t, "stats conns\r\n", "")
		text := readStats(t, c)
		return strings.Contains(text, "conn_watch")
	})
	c := dial(t, addr)
	c.ask(t, "set a%20b 0 100 3\r\nabc\r\nget a%20b\r\nget nope\r\nmg a%20b v\r\ndelete a%20b\r\n",
		"STORED\r\nVALUE a%20b 0 3\r\nabc\r\nEND\r\nEND\r\nVA 3\r\nabc\r\nDELETED\r\n")
	for _, want := range []string{
		`conn_new rip=127\.0\.0\.1 rport=\d+ transport=tcp cfd=\d+`,
		`item_get key=a%2520b status=not_found clsid=0 cfd=\d+ size=0`,
		`item_store key=a%2520b status=stored cmd=set ttl=(100|99) clsid=\d+ cfd=\d+ size=3`,
		`item_get key=a%2520b status=found clsid=\d+ cfd=\d+ size=3`,
		`item_get key=nope status=not_found clsid=0 cfd=\d+ size=0`,
		`item_get key=a%2520b status=found clsid=\d+ cfd=\d+ size=3`,
		`item_get key=a%2520b status=found clsid=\d+ cfd=\d+ size=3`,
		`deleted key=a%2520b cmd=delete clsid=1 size=3`,
		`conn_close rip=127\.0\.0\.1 rport=\d+ transport=tcp reason=normal cfd=\d+`,
	} {
		if strings.Contains(want, "conn_close") {
			c.ask(t, "quit\r\n", "")
		}
		wanted := regexp.MustCompile(`^ts=\d+\.\d{6} gid=\d+ type=` + want + "\n$")
		for {
			line, err := watcher.r.ReadString('\n')
			if err != nil {
				t.Fatalf("%v, wanting %s", err, want)
			}
			if wanted.MatchString(line) {
				break
			}
			if !strings.Contains(line, "type=conn_") { // of the connections that asked for stats
				t.Fatalf("%q, wanting %s", line, want)
			}
		}
	}
}

// readStats reads lines to the END.
func readStats(t *testing.T, c *client) string {
	var all strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "END\r\n" {
			return all.String()
		}
		all.WriteString(line)
	}
}

// A watcher that does not read costs nobody else anything but lines that it misses; it is told how many.
func TestSlowWatcher(t *testing.T) {
	w := &watcher{kinds: fetchers, limit: 100, wake: make(chan struct{}, 1)}
	var e events
	e.add(w)
	for range 10 {
		e.tell(fetchers, "%s", strings.Repeat("x", 20))
	}
	if e.skipped.Load() == 0 || e.sent.Load()+e.skipped.Load() != 10 {
		t.Errorf("%d sent, %d skipped", e.sent.Load(), e.skipped.Load())
	}
	skipped := e.skipped.Load()
	_ = w.take(nil)
	e.tell(fetchers, "last")
	if got := string(w.take(nil)); !strings.HasPrefix(got, fmt.Sprintf("skipped=%d\n", skipped)) || !strings.HasSuffix(got, "type=last\n") {
		t.Errorf("%q", got)
	}
	e.remove(w)
	if e.watched(fetchers) {
		t.Error("still watched")
	}
}

// stats conns names each connection.
func TestStatsConns(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{})
	c := dial(t, addr)
	c.ask(t, "stats conns\r\n", "")
	text := readStats(t, c)
	for _, want := range []string{":addr tcp:" + c.LocalAddr().String(), ":listen_addr tcp:" + addr, ":state conn_listening", ":secs_since_last_cmd 0"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
}

// Evictions are told with what is known of the item.
func TestWatchEvictions(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{MemoryLimit: 2 << 20})
	watcher := dial(t, addr)
	watcher.ask(t, "watch evictions\r\n", "OK\r\n")
	c := dial(t, addr)
	done := make(chan struct{})
	go func() {
		defer close(done)
		line, err := watcher.r.ReadString('\n')
		if err != nil || !regexp.MustCompile(`type=eviction key=k\d+ fetch=no ttl=-1 la=\d+ clsid=\d+ size=1000\n$`).MatchString(line) {
			t.Errorf("%q, %v", line, err)
		}
	}()
	value := strings.Repeat("v", 1000)
	for i := 0; ; i++ {
		select {
		case <-done:
			return
		default:
		}
		if i == 200_000 {
			t.Fatal("nobody was told")
		}
		if _, err := fmt.Fprintf(c, "set k%d 0 0 1000 noreply\r\n%s\r\n", i, value); err != nil {
			t.Fatal(err)
		}
	}
}

// With a stale window two hundred clients that poll an expiring key cause one miss per interval.
func TestStaleWindowOverTheWire(t *testing.T) {
	addr, s := start(t, Config{StaleWindow: true}, store.Config{StaleWindow: 60, StaleRetry: 30})
	dial(t, addr).ask(t, "set k 0 1 3\r\nold\r\n", "STORED\r\n")
	const hit, miss = "VALUE k 0 3\r\nold\r\nEND\r\n", "END\r\n"
	expired := dial(t, addr)
	realproc.WaitFor(t, 10*time.Second, "the key to expire", func() bool {
		_, _ = io.WriteString(expired, "get k\r\n")
		line, err := expired.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == miss {
			return true
		}
		expired.expect(t, "old\r\nEND\r\n")
		return false
	})
	for range 200 {
		dial(t, addr).ask(t, "get k\r\n", hit)
	}
	if st := s.store.Stats(); st.ElectedMisses != 1 || st.StaleHits != 200 {
		t.Errorf("%d elected, %d stale", st.ElectedMisses, st.StaleHits)
	}
	c := dial(t, addr)
	c.ask(t, "stats\r\n", "")
	if text := readStats(t, c); !strings.Contains(text, "STAT stale_hits 200\r\n") || !strings.Contains(text, "STAT elected_misses 1\r\n") {
		t.Error(text)
	}
	c.ask(t, "delete k\r\n", "NOT_FOUND\r\n") // it is no item any more, and now it is gone for good
	c.ask(t, "get k\r\n", miss)
}
