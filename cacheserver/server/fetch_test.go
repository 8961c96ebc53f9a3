package server

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pagegate/cacheserver/extstore"
	"pagegate/cacheserver/protocol"
	"pagegate/cacheserver/store"
	"pagegate/internal/realproc"
)

// startDisk runs a server whose cold values, which with one LRU list are all, go to disk at once, by one reader.
func startDisk(t testing.TB, cfg Config, sc store.Config) (addr string, s *Server) {
	t.Helper()
	log, err := extstore.Open(extstore.Config{PageSize: 2 << 20, BufferSize: 2 << 20, Readers: 1,
		Files: []extstore.File{{Path: filepath.Join(t.TempDir(), "ext"), Size: 32 << 20}}})
	if err != nil {
		t.Fatal(err)
	}
	sc.Disk = log
	addr, s = start(t, cfg, sc)
	s.store.SetDiskPolicy(store.DiskPolicy{ItemSize: 512})
	s.diskSleep.Store(1_000)
	return addr, s
}

// body is a value that tells its key.
func body(key string, size int) string { return strings.Repeat(key+":", size)[:size] }

// setOnDisk stores values and waits until they are on disk.
func setOnDisk(t testing.TB, s *Server, c *client, size int, keys ...string) {
	t.Helper()
	for _, key := range keys {
		c.ask(t, fmt.Sprintf("set %s 7 0 %d\r\n%s\r\n", key, size, body(key, size)), "STORED\r\n")
	}
	for _, key := range keys {
		realproc.WaitFor(t, 20*time.Second, key+" to go to disk", func() (ok bool) {
			s.store.Edit([]byte(key), func(e store.Entry) { ok = e.Info().OnDisk })
			return ok
		})
	}
}

// lose drops the pages that are not written to, and with them the values of keys.
func lose(t testing.TB, s *Server, c *client, keys ...string) {
	t.Helper()
	setOnDisk(t, s, c, 100_000, keys...)
	for i := range 21 { // more than a page
		setOnDisk(t, s, c, 100_000, fmt.Sprint("filler", i))
	}
	log := s.store.Disk()
	for page, st := range log.Pages() {
		log.Finish(extstore.Plan{Page: uint32(page), Version: st.Version})
	}
}

func (s *Server) statLines() string {
	var o output
	s.writeStats(&o, "", nil)
	return string(o.text)
}

func wantStats(t testing.TB, s *Server, lines ...string) {
	t.Helper()
	all := s.statLines()
	for _, line := range lines {
		if !strings.Contains(all, "STAT "+line+"\r\n") {
			t.Errorf("%q is not in\n%s", line, all)
		}
	}
}

func found(key string, size int) string {
	return fmt.Sprintf("VALUE %s 7 %d\r\n%s\r\n", key, size, body(key, size))
}

// Every look-up gives a value that is on disk as one in memory, in the order in which they were asked for, and misses one that is lost.
func TestFetch(t *testing.T) {
	for _, size := range []int{600, 20_000, 100_000, 700_000} {
		addr, s := startDisk(t, Config{}, store.Config{MemoryLimit: 128 << 20})
		c := dial(t, addr)
		lose(t, s, c, "gone1", "gone2", "gone3")
		setOnDisk(t, s, c, size, "a", "b", "c")
		c.ask(t, "set small 7 0 5\r\nsmall\r\n", "STORED\r\n")
		a, b := found("a", size), found("b", size)
		va := fmt.Sprintf("VA %d", size)
		for _, step := range [][2]string{
			{"get a\r\n", a + "END\r\n"},
			{"get small a gone1 b small a\r\n", "VALUE small 7 5\r\nsmall\r\n" + a + b + "VALUE small 7 5\r\nsmall\r\n" + a + "END\r\n"},
			{"get gone1 a\r\nget nothing gone2\r\nget b\r\nmn\r\n", a + "END\r\nEND\r\n" + b + "END\r\nMN\r\n"},
			{"mg a v f k s\r\nmn\r\n", fmt.Sprintf("%s f7 ka s%d\r\n%s\r\nMN\r\n", va, size, body("a", size))},
			{"mg a f s\r\nmg gone3 s\r\n", fmt.Sprintf("HD f7 s%d\r\nHD s100000\r\n", size)},
			{"mg gone3 v k q\r\nmg b v q\r\nmn\r\n", fmt.Sprintf("%s\r\n%s\r\nMN\r\n", va, body("b", size))},
			{"gat 100 a nothing\r\n", a + "END\r\n"},
			{"touch b 100\r\nincr b 1\r\nappend b 0 0 1\r\nx\r\nms b 1 MA N0\r\nx\r\n", "TOUCHED\r\nCLIENT_ERROR cannot increment or decrement non-numeric value\r\nNOT_STORED\r\nNS\r\n"},
			{"get c\r\ndelete c\r\nget c\r\nadd c 0 0 1\r\nx\r\nget c\r\n", found("c", size) + "END\r\nDELETED\r\nEND\r\nSTORED\r\nVALUE c 0 1\r\nx\r\nEND\r\n"},
		} {
			c.ask(t, step[0], step[1])
		}
		wantStats(t, s, "get_extstore 13", "miss_from_extstore 3", "badcrc_from_extstore 0", "get_oom_extstore 0", "get_aborted_extstore 0", "recache_from_extstore 0")
		c.ask(t, "get gone3\r\nmg gone3 v\r\n", "END\r\nEN\r\n") // the misses are known by now
		wantStats(t, s, "miss_from_extstore 3")
	}
}

func TestFetchMetaMiss(t *testing.T) {
	addr, s := startDisk(t, Config{}, store.Config{})
	c := dial(t, addr)
	lose(t, s, c, "gone1", "gone2")
	c.ask(t, "mg gone1 v k\r\nmg gone2 v q\r\nmn\r\n", "EN\r\nMN\r\n")
}

func TestFetchBinary(t *testing.T) {
	addr, s := startDisk(t, Config{}, store.Config{})
	text := dial(t, addr)
	lose(t, s, text, "gone1", "gone2", "gone3", "gone4")
	setOnDisk(t, s, text, 30_000, "a", "b")
	c := dial(t, addr)
	c.ask(t, packet{op: protocol.OpNoop}.String(), packet{op: protocol.OpNoop}.reply())
	touch := string([]byte{0, 0, 0, 100})
	for _, tt := range []struct {
		request packet
		want    []reply
	}{
		{packet{op: protocol.OpGet, key: "a"}, []reply{{extras: "\x00\x00\x00\x07", value: body("a", 30_000)}}},
		{packet{op: protocol.OpGetK, key: "b"}, []reply{{extras: "\x00\x00\x00\x07", key: "b", value: body("b", 30_000)}}},
		{packet{op: protocol.OpGAT, key: "b", extras: touch}, []reply{{extras: "\x00\x00\x00\x07", value: body("b", 30_000)}}},
		{packet{op: protocol.OpTouch, key: "b", extras: touch}, []reply{{extras: "\x00\x00\x00\x07"}}},
		{packet{op: protocol.OpGet, key: "gone1"}, []reply{{status: protocol.StatusNotFound}}},
		{packet{op: protocol.OpGetK, key: "gone2"}, []reply{{status: protocol.StatusNotFound, key: "gone2"}}},
		{packet{op: quiet(protocol.OpGet), key: "gone3"}, nil},
		{packet{op: quiet(protocol.OpGetK), key: "gone4"}, nil},
		{packet{op: quiet(protocol.OpGetK), key: "a"}, []reply{{extras: "\x00\x00\x00\x07", key: "a", value: body("a", 30_000)}}},
	} {
		got := c.command(t, tt.request)
		if len(got) != len(tt.want) {
			t.Fatalf("%+v: %d replies", tt.request, len(got))
		}
		for i, want := range tt.want {
			if g := got[i]; g.status != want.status || g.extras != want.extras || g.key != want.key || g.value != want.value || g.op != tt.request.op {
				t.Errorf("%+v: status %d, %q, %q, %d bytes", tt.request, g.status, g.extras, g.key, len(g.value))
			}
		}
	}
	wantStats(t, s, "miss_from_extstore 4")
}

// reply is the answer to a request that has no more to say than that it is done.
func (p packet) reply() string {
	b := []byte(p.String())
	b[0] = protocol.BinaryResponseMagic
	return string(b)
}

// While one connection waits for the disk others, of the same worker, go on; it has its answers in order afterwards.
func TestOthersGoOnMeanwhile(t *testing.T) {
	addr, s := startDisk(t, Config{Workers: 1}, store.Config{})
	other, c := dial(t, addr), dial(t, addr)
	setOnDisk(t, s, other, 100_000, "a", "b")
	release := make(chan struct{})
	s.store.Disk().Submit(func() { <-release })
	fmt.Fprint(c, "get a\r\nget b a\r\nversion\r\n")
	realproc.WaitFor(t, 20*time.Second, "the reads to be asked for", func() bool { return s.store.Disk().Stats().Queue == 3 })
	for range 3 {
		other.ask(t, "set x 0 0 1\r\nx\r\nget x\r\n", "STORED\r\nVALUE x 0 1\r\nx\r\nEND\r\n")
	}
	var conns output
	s.writeStats(&conns, "conns", nil)
	if !bytes.Contains(conns.text, []byte(":state conn_io_queue\r\n")) {
		t.Errorf("%s", conns.text)
	}
	fmt.Fprint(c, "mn\r\n") // comes while it waits
	close(release)
	c.expect(t, found("a", 100_000)+"END\r\n"+found("b", 100_000)+found("a", 100_000)+"END\r\nVERSION "+Version+"\r\nMN\r\n")
}

// A client that goes away while it waits leaves nothing behind, nor does the server's end.
func TestGoneMeanwhile(t *testing.T) {
	addr, s := startDisk(t, Config{Workers: 1}, store.Config{})
	c := dial(t, addr)
	setOnDisk(t, s, c, 100_000, "a", "b")
	release := make(chan struct{})
	s.store.Disk().Submit(func() { <-release })
	leaving := dial(t, addr)
	fmt.Fprint(leaving, "get a b\r\n")
	realproc.WaitFor(t, 20*time.Second, "the reads to be asked for", func() bool { return s.store.Disk().Stats().Queue == 2 })
	leaving.Close()
	c.ask(t, "mn\r\n", "MN\r\n")
	close(release)
	realproc.WaitFor(t, 20*time.Second, "its end", func() bool { return s.conns.Load() == 1 })
	c.ask(t, "get a\r\n", found("a", 100_000)+"END\r\n")
	hold := make(chan struct{})
	s.store.Disk().Submit(func() { <-hold })
	fmt.Fprint(c, "get a\r\n")
	realproc.WaitFor(t, 20*time.Second, "the read to be asked for", func() bool { return s.store.Disk().Stats().Queue == 1 })
	time.AfterFunc(10*time.Millisecond, func() { close(hold) }) // start's cleanup ends the server meanwhile, or behind it
}

// More keys than a connection may be owed at once, values and misses in turn.
func TestFetchManyKeys(t *testing.T) {
	addr, s := startDisk(t, Config{MaxRequests: 3}, store.Config{})
	c := dial(t, addr)
	var keys, lost []string
	for i := range 150 {
		keys = append(keys, fmt.Sprint("key", i))
		lost = append(lost, fmt.Sprint("lost", i))
	}
	lose(t, s, c, lost[:15]...)
	setOnDisk(t, s, c, 10_000, keys...)
	request, want := "get", ""
	for i, key := range keys {
		request += " " + key
		want += found(key, 10_000)
		if i < 15 {
			request += " " + lost[i]
		}
	}
	c.ask(t, request+"\r\nmn\r\n", want+"END\r\nMN\r\n")
	c.ask(t, strings.Repeat("get key1 nothing\r\n", 50), strings.Repeat(found("key1", 10_000)+"END\r\n", 50))
	// all of a get's pieces may be of values that do not come
	for range 2 {
		lose(t, s, c, lost...)
	}
	request = "get " + strings.Join(lost, " ") + "\r\nmn\r\n"
	_, err := io.WriteString(c, request)
	if err != nil {
		t.Fatal(err)
	}
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "MN\r\n" {
			break
		}
	}
}

// A get that is an error reads nothing, and its answer is the error alone; what was answered before it stays.
func TestFetchesThatAreGivenUp(t *testing.T) {
	addr, s := startDisk(t, Config{Workers: 1}, store.Config{MemoryLimit: 16 << 20, ItemSizeMax: 2 << 20})
	c := dial(t, addr)
	setOnDisk(t, s, c, 30_000, "a", "b")
	long := strings.Repeat("k", 300)
	c.ask(t, "mn\r\nget a b "+long+"\r\nmn\r\n", "MN\r\n"+protocol.ErrFormat+"\r\nMN\r\n")
	wantStats(t, s, "get_aborted_extstore 2")
	setOnDisk(t, s, c, 1_900_000, "big")
	// Values that are being stored take all the memory.
	var held []store.Pending
	for i := 0; s.store.Stats().FreePages > 0; i++ {
		p, err := s.store.Alloc(fmt.Appendf(nil, "pending%d", i), 0, 0, 3_000)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, p)
	}
	k := dial(t, addr)
	if _, ok := s.store.Get([]byte("big")); !ok {
		t.Fatal("its header is gone")
	}
	for range 2 {
		_, _ = fmt.Fprint(k, "get a big\r\n")
		line, err := k.r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line != errGetMemory+"\r\n" {
			t.Fatalf("%.60q", line)
		}
		if _, err := fmt.Fprint(k, "mg big v\r\n"); err != nil {
			t.Fatal(err)
		}
		k.expect(t, "EN\r\n")
	}
	for i := range held {
		held[i].Abort()
	}
	k.ask(t, "get big\r\n", found("big", 1_900_000)+"END\r\n")
}

// What is said about values on disk.
func TestDiskFigures(t *testing.T) {
	addr, s := startDisk(t, Config{Crawler: Crawler{On: true}}, store.Config{})
	c, watcher := dial(t, addr), dial(t, addr)
	watcher.ask(t, "watch evictions sysevents\r\n", "OK\r\n")
	setOnDisk(t, s, c, 1_000, "a")
	line := func(r *bufio.Reader, want string) string {
		t.Helper()
		for {
			text, err := r.ReadString('\n')
			if err != nil {
				t.Fatalf("%q: %v", want, err)
			}
			if strings.Contains(text, want) {
				return text
			}
		}
	}
	line(watcher.r, "type=extwrite key=a fetch=no ttl=-1 la=0 clsid=")
	line(watcher.r, "type=compact_fraginfo ratio=0.00 bytes=0")
	fmt.Fprint(c, "lru_crawler metadump all\r\n")
	if text := line(c.r, "key=a"); !strings.Contains(text, " flags=7 ext_page=0 ext_offset=13\n") {
		t.Error(text)
	}
	line(c.r, "END")
	c.ask(t, "stats  extstore\r\n", "STAT 0:version 1\r\nSTAT 0:bytes 1013\r\nSTAT 0:bucket 0\r\nSTAT 0:free_bucket 0\r\nSTAT 1:version 0\r\n")
	line(c.r, "END")
	wantStats(t, s, "extstore_objects_used 1", "extstore_bytes_used 1013", "extstore_pages_free 15", "extstore_pages_used 1",
		"extstore_limit_maxbytes 33554432", "extstore_io_queue 0", "extstore_compact_rescues 0")
	for _, step := range [][2]string{
		{"extstore item_size 700\r\n", "OK\r\n"}, {"extstore item_age 50\r\n", "OK\r\n"}, {"extstore low_ttl 3\r\n", "OK\r\n"},
		{"extstore recache_rate 4\r\n", "OK\r\n"}, {"extstore compact_under 5\r\n", "OK\r\n"}, {"extstore drop_under 6\r\n", "OK\r\n"},
		{"extstore max_frag 0.25\r\n", "OK\r\n"}, {"extstore max_sleep 2000\r\n", "OK\r\n"}, {"extstore drop_unread 1\r\n", "OK\r\n"},
		{"extstore free_memchunks 3 5\r\n", "OK\r\n"}, {"extstore free_memchunks 99 5\r\n", "ERROR\r\n"}, {"extstore\r\n", "ERROR\r\n"},
		{"extstore item_age\r\n", "ERROR\r\n"}, {"extstore item_age x\r\n", "ERROR\r\n"}, {"extstore max_frag x\r\n", "ERROR\r\n"},
		{"extstore nothing 1\r\n", "ERROR\r\n"},
	} {
		c.ask(t, step[0], step[1])
	}
	for name, want := range map[string]string{
		"ext_item_size": "700", "ext_item_age": "50", "ext_low_ttl": "3", "ext_recache_rate": "4", "ext_compact_under": "5",
		"ext_drop_under": "6", "ext_max_frag": "0.25", "ext_max_sleep": "2000", "ext_drop_unread": "yes",
	} {
		if got := s.setting(name, ""); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Compaction is told in memcached's words.
func TestCompactionEvents(t *testing.T) {
	addr, s := startDisk(t, Config{}, store.Config{})
	c, watcher := dial(t, addr), dial(t, addr)
	for i := range 60 {
		setOnDisk(t, s, c, 100_000, fmt.Sprint("key", i))
	}
	watcher.ask(t, "watch sysevents\r\n", "OK\r\n")
	for i := range 60 {
		if i%5 != 0 {
			c.ask(t, fmt.Sprintf("delete key%d\r\n", i), "DELETED\r\n")
		}
	}
	c.ask(t, "extstore compact_under 20\r\nextstore max_frag 0.9\r\n", "OK\r\nOK\r\n")
	for _, want := range []string{"type=compact_start id=", "type=compact_read_start id=", "type=compact_read_end id=", "type=compact_end id="} {
		for {
			text, err := watcher.r.ReadString('\n')
			if err != nil {
				t.Fatalf("%q: %v", want, err)
			}
			if strings.Contains(text, want) {
				break
			}
		}
	}
	for i := 0; i < 60; i += 5 {
		c.ask(t, fmt.Sprintf("get key%d\r\n", i), found(fmt.Sprint("key", i), 100_000)+"END\r\n")
	}
	if st := s.store.DiskStats(); st.Rescues == 0 || st.Lost != 0 {
		t.Errorf("%+v", st)
	}
}

// A session with a goroutine of its own, as TLS has, waits by itself.
func TestWaitForLoads(t *testing.T) {
	addr, s := startDisk(t, Config{Workers: 1}, store.Config{})
	c := dial(t, addr)
	setOnDisk(t, s, c, 5_000, "a", "b")
	ss := &session{srv: s, stats: &s.workers[0].stats, budget: 100}
	request := []byte("get a b\r\nmg a v\r\n")
	if n := ss.feed(request); n != len(request) {
		t.Fatalf("%d bytes taken", n)
	}
	ss.waitForLoads()
	want := found("a", 5_000) + found("b", 5_000) + "END\r\nVA 5000\r\n" + body("a", 5_000) + "\r\n"
	if got := string(ss.out.appendTo(nil)); got != want || ss.out.owed != len(want) {
		t.Errorf("%d bytes, %d owed, want %d", len(got), ss.out.owed, len(want))
	}
	ss.end()
}

func TestDiskAndUDP(t *testing.T) {
	log, err := extstore.Open(extstore.Config{PageSize: 2 << 20, BufferSize: 2 << 20, Files: []extstore.File{{Path: filepath.Join(t.TempDir(), "ext"), Size: 2 << 20}}})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	st, err := store.New(store.Config{Disk: log})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := New(Config{UDP: []*net.UDPConn{conn}}, st, time.Now().Unix); err == nil || !strings.Contains(err.Error(), "disk") {
		t.Errorf("%v", err)
	}
}
