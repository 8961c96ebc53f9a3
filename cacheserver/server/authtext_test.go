package server

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pagegate/cacheserver/store"
	"pagegate/internal/realproc"
)

const users = "foo:bar\nbaaaz:quux\ncol:on:x\ncrlf:end\r\n"

// authFile makes a file of users that Debian's memcached can read too.
func authFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(filepath.Dir(realproc.SocketPath(t, "x")), "users")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, path string) *AuthFile {
	t.Helper()
	f, err := LoadAuthFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// One request at a time: of several that it refuses at once memcached answers the last.
func TestAuthSameAsMemcached(t *testing.T) {
	path := authFile(t, users)
	theirs, _ := realproc.Memcached(t, "-Y", path)
	ours, _ := start(t, Config{AuthFile: load(t, path)}, store.Config{})
	const in = "set x 0 0 7\r\nfoo bar\r\n"
	for _, text := range []string{
		"get a\r\n", in, "set x 0 0 7 noreply\r\nfoo bar\r\nget a\r\n", "set x a b 7 more\r\nfoo bar\r\n",
		"set x 0 0 7\r\nfoo barXX", "set x 0 0 6\r\nfoobar\r\n", "set x 0 0 7\r\nfoo baz\r\n", "set x 0 0 8\r\nfoo barx\r\n",
		"set x 0 0 6\r\nfoo ba\r\n", "set x 0 0 0\r\n\r\n", "set x 0 0 -1\r\n", "set x 0 0 x\r\n", "set xyz\r\n",
		"add x 0 0 7\r\n", "GET / HTTP/1.0\r\n", "set x 0 0 10\r\nbaaaz quux\r\n", "set x 0 0 8\r\ncol on:x\r\n",
		"set x 0 0 6\r\ncol on\r\n", "set x 0 0 8\r\ncrlf end\r\n",
		in + "set a 0 0 7\r\nfoo baz\r\nget a\r\n", strings.Repeat("x", 3000),
	} {
		var answers [2]string
		for i, addr := range []string{theirs, ours} {
			c := dial(t, addr)
			c.ask(t, text, "")
			if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			_, _ = c.r.WriteTo(&b)
			answers[i] = b.String()
		}
		if answers[0] != answers[1] {
			t.Errorf("%.80q\nmemcached   %q\ncacheserver %q", text, answers[0], answers[1])
		}
	}
}

// Where memcached 1.6.45 is stricter than 1.6.18, and this server with it.
func TestAuthStrict(t *testing.T) {
	addr, s := start(t, Config{AuthFile: load(t, authFile(t, users))}, store.Config{})
	c := dial(t, addr)
	for _, data := range []string{"foo  bar", " foo bar", "foo bar ", "foo bar x"} {
		c.ask(t, "set x 0 0 "+string(rune('0'+len(data)))+"\r\n"+data+"\r\n", "CLIENT_ERROR authentication failure\r\n")
	}
	c.ask(t, "set x 0 0 16385\r\nget a\r\n", "CLIENT_ERROR auth token too long\r\nCLIENT_ERROR unauthenticated\r\n")
	c.ask(t, "set x 0 0 4294967295\r\nset x 0 0 4294967296\r\n", "CLIENT_ERROR auth token too long\r\nCLIENT_ERROR unauthenticated\r\n")
	c.ask(t, "set x 0 0 7\r\nfoo bar\r\nmn\r\n", "STORED\r\nMN\r\n")
	dial(t, addr).ask(t, "get a\r\n", "CLIENT_ERROR unauthenticated\r\n")                 // each for himself
	for _, text := range []string{"mn\r\n", "\n", "set a\n", strings.Repeat("x", 2049)} { // too short or too long to be a set
		c := dial(t, addr)
		c.ask(t, text, "")
		if rest, err := io.ReadAll(c.r); err != nil || len(rest) != 0 {
			t.Errorf("%.20q: %q, %v", text, rest, err)
		}
	}
	stats := c.stats(t, "stats")
	if stats["auth_cmds"] != "5" || stats["auth_errors"] != "4" || stats["curr_items"] != "0" {
		t.Errorf("%v", stats)
	}
	if s.cfg.Protocol != ASCII {
		t.Error("the binary protocol is spoken too")
	}
}

func TestAuthFile(t *testing.T) {
	path := authFile(t, users)
	f := load(t, path)
	if !f.check([]byte("crlf"), []byte("end")) || f.check([]byte("col"), []byte("on")) || f.check(nil, nil) {
		t.Error("the users of the file are not right")
	}
	for _, text := range []string{"", "user\n", "user:password\n\nmore:password\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := f.Reload(); err == nil || !strings.Contains(err.Error(), "user:password") {
			t.Errorf("%q: %v", text, err)
		}
		if !f.check([]byte("foo"), []byte("bar")) {
			t.Errorf("%q: what was read before is gone", text)
		}
	}
	if err := os.WriteFile(path, []byte("new:user"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := f.Reload(); err != nil || !f.check([]byte("new"), []byte("user")) || f.check([]byte("foo"), []byte("bar")) {
		t.Errorf("after a change: %v", err)
	}
	if _, err := LoadAuthFile("/does/not/exist"); err == nil || !strings.Contains(err.Error(), "/does/not/exist") {
		t.Error(err)
	}
}
