package server

import (
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"pagegate/cacheserver/store"
	"pagegate/internal/realproc"
)

// What programs that know memcached well look for: how connections, watchers and the crawler are told of.

// A line that is no command and looks like a web client's ends the conversation without a word, and watchers hear why.
func TestWebClientsAreHungUpOn(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{})
	watcher := dial(t, addr)
	watcher.ask(t, "watch connevents\r\n", "OK\r\n")
	for _, line := range []string{"GET / HTTP/1.0", "PUT /a HTTP/1.1", "DELETE HTTP/1.1", "POST / HTTP/1.1", "PURGE /a HTTP/1.1"} {
		c := dial(t, addr)
		c.ask(t, line+"\r\n", "")
		if rest, err := io.ReadAll(c.r); err != nil || len(rest) != 0 {
			t.Errorf("%s: %q, %v", line, rest, err)
		}
		wantEvent(t, watcher, "conn_new .*")
		wantEvent(t, watcher, "conn_close .* transport=tcp reason=error cfd=.*")
	}
	dial(t, addr).Close()
	wantEvent(t, watcher, "conn_new .*")
	wantEvent(t, watcher, "conn_close .* reason=normal .*")
}

// Who watches sysevents hears of pages that move.
func TestPageMovesAreTold(t *testing.T) {
	addr, s := start(t, Config{}, store.Config{})
	watcher := dial(t, addr)
	watcher.ask(t, "watch sysevents\r\n", "OK\r\n")
	s.pageMoves(3, 0, true)
	s.pageMoves(1, 2, false)
	wantEvent(t, watcher, "slab_move src=3 dst=0 state=ok")
	wantEvent(t, watcher, "slab_move src=1 dst=2 state=fail")
}

// wantEvent reads a watcher's next line.
func wantEvent(t *testing.T, watcher *client, want string) {
	t.Helper()
	line, err := watcher.r.ReadString('\n')
	if err != nil || !regexp.MustCompile(`^ts=\d+\.\d{6} gid=\d+ type=`+want+"\n$").MatchString(line) {
		t.Fatalf("%q, %v, want %s", line, err, want)
	}
}

// Events are those of memcached 1.6.18, numbers aside.
func TestEventsSameAsMemcached(t *testing.T) {
	theirs, _ := realproc.Memcached(t)
	ours, _ := start(t, Config{}, store.Config{})
	var got [2][]string
	for i, addr := range []string{theirs, ours} {
		watcher := dial(t, addr)
		watcher.ask(t, "watch fetchers mutations\r\n", "OK\r\n")
		c := dial(t, addr)
		for _, command := range [][2]string{
			{"set a 0 0 5\r\nhello\r\n", "STORED\r\n"}, {"set a 0 300 5\r\nhello\r\n", "STORED\r\n"}, {"get a\r\n", "VALUE a 0 5\r\nhello\r\nEND\r\n"},
			{"touch a 100\r\n", "TOUCHED\r\n"}, {"incr a 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"},
			{"add a 0 0 1\r\n1\r\n", "NOT_STORED\r\n"}, {"ms a 1\r\n1\r\n", "HD\r\n"}, {"mg a v\r\n", "VA 1\r\n1\r\n"},
			{"mg b v\r\n", "EN\r\n"}, {"delete a\r\n", "DELETED\r\n"}, {"replace a 0 0 1\r\n1\r\n", "NOT_STORED\r\n"}, {"incr a 1\r\n", "NOT_FOUND\r\n"},
		} {
			c.ask(t, command[0], command[1])
		}
		for range 17 {
			line, err := watcher.r.ReadString('\n')
			if err != nil {
				t.Fatalf("%v after %q", err, got[i])
			}
			line = regexp.MustCompile(`ts=\S+ gid=\d+|cfd=\d+`).ReplaceAllString(line, "")
			got[i] = append(got[i], regexp.MustCompile(`ttl=(299|300)`).ReplaceAllString(line, "ttl=300"))
		}
	}
	if a, b := strings.Join(got[0], ""), strings.Join(got[1], ""); a != b {
		t.Errorf("memcached:\n%s\ncacheserver:\n%s", a, b)
	}
}

// stats conns tells what each connection waits for, and of the sockets by their numbers.
func TestConnectionStates(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := start(t, Config{UDP: []*net.UDPConn{conn.(*net.UDPConn)}}, store.Config{})
	half, refused := dial(t, addr), dial(t, addr)
	half.ask(t, "set foo 0 0 6\r\nab", "")
	refused.ask(t, "set foo 0 0 2000000\r\nab", "")
	var text string
	realproc.WaitFor(t, 10*time.Second, "both to be at it", func() bool {
		c := dial(t, addr)
		c.ask(t, "stats conns\r\n", "")
		text = readStats(t, c)
		return strings.Contains(text, ":state conn_nread\r\n") && strings.Contains(text, ":state conn_swallow\r\n")
	})
	for _, want := range []string{
		`STAT \d+:state conn_parse_cmd\r\n`, `STAT (\d+):addr tcp:` + addr + `\r\nSTAT \d+:state conn_listening\r\n`,
		`STAT \d+:addr udp:` + conn.LocalAddr().String() + `\r\n`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	half.ask(t, "cdef\r\n", "STORED\r\n")
}

// A crawl is about the classes that it is asked for, begins at once, and its figures are told by class.
func TestCrawlOfOneClass(t *testing.T) {
	addr, s := start(t, Config{Crawler: Crawler{On: true}}, store.Config{LRU: store.LRU{Segmented: true}})
	c := dial(t, addr)
	for i := range 30 {
		c.ask(t, fmt.Sprintf("set s%d 0 -1 2\r\nok\r\nset l%d 0 -1 500\r\n%s\r\nset i%d 0 0 2\r\nok\r\n", i, i, strings.Repeat("v", 500), i), "STORED\r\nSTORED\r\nSTORED\r\n")
	}
	c.ask(t, "lru_crawler crawl 1\r\n", "OK\r\n")
	realproc.WaitFor(t, 10*time.Second, "the end of the crawl", func() bool { return c.stats(t, "stats")["lru_crawler_running"] == "0" })
	items := c.stats(t, "stats items")
	if items["items:1:crawler_reclaimed"] != "30" || items["items:1:crawler_items_checked"] != "60" || s.store.Stats().CurrItems != 60 {
		t.Errorf("%v", items)
	}
	if got := c.stats(t, "stats"); got["crawler_reclaimed"] != "30" || got["lru_crawler_starts"] != "1" {
		t.Errorf("%v", got)
	}
}

// Replies that wait to be sent take no more than they may: a get says so, a batch of other commands is cut off.
func TestReplyMemory(t *testing.T) {
	addr, _ := start(t, Config{Workers: 32, MaxRequests: 500, ReplyMemory: 1 << 20}, store.Config{})
	c := dial(t, addr)
	c.ask(t, "get"+strings.Repeat(" foo", 500)+"\r\n", "SERVER_ERROR out of memory writing get response\r\n")
	c.ask(t, "get foo bar\r\n", "END\r\n")
	batch := dial(t, addr)
	batch.ask(t, strings.Repeat("mg foo v\r\n", 500), "")
	if rest, _ := io.ReadAll(batch.r); len(rest) != 0 {
		t.Errorf("%q", rest)
	}
	if got := c.stats(t, "stats")["response_obj_oom"]; got != "2" {
		t.Errorf("response_obj_oom %s", got)
	}
}

// idle_kicks is told where connections can be idle for too long.
func TestIdleKicksStat(t *testing.T) {
	with, _ := start(t, Config{IdleTimeout: 100}, store.Config{})
	without, _ := start(t, Config{}, store.Config{})
	if got := dial(t, with).stats(t, "stats")["idle_kicks"]; got != "0" {
		t.Errorf("idle_kicks %q", got)
	}
	if _, ok := dial(t, without).stats(t, "stats")["idle_kicks"]; ok {
		t.Error("idle_kicks without a timeout")
	}
}

// slabs reassign answers at once and moves a page with what is in it; connections that are reserved are not clients' to have.
func TestReassignOverTheWire(t *testing.T) {
	addr, _ := start(t, Config{Maintainer: true, MaxConns: 12, Reserved: 10, RefuseFast: true}, store.Config{MemoryLimit: 8 << 20, LRU: store.LRU{Segmented: true}})
	c := dial(t, addr)
	value := strings.Repeat("v", 9_000)
	for i := range 400 {
		c.ask(t, fmt.Sprintf("set k%d 0 0 9000\r\n%s\r\n", i, value), "STORED\r\n")
	}
	c.ask(t, "slabs reassign -1 1\r\n", "OK\r\n")
	realproc.WaitFor(t, 10*time.Second, "the page to move", func() bool { return c.stats(t, "stats")["slabs_moved"] == "1" })
	st := c.stats(t, "stats")
	if st["slab_reassign_rescues"] == "0" || st["evictions"] != "0" || st["curr_items"] != "400" || st["slab_reassign_running"] != "0" {
		t.Errorf("%v", st)
	}
	if got := c.stats(t, "stats slabs")["1:total_pages"]; got != "1" {
		t.Errorf("the class has %s pages", got)
	}
	second := dial(t, addr)
	second.ask(t, "mn\r\n", "MN\r\n")
	dial(t, addr).ask(t, "", "ERROR Too many open connections\r\n")
}
