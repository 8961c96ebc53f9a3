package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pagegate/internal/realproc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started runs the program until the test ends.
func started(t *testing.T, args ...string) *realproc.Log {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	l := new(realproc.Log)
	go func() { ended <- run(ctx, args, io.Discard, l) }()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("exit code %d: %s", code, l)
		}
	})
	return l
}

// ask sends text to a server, once it listens, and returns as many bytes as want has.
func ask(t *testing.T, network, addr, text, want string) {
	t.Helper()
	var c net.Conn
	realproc.WaitFor(t, 20*time.Second, "the server to listen on "+addr, func() (ok bool) {
		var err error
		c, err = net.Dial(network, addr)
		return err == nil
	})
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(bufio.NewReader(c), got); err != nil || string(got) != want {
		t.Errorf("%q: %q, %v", text, got, err)
	}
}

func TestAddresses(t *testing.T) {
	one, two := realproc.FreePort(t), realproc.FreePort(t)
	started(t, "-p", fmt.Sprint(one), fmt.Sprintf("--listen=127.0.0.1,127.0.0.1:%d", two))
	for _, port := range []int{one, two} {
		ask(t, "tcp", fmt.Sprintf("127.0.0.1:%d", port), "mn\r\n", "MN\r\n")
	}
}

func TestAnyPort(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ports")
	t.Setenv(portFileEnv, file)
	started(t, "-p", "-1", "-l", "127.0.0.1")
	var text []byte
	realproc.WaitFor(t, 20*time.Second, "the file with the ports", func() bool {
		text, _ = os.ReadFile(file)
		return len(text) > 0
	})
	var port int
	if _, err := fmt.Sscanf(string(text), "TCP INET: %d\n", &port); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	ask(t, "tcp", fmt.Sprintf("127.0.0.1:%d", port), "mn\r\n", "MN\r\n")
}

// -U without -p is the port of both; the file tells of both.
func TestUDP(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ports")
	t.Setenv(portFileEnv, file)
	l := started(t, "-U", "-1", "-l", "127.0.0.1", "-vv")
	var text []byte
	realproc.WaitFor(t, 20*time.Second, "the file with the ports", func() bool {
		text, _ = os.ReadFile(file)
		return len(text) > 0
	})
	var tcp, udp int
	if _, err := fmt.Sscanf(string(text), "TCP INET: %d\nUDP INET: %d\n", &tcp, &udp); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	ask(t, "tcp", fmt.Sprintf("127.0.0.1:%d", tcp), "set a 0 0 1\r\nx\r\n", "STORED\r\n")
	c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", udp))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, "\x00\x01\x00\x00\x00\x01\x00\x00get a\r\n"); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 100)
	n, err := c.Read(got)
	if want := "\x00\x01\x00\x00\x00\x01\x00\x00VALUE a 0 1\r\nx\r\nEND\r\n"; err != nil || string(got[:n]) != want {
		t.Errorf("%q, %v", got[:n], err)
	}
	realproc.WaitFor(t, 20*time.Second, "the log", func() bool { return strings.Contains(l.String(), "server listening (udp)") })
}

// Without TCP the server stays up for its datagrams alone.
func TestUDPOnly(t *testing.T) {
	l := started(t, "-p", "0", "-U", fmt.Sprint(realproc.FreePort(t)), "-l", "127.0.0.1", "-vv")
	realproc.WaitFor(t, 20*time.Second, "the log", func() bool { return strings.Contains(l.String(), "server listening (udp)") })
}

const noop = "\x80\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func TestAccess(t *testing.T) {
	port := func() (string, string) { p := fmt.Sprint(realproc.FreePort(t)); return p, "127.0.0.1:" + p }
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("user:secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("binary", func(t *testing.T) {
		p, addr := port()
		started(t, "-p", p, "-l", "127.0.0.1", "-B", "binary")
		ask(t, "tcp", addr, noop, "\x81\x0a")
	})
	t.Run("sasl", func(t *testing.T) {
		t.Setenv(pwdbEnv, "")
		p, addr := port()
		l := started(t, "-p", p, "-l", "127.0.0.1", "-S")
		ask(t, "tcp", addr, noop, "\x81\x0a\x00\x00\x00\x00\x00\x20")
		if !strings.Contains(l.String(), "MEMCACHED_SASL_PWDB") {
			t.Errorf("%s", l)
		}
	})
	t.Run("sasl with users", func(t *testing.T) {
		t.Setenv(pwdbEnv, users)
		p, addr := port()
		started(t, "-p", p, "-l", "127.0.0.1", "-S")
		ask(t, "tcp", addr, "\x80\x21\x00\x05\x00\x00\x00\x00\x00\x00\x00\x11"+noop[12:]+"PLAIN\x00user\x00secret", "\x81\x21\x00\x00\x00\x00\x00\x00")
	})
	t.Run("file", func(t *testing.T) {
		p, addr := port()
		started(t, "-p", p, "-l", "127.0.0.1", "-Y", users)
		ask(t, "tcp", addr, "get a\r\nset x 0 0 11\r\nuser secret\r\nmn\r\n", "CLIENT_ERROR unauthenticated\r\nSTORED\r\nMN\r\n")
	})
}

func TestUnixSocket(t *testing.T) {
	path := realproc.SocketPath(t, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close() // left behind by a process that died
	started(t, "-s", path, "-a", "770")
	ask(t, "unix", path, "mn\r\n", "MN\r\n")
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o770 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
}

// The seed's own example: -f 4 -vv prints the table of the slab classes, then the conversation.
func TestVeryVerbose(t *testing.T) {
	port := realproc.FreePort(t)
	l := started(t, "-p", fmt.Sprint(port), "-l", "127.0.0.1", "-f", "4", "-vv")
	ask(t, "tcp", fmt.Sprintf("127.0.0.1:%d", port), "set a 0 0 1\r\nx\r\nget a\r\n", "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n")
	for _, want := range []string{
		"slab class   1: chunk size        96 perslab   10922\n",
		"slab class   2: chunk size       384 perslab    2730\n",
		"slab class   3: chunk size      1536 perslab     682\n",
		"slab class   4: chunk size      6144 perslab     170\n",
		"slab class   5: chunk size     24576 perslab      42\n",
		"slab class   6: chunk size     98304 perslab      10\n",
		" set a 0 0 1\n", " STORED\n", " sending key a\n", " END\n", "server listening",
	} {
		if !strings.Contains(l.String(), want) {
			t.Errorf("not said: %q\n%s", want, l)
		}
	}
}

func TestSettings(t *testing.T) {
	o, err := parseFlags([]string{"-m128", "-c", "10", "-vvv", "-o", "page_keys,idle_timeout=5", "-o", "no_maxconns_fast", "-I", "2m", "-M"})
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, s := range o.settings() {
		got[s[0]] = s[1]
	}
	for name, want := range map[string]string{"maxbytes": "134217728", "maxconns": "10", "verbosity": "3", "page_keys": "yes",
		"idle_timeout": "5", "maxconns_fast": "no", "item_size_max": "2097152", "evictions": "off"} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	for _, tt := range []struct{ args, protocol, sasl, file, udp string }{
		{"", "auto-negotiate", "no", "no", "0"}, {"-B binary -U 5", "binary", "no", "no", "5"}, {"-S", "binary", "yes", "no", "0"},
		{"-Y /x", "ascii", "no", "/x", "0"},
	} {
		o, err := parseFlags(strings.Fields(tt.args))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range o.settings() {
			got[s[0]] = s[1]
		}
		if got["binding_protocol"] != tt.protocol || got["auth_enabled_sasl"] != tt.sasl || got["auth_enabled_ascii"] != tt.file || got["udpport"] != tt.udp {
			t.Errorf("%s: %v", tt.args, got)
		}
	}
	if c := o.store(nil); c.KeyMax != 8000 || c.MemoryLimit != 128<<20 || !c.NoEvict {
		t.Errorf("%+v", c)
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args     string
		code     int
		out, err string
	}{
		{"-h", exitOK, "-p, --port int", ""},
		{"--help", exitOK, "page_keys", ""},
		{"-V", exitOK, "memcached 1.6.45 (pagegate cacheserver devel", ""},
		{"--nope", exitUsage, "", "unknown flag: --nope; -h lists the flags"},
		{"-m lots", exitUsage, "", "lots"},
		{"-m 0", exitUsage, "", "-m 0: want MiB"},
		{"-c 0", exitUsage, "", "-c 0"},
		{"-t 0", exitUsage, "", "-t 0"},
		{"-f 1", exitUsage, "", "-f 1"},
		{"-I 10", exitUsage, "", "from 1k to 1024m"},
		{"-I 2g", exitUsage, "", "from 1k to 1024m"},
		{"-I 33m", exitUsage, "", "more than half of the memory, 64 MiB; see -m"},
		{"-I 1k -o slab_chunk_max=2", exitUsage, "", "slab_chunk_max=2: more than -I"},
		{"-o no_modern,temporary_ttl=60", exitUsage, "", "temporary_ttl"},
		{"-o slab_automove_window", exitUsage, "", "want slab_automove_window=SECONDS"},
		{"-o hashpower=33", exitUsage, "", "want a number from 12 to 32"},
		{"-p 70000", exitUsage, "", "-p 70000"},
		{"-a 999", exitUsage, "", "octal"},
		{"-o nope", exitUsage, "", "-o nope: no such option; -h"},
		{"-o idle_timeout", exitUsage, "", "-o idle_timeout: want idle_timeout=SECONDS"},
		{"-o idle_timeout=x", exitUsage, "", "want a number from 0"},
		{"-o maxconns_fast=1", exitUsage, "", "maxconns_fast has no value"},
		{"-o stale_retry=0", exitUsage, "", "want a number from 1"},
		{"-e /none/x -p -1 -l 127.0.0.1", exitFailed, "", "-e: memory file: open /none/x"},
		{"-o hot_lru_pct=80", exitUsage, "", "want a number from 1 to 79"},
		{"-o hot_lru_pct=50,warm_lru_pct=40", exitUsage, "", "together at most 80"},
		{"-o warm_max_factor=0", exitUsage, "", "want a number above 0"},
		{"-o slab_automove=3", exitUsage, "", "want a number from 0 to 2"},
		{"-o slab_automove_ratio=1", exitUsage, "", "above 0 and below 1"},
		{"-o slab_automove_window=2", exitUsage, "", "want a number from 3 to 1800"},
		{"-I 1k", exitUsage, "", "more than -I"},
		{"-I 700k", exitUsage, "", "want a multiple of slab_chunk_max"},
		{"-m 1", exitUsage, "", "more than half of the memory"},
		{"-o hash_algorithm=md5", exitUsage, "", "want hash_algorithm=jenkins|murmur3|xxh3"},
		{"-o slab_sizes=100-104", exitUsage, "", "want slab_sizes="},
		{"-o tail_repair_time=9", exitUsage, "", "at least 10"},
		{"-Z -p -1 -l 127.0.0.1", exitFailed, "", "ssl_chain_cert=FILE"},
		{"-Z -p -1 -l 127.0.0.1 -o ssl_chain_cert=/none,ssl_key=/none", exitFailed, "", "/none"},
		{"-o ssl_keyformat=3", exitUsage, "", "want a number from 1 to 2"},
		{"-i", exitOK, "MIT License", ""},
		{"-U 70000", exitUsage, "", "-U 70000: want a port"},
		{"-B udp", exitUsage, "", "-B udp: want auto, ascii or binary"},
		{"-S -B ascii", exitUsage, "", "-S with -B ascii"},
		{"-S -B auto", exitUsage, "", "-S with -B auto"},
		{"-S -U 11211", exitUsage, "", "-S with -U 11211"},
		{"-Y /x -B binary", exitUsage, "", "-Y with -B binary"},
		{"-Y /x -U 11211", exitUsage, "", "-Y with -U 11211"},
		{"-S -Y /x", exitUsage, "", "-S and -Y"},
		{"-Y /does/not/exist", exitFailed, "", "/does/not/exist"},
		{"extra -l 192.0.2.1", exitFailed, "", `["extra"] is ignored`},
		{"-l 192.0.2.1", exitFailed, "", "192.0.2.1"},
		{"-p 0 -s /does/not/exist/s", exitFailed, "", "/does/not/exist/s"},
		{"-p -1 -l 127.0.0.1 -u nobody_of_that_name", exitFailed, "", "nobody_of_that_name"},
	} {
		if strings.Contains(tt.args, "-u ") && os.Geteuid() != 0 {
			tt.args, tt.code, tt.err = "-V", exitOK, "" // -u is root's
		}
		var out, errs bytes.Buffer
		code := run(t.Context(), strings.Fields(tt.args), &out, &errs)
		if code != tt.code || !strings.Contains(out.String(), tt.out) || !strings.Contains(errs.String(), tt.err) {
			t.Errorf("%q: exit code %d\n%s\n%s", tt.args, code, out.String(), errs.String())
		}
	}
}

// Programs look into -h for what a server can do: what it cannot is not named there.
func TestHelpPromisesNothing(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"-h"}, &out, &errs); code != exitOK {
		t.Fatal(code)
	}
	for _, name := range []string{"proxy_config", "drop_privileges"} {
		if strings.Contains(out.String(), name) {
			t.Errorf("%s is named", name)
		}
	}
}

// memcached's spellings of options, alone and together.
func TestOptionForms(t *testing.T) {
	for _, tt := range []struct {
		options string
		want    map[string]string
	}{
		{"slab_reassign,slab_automove,lru_crawler", map[string]string{"slab_automove": "1", "slab_reassign": "yes"}},
		{"no_slab_automove", map[string]string{"slab_automove": "0"}},
		{"slab_automove=2,modern", map[string]string{"slab_automove": "2"}},
		{"no_modern", map[string]string{"slab_automove": "0", "slab_reassign": "no", "lru_crawler": "no", "lru_maintainer_thread": "no", "maxconns_fast": "no", "slab_chunk_max": "1048576"}},
		{"no_modern,lru_crawler", map[string]string{"lru_crawler": "yes"}},
		{"slab_chunk_max=16,no_modern", map[string]string{"slab_chunk_max": "16384"}},
		{"no_chunked_items,hashpower=18", map[string]string{"slab_chunk_max": "1048576", "hashpower_init": "18"}},
		{"ssl_wbuf_size=64,worker_logbuf_size=8,tail_repair_time=15", map[string]string{"ssl_wbuf_size": "65536", "worker_logbuf_size": "8192", "tail_repair_time": "15"}},
		{"read_buf_mem_limit=3", map[string]string{"read_buf_mem_limit": "3145728"}},
	} {
		o, err := parseFlags([]string{"-o", tt.options})
		if err != nil {
			t.Errorf("%s: %v", tt.options, err)
			continue
		}
		got := make(map[string]string)
		for _, s := range o.settings() {
			got[s[0]] = s[1]
		}
		for name, want := range tt.want {
			if got[name] != want {
				t.Errorf("%s: %s is %s, want %s", tt.options, name, got[name], want)
			}
		}
	}
}

// Without -l there is a socket for each family, with the same port, and the file names both.
func TestFamilies(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ports")
	t.Setenv(portFileEnv, file)
	o, err := parseFlags([]string{"-p", "-1", "-U", "-1"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := o.listen()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var tcp, tcp6, udp, udp6 int
	if n, _ := fmt.Sscanf(string(text), "TCP INET: %d\nTCP INET6: %d\nUDP INET: %d\nUDP INET6: %d\n", &tcp, &tcp6, &udp, &udp6); n != 4 {
		n, _ = fmt.Sscanf(string(text), "TCP INET: %d\nUDP INET: %d\n", &tcp, &udp) // a machine without IPv6
		tcp6, udp6 = tcp, udp
		if n != 2 {
			t.Fatalf("%q", text)
		}
	}
	if tcp == 0 || tcp != tcp6 || udp == 0 || udp != udp6 {
		t.Errorf("%q", text)
	}
}

// -p 0 is no socket; whoever asks for the file of ports is told so.
func TestNoPort(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ports")
	t.Setenv(portFileEnv, file)
	started(t, "-p", "0", "-U", "0")
	realproc.WaitFor(t, 20*time.Second, "the file", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && len(text) == 0
	})
}
