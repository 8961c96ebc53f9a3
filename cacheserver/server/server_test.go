package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pagegate/cacheserver/store"
)

// The workers keep their processors through short waits: as the program does, the tests have more of them than workers, or the
// clients here would wait for one.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 8)
	goleak.VerifyTestMain(m)
}

// start runs a server over TCP in this process and returns its address.
func start(t testing.TB, cfg Config, sc store.Config) (addr string, s *Server) {
	t.Helper()
	clock := NewClock(time.Now)
	sc.Now = clock.Unix
	cfg.NoUring = os.Getenv("PAGEGATE_TEST_NO_URING") != "" // the same over epoll
	if cfg.KeyMax == 0 {
		cfg.KeyMax = 250
	}
	sc.KeyMax = cfg.KeyMax
	st, err := store.New(sc)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if s, err = New(cfg, st, clock.Unix, l); err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.Serve()
	}()
	t.Cleanup(func() {
		s.Close()
		<-served
		if n := s.conns.Load(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
		if sc.Disk != nil {
			if err := sc.Disk.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := st.Close(); err != nil {
			t.Error(err)
		}
		clock.Stop()
	})
	return l.Addr().String(), s
}

// client is a connection with a bound on every wait.
type client struct {
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{c, bufio.NewReader(c)}
}

// ask sends text and reads as many bytes as want has.
func (c *client) ask(t testing.TB, text, want string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	c.expect(t, want)
}

func (c *client) expect(t testing.TB, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c.r, got)
	if string(got[:n]) != want {
		t.Fatalf("got %.200q (%v)\nwant %.200q", got[:n], err, want)
	}
}

func TestCommands(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{})
	c := dial(t, addr)
	for _, step := range [][2]string{
		{"set a 5 0 3\r\nabc\r\n", "STORED\r\n"},
		{"get a b a\r\n", "VALUE a 5 3\r\nabc\r\nVALUE a 5 3\r\nabc\r\nEND\r\n"},
		{"add a 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
		{"replace b 0 0 1\r\nx\r\n", "NOT_STORED\r\n"},
		{"append a 9 0 2\r\nde\r\n", "STORED\r\n"},
		{"prepend a 9 0 2\r\n__\r\n", "STORED\r\n"},
		{"get a\r\n", "VALUE a 5 7\r\n__abcde\r\nEND\r\n"},
		{"cas a 0 0 1 999999\r\nx\r\n", "EXISTS\r\n"},
		{"cas nope 0 0 1 1\r\nx\r\n", "NOT_FOUND\r\n"},
		{"set n 0 0 1\r\n9\r\n", "STORED\r\n"},
		{"incr n 2\r\n", "11\r\n"},
		{"decr n 2\r\n", "9\r\n"},
		{"get n\r\n", "VALUE n 0 2\r\n9 \r\nEND\r\n"},
		{"decr n 100\r\n", "0\r\n"},
		{"incr a 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"},
		{"touch a 100\r\ntouch zz 1\r\n", "TOUCHED\r\nNOT_FOUND\r\n"},
		{"gat 0 a\r\n", "VALUE a 5 7\r\n__abcde\r\nEND\r\n"},
		{"delete a\r\ndelete a\r\n", "DELETED\r\nNOT_FOUND\r\n"},
		{"set e 0 -1 1\r\nx\r\nget e\r\n", "STORED\r\nEND\r\n"},
		{"set q 0 0 1 noreply\r\nx\r\nget q\r\n", "VALUE q 0 1\r\nx\r\nEND\r\n"},
		{"set q 0 0 0\r\n\r\nget q\r\n", "STORED\r\nVALUE q 0 0\r\n\r\nEND\r\n"},
		{"set q 0 0 1\r\nxy\r\n", "CLIENT_ERROR bad data chunk\r\nCLIENT_ERROR bad command line format\r\n"},
		{"version\r\n", "VERSION " + Version + "\r\n"},
		{"flush_all\r\nget n q\r\n", "OK\r\nEND\r\n"},
		{"set a 0 0 1\r\nx\r\nflush_all 100\r\nget a\r\n", "STORED\r\nOK\r\nVALUE a 0 1\r\nx\r\nEND\r\n"},
		{"flush_all -1\r\nget a\r\n", "OK\r\nEND\r\n"},
		{"verbosity 1\r\nmn\r\n", "OK\r\nMN\r\n"},
		{"quit\r\n", ""},
	} {
		c.ask(t, step[0], step[1])
	}
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("after quit: %v", err)
	}
}

// A value of any size, in whatever pieces it arrives, comes back whole.
func TestLargeValues(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{MemoryLimit: 128 << 20, ItemSizeMax: 16 << 20})
	c := dial(t, addr)
	for _, n := range []int{0, 1, 1023, 1024, 65535, 65536, 200_000, 1 << 20, 10 << 20} {
		value := bytes.Repeat([]byte{byte('a' + n%26)}, n)
		fmt.Fprintf(c, "set k 0 0 %d\r\n", n)
		for rest := value; len(rest) > 0; {
			part := rest[:min(len(rest), 77_777)]
			if _, err := c.Write(part); err != nil {
				t.Fatal(err)
			}
			rest = rest[len(part):]
		}
		c.ask(t, "\r\n", "STORED\r\n")
		c.ask(t, "get k\r\n", fmt.Sprintf("VALUE k 0 %d\r\n%s\r\nEND\r\n", n, value))
	}
}

func TestTooLarge(t *testing.T) {
	addr, s := start(t, Config{}, store.Config{})
	c := dial(t, addr)
	c.ask(t, "set k 0 0 3\r\nold\r\n", "STORED\r\n")
	big := strings.Repeat("x", 2<<20)
	c.ask(t, fmt.Sprintf("set k 0 0 %d\r\n%s\r\n", len(big), big), "SERVER_ERROR object too large for cache\r\n")
	c.ask(t, "get k\r\n", "END\r\n") // nobody reads the outdated one
	c.ask(t, fmt.Sprintf("set k 0 0 %d noreply\r\n%s\r\nmn\r\n", len(big), big), "MN\r\n")
	if n := s.sum(func(c *counters) *atomic.Uint64 { return &c.tooLarge }); n != 2 {
		t.Errorf("store_too_large: %d", n)
	}
	// A gigabyte that never comes costs nothing.
	c.ask(t, "set k 0 0 1073741824\r\n", "")
}

func TestLinesWithoutEnd(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{})
	c := dial(t, addr)
	c.ask(t, "mn\r\n"+strings.Repeat("a", 5000), "MN\r\n") // and nothing else is said to it
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("the connection goes on: %v", err)
	}
	web := dial(t, addr)
	_, _ = io.WriteString(web, "POST /x HTTP/1.1\r\nHost: a\r\n\r\nset evil 0 0 1\r\nx\r\n")
	if _, err := web.r.ReadByte(); err == nil {
		t.Error("a web client was answered")
	}
	many := dial(t, addr)
	many.ask(t, "get "+strings.Repeat("key_of_some_length ", 19_000)+"\r\n", "END\r\n")
}

func TestPageKeys(t *testing.T) {
	addr, _ := start(t, Config{KeyMax: 8000, PageKeys: true}, store.Config{})
	c := dial(t, addr)
	key := "/" + strings.Repeat("k", 7998) + "?"
	c.ask(t, "get "+key+"\r\n", "END\r\n")
	c.ask(t, "set "+key+" 0 0 4\r\npage\r\n", "STORED\r\n")
	c.ask(t, "get "+key+"\r\n", "VALUE "+key+" 0 4\r\npage\r\nEND\r\n")
	c.ask(t, "get "+key+key+"\r\n", "END\r\n") // longer than any key: a miss
	c.ask(t, "get /\x01\x7f\xff\"?\r\n", "END\r\n")
}

// Whoever does not read is not read from; the others never notice.
func TestDeafClient(t *testing.T) {
	addr, _ := start(t, Config{Workers: 1}, store.Config{})
	c := dial(t, addr)
	value := strings.Repeat("v", 500_000)
	c.ask(t, fmt.Sprintf("set big 0 0 %d\r\n%s\r\n", len(value), value), "STORED\r\n")
	deaf := dial(t, addr)
	_ = deaf.SetWriteDeadline(time.Now().Add(time.Second))
	sent, err := io.Copy(deaf, strings.NewReader(strings.Repeat("get big\r\n", 2_000_000)))
	if err == nil {
		t.Errorf("all of %d bytes of requests were taken in", sent)
	}
	c.ask(t, "get big\r\n", fmt.Sprintf("VALUE big 0 %d\r\n%s\r\nEND\r\n", len(value), value))
	// When it listens at last it gets what it asked for, whole.
	_ = deaf.SetDeadline(time.Now().Add(20 * time.Second))
	for range 20 {
		deaf.expect(t, fmt.Sprintf("VALUE big 0 %d\r\n%s\r\nEND\r\n", len(value), value))
	}
}

func TestTurns(t *testing.T) {
	addr, s := start(t, Config{Workers: 1, MaxRequests: 5}, store.Config{})
	c := dial(t, addr)
	c.ask(t, strings.Repeat("mn\r\n", 1000), strings.Repeat("MN\r\n", 1000))
	if n := s.workers[0].stats.connYields.Load(); n < 100 {
		t.Errorf("conn_yields: %d", n)
	}
}

func TestConnectionLimit(t *testing.T) {
	t.Run("maxconns_fast", func(t *testing.T) {
		addr, s := start(t, Config{MaxConns: 2, RefuseFast: true}, store.Config{})
		one, two := dial(t, addr), dial(t, addr)
		one.ask(t, "mn\r\n", "MN\r\n")
		two.ask(t, "mn\r\n", "MN\r\n")
		three := dial(t, addr)
		three.ask(t, "", "ERROR Too many open connections\r\n")
		if s.rejected.Load() != 1 {
			t.Error("not counted")
		}
		two.Close()
		waitFor(t, func() bool { return s.conns.Load() == 1 })
		dial(t, addr).ask(t, "mn\r\n", "MN\r\n")
	})
	t.Run("waiting", func(t *testing.T) {
		addr, s := start(t, Config{MaxConns: 1}, store.Config{})
		one := dial(t, addr)
		one.ask(t, "mn\r\n", "MN\r\n")
		two := dial(t, addr)
		_, _ = io.WriteString(two, "mn\r\n")
		waitFor(t, func() bool { return s.listenDisabled.Load() > 0 })
		one.Close()
		two.expect(t, "MN\r\n")
	})
}

func waitFor(t testing.TB, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	addr, _ := start(t, Config{IdleTimeout: 1}, store.Config{})
	c := dial(t, addr)
	if _, err := c.r.ReadByte(); err != io.EOF {
		t.Errorf("%v", err)
	}
}

func TestManyConnections(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{})
	var wg sync.WaitGroup
	for g := range 300 {
		wg.Go(func() {
			c := dial(t, addr)
			for i := range 20 {
				key := fmt.Sprintf("k%d", (g*7+i)%50)
				value := strings.Repeat(key, 100+i)
				fmt.Fprintf(c, "set %s 0 0 %d\r\n%s\r\nget %s\r\n", key, len(value), value, key)
				line, err := c.r.ReadString('\n')
				if err != nil || line != "STORED\r\n" {
					t.Errorf("%q, %v", line, err)
					return
				}
				for {
					line, err := c.r.ReadString('\n')
					if err != nil {
						t.Error(err)
						return
					}
					if line == "END\r\n" {
						break
					}
					if !strings.HasPrefix(line, "VALUE ") && strings.Trim(strings.ReplaceAll(line, key, ""), "\r\n") != "" {
						t.Errorf("a torn value of %s: %.100q", key, line)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestStats(t *testing.T) {
	addr, _ := start(t, Config{RefuseFast: true}, store.Config{})
	c := dial(t, addr)
	c.ask(t, "set a 0 0 1\r\nx\r\nget a b\r\n", "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n")
	got := c.stats(t, "stats")
	// Every line of the seed's list, and that all of the 84 are there.
	for _, name := range strings.Fields(`pid uptime time version libevent pointer_size rusage_user rusage_system curr_connections
		total_connections connection_structures reserved_fds cmd_get cmd_set cmd_flush cmd_touch get_hits get_misses
		delete_misses delete_hits incr_misses incr_hits decr_misses decr_hits cas_misses cas_hits cas_badval touch_hits
		touch_misses auth_cmds auth_errors bytes_read bytes_written limit_maxbytes accepting_conns listen_disabled_num
		threads conn_yields hash_power_level hash_bytes hash_is_expanding bytes curr_items total_items expired_unfetched
		evicted_unfetched evictions reclaimed`) {
		if _, ok := got[name]; !ok {
			t.Errorf("no line %s", name)
		}
	}
	if len(got) != 84 {
		t.Errorf("%d lines", len(got))
	}
	for name, want := range map[string]string{"cmd_get": "2", "cmd_set": "1", "get_hits": "1", "get_misses": "1", "curr_items": "1",
		"limit_maxbytes": "67108864", "threads": "4", "accepting_conns": "1", "curr_connections": "1"} {
		if got[name] != want {
			t.Errorf("%s is %s, want %s", name, got[name], want)
		}
	}
	if items := c.stats(t, "stats items"); items["items:1:number"] != "1" {
		t.Errorf("%v", items)
	}
	if slabs := c.stats(t, "stats slabs"); slabs["1:chunk_size"] != "96" || slabs["active_slabs"] != "1" {
		t.Errorf("%v", slabs)
	}
	if sizes := c.stats(t, "stats sizes"); len(sizes) != 1 {
		t.Errorf("%v", sizes)
	}
	c.ask(t, "stats reset\r\n", "RESET\r\n")
	if got := c.stats(t, "stats"); got["cmd_get"] != "0" {
		t.Errorf("after a reset: %s", got["cmd_get"])
	}
	c.ask(t, "stats nonsense\r\n", "ERROR\r\n")
}

func (c *client) stats(t testing.TB, command string) map[string]string {
	t.Helper()
	_, _ = io.WriteString(c, command+"\r\n")
	all := make(map[string]string)
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "END\r\n" {
			return all
		}
		name, value, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(line, "STAT "), "\r\n"), " ")
		if !ok {
			t.Fatalf("%q", line)
		}
		all[name] = value
	}
}
