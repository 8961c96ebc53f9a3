package server

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pagegate/cacheserver/store"
	"pagegate/internal/realproc"
)

// tool runs one of libmemcached's programs against a server and returns its exit code and output, the server's address
// left out. {} in the arguments stands for the address.
func tool(t *testing.T, addr, name string, args ...string) (code int, output string) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "{}", addr)
	}
	cmd := exec.CommandContext(ctx, realproc.Find(t, name), args...)
	cmd.Dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(cmd.Dir, "page"), []byte("the page"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s: %v\n%s", name, ctx.Err(), out)
	}
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%s: %v", name, err)
	}
	return cmd.ProcessState.ExitCode(), strings.ReplaceAll(string(out), addr, "{}")
}

// libmemcached's own judge of servers, text and binary.
func TestMemccapable(t *testing.T) {
	addr, _ := start(t, Config{}, store.Config{})
	host, port, _ := strings.Cut(addr, ":")
	code, out := tool(t, addr, "memccapable", "-h", host, "-p", port)
	if code != 0 || !strings.Contains(out, "All tests passed") || !strings.Contains(out, "binary stat") || !strings.Contains(out, "ascii stat") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// toolRuns are command lines that leave and find the same on every server, run one after the other.
var toolRuns = []string{
	"memcexist page", "memccat page", "memccp page", "memcexist page", "memccat page", "memccat -f page", "memctouch --expire=100 page",
	"memctouch --expire=100 nothing", "memccp --add page", "memccp --replace page", "memccp --flags=7 --expire=100 page", "memccat --flags page",
	"memcrm page", "memcrm page", "memccp page", "memcflush", "memccat page",
}

func TestToolsSameAsMemcached(t *testing.T) {
	theirs, _ := realproc.Memcached(t)
	ours, _ := start(t, Config{}, store.Config{})
	for _, option := range []string{"--binary", ""} {
		for _, line := range toolRuns {
			words := strings.Fields(line + " --servers={} " + option)
			code, out := tool(t, ours, words[0], words[1:]...)
			words = strings.Fields(line + " --servers={} " + option)
			wantCode, want := tool(t, theirs, words[0], words[1:]...)
			if code != wantCode || out != want {
				t.Errorf("%s %s: exit code %d, want %d\n%s\nwant\n%s", line, option, code, wantCode, out, want)
			}
		}
		if code, out := tool(t, ours, "memcstat", strings.Fields("--servers={} "+option)...); code != 0 || !strings.Contains(out, "curr_items: ") {
			t.Errorf("memcstat %s: exit code %d\n%s", option, code, out)
		}
		if code, out := tool(t, ours, "memcslap", strings.Fields("--servers={} --concurrency=5 --execute-number=200 --test=set "+option)...); code != 0 {
			t.Errorf("memcslap %s: exit code %d\n%s", option, code, out)
		}
	}
	if code, out := tool(t, ours, "memcping", "--servers={}"); code != 0 {
		t.Errorf("memcping: exit code %d\n%s", code, out)
	}
}

func TestToolsWithSASL(t *testing.T) {
	addr, _ := start(t, Config{SASL: PasswordFile(write(t, "pwdb", "user:secret"))}, store.Config{})
	for _, tt := range []struct {
		line string
		code int
		out  string
	}{
		{"memccp --username=user --password=secret page", 0, ""},
		{"memccat --username=user --password=secret page", 0, "the page"},
		{"memccat --username=user --password=wrong page", 1, ""},
		{"memccat page", 1, ""},
	} {
		words := strings.Fields(tt.line + " --binary --servers={}")
		if code, out := tool(t, addr, words[0], words[1:]...); code != tt.code || !strings.Contains(out, tt.out) || tt.out == "" && strings.Contains(out, "the page") {
			t.Errorf("%s: exit code %d\n%s", tt.line, code, out)
		}
	}
}

// memccp over UDP, whose requests ask for no reply.
func TestToolsOverUDP(t *testing.T) {
	tcp, udp := startUDP(t, Config{}, store.Config{})
	if code, out := tool(t, udp, "memccp", "--udp", "--servers={}", "page"); code != 0 {
		t.Fatalf("exit code %d\n%s", code, out)
	}
	waitFor(t, func() bool {
		_, out := tool(t, tcp, "memccat", "--servers={}", "page")
		return strings.Contains(out, "the page")
	})
}

// Clients of other languages, each with its whole vocabulary, see the same of Debian's memcached and of this server.
func TestClientsSameAsMemcached(t *testing.T) {
	theirs, _ := realproc.Memcached(t)
	ours, _ := start(t, Config{}, store.Config{})
	for script, program := range map[string]string{
		"with_pymemcache.py": "/usr/bin/python3", "with_pylibmc.py": "/usr/bin/python3", "with_extensions.php": "php",
	} {
		path, err := filepath.Abs(filepath.Join("testdata", "clients", script))
		if err != nil {
			t.Fatal(err)
		}
		wantCode, want := tool(t, theirs, program, path, theirs)
		gotCode, got := tool(t, ours, program, path, ours)
		if wantCode != 0 {
			t.Errorf("%s fails with memcached itself: %s", script, want)
		}
		if gotCode != wantCode || got != want {
			t.Errorf("%s: exit code %d\n%s\nmemcached: %d\n%s", script, gotCode, got, wantCode, want)
		}
	}
}

// memcached's own tool understands what it is told.
func TestMemcachedTool(t *testing.T) {
	const program = "/usr/share/memcached/scripts/memcached-tool"
	theirs, _ := realproc.Memcached(t)
	ours, _ := start(t, Config{Settings: [][2]string{{"maxbytes", "67108864"}}, Crawler: Crawler{On: true}}, store.Config{})
	dumps := make(map[string]string)
	for _, addr := range []string{theirs, ours} {
		c := dial(t, addr)
		c.ask(t, "set one 1 0 3\r\nabc\r\nset /two?x=%20 0 0 2000\r\n"+strings.Repeat("v", 2000)+"\r\n", "STORED\r\nSTORED\r\n")
		_, display := tool(t, addr, program, addr, "display")
		if lines := strings.Split(strings.TrimSpace(display), "\n"); len(lines) != 3 || !strings.Contains(lines[0], "Item_Size") {
			t.Errorf("display of %s: %s", addr, display)
		}
		_, stats := tool(t, addr, program, addr, "stats")
		if !strings.Contains(stats, "curr_items") || !strings.Contains(stats, "Field") {
			t.Errorf("stats: %s", stats)
		}
		_, settings := tool(t, addr, program, addr, "settings")
		if !strings.Contains(settings, "maxbytes") {
			t.Errorf("settings: %s", settings)
		}
		_, dump := tool(t, addr, program, addr, "dump")
		lines := strings.Split(dump, "\n")
		slices.Sort(lines)
		dumps[addr] = strings.Join(lines, "\n")
	}
	if dumps[ours] != dumps[theirs] || !strings.Contains(dumps[ours], "add one 1 0 3") {
		t.Errorf("dump: %s\nof memcached: %s", dumps[ours], dumps[theirs])
	}
}

// memcdump lists what is there, and memcaslap, which checks each reply, has no complaint.
func TestMemcdumpAndMemcaslap(t *testing.T) {
	addr, s := start(t, Config{}, store.Config{})
	dial(t, addr).ask(t, "set one 0 0 1\r\nx\r\nset two 0 0 1\r\ny\r\n", "STORED\r\nSTORED\r\n")
	code, out := tool(t, addr, "memcdump", "--servers={}")
	keys := strings.Fields(out)
	slices.Sort(keys)
	if code != 0 || !slices.Equal(keys, []string{"one", "two"}) {
		t.Errorf("memcdump: exit code %d\n%s", code, out)
	}
	for _, option := range []string{"", "-B"} {
		code, out := tool(t, addr, "memcaslap", strings.Fields("-s {} -T 1 -c 4 -x 1000 "+option)...)
		if code != 0 || !strings.Contains(out, "Ops: 1000 ") {
			t.Errorf("memcaslap %s: exit code %d\n%s", option, code, out)
		}
	}
	if s.store.Stats().CurrItems < 10 {
		t.Error("memcaslap has stored nothing")
	}
}
