package server

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"pagegate/cacheserver/protocol"
	"pagegate/cacheserver/store"
	"pagegate/internal/realproc"
)

// write makes a file and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPasswordFile(t *testing.T) {
	check := PasswordFile(write(t, "pwdb", "user:secret\nuser:other\nmore:se:cret:::\ndos:secret\r\nempty:\nlast:secret"))
	for _, tt := range []struct {
		user, password string
		want           bool
	}{
		{"user", "secret", true}, {"user", "secre", false}, {"user", "secretx", false}, {"user", "other", false},
		{"use", "secret", false}, {"user:secret", "secret", false}, {"nobody", "secret", false}, {"", "", false},
		{"more", "se", true}, {"more", "se:cret", true}, {"more", "se:", false}, {"dos", "secret", true},
		{"last", "secret", true}, {"last", "secret\n", false},
	} {
		if got := check([]byte(tt.user), []byte(tt.password)); got != tt.want {
			t.Errorf("%q with %q: %v", tt.user, tt.password, got)
		}
	}
	if PasswordFile("/does/not/exist")([]byte("user"), []byte("secret")) {
		t.Error("somebody got in without a file")
	}
}

func TestPlain(t *testing.T) {
	for message, want := range map[string]string{
		"\x00u\x00p": "u p", "u\x00u\x00p": "u p", "v\x00u\x00p": "", "u\x00p": "", "\x00u\x00p\x00": "", "\x00\x00p": "",
		"\x00u\x00": "", "": "", "\x00\x00": "", "\x00u\x00p q": "u p q",
	} {
		user, password, ok := plain([]byte(message))
		if got := string(user) + " " + string(password); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v", message, got, ok)
		}
	}
}

var (
	login      = packet{op: protocol.OpSASLAuth, key: "PLAIN", value: "\x00user\x00secret"}
	wrongLogin = packet{op: protocol.OpSASLAuth, key: "PLAIN", value: "\x00user\x00wrong"}
	getA       = packet{op: protocol.OpGet, key: "a"}
	version    = packet{op: protocol.OpVersion}
)

// Conversations under -S, as Debian's memcached holds them too.
var saslConversations = [][]packet{
	{getA}, {{op: protocol.OpNoop}}, {{op: quiet(protocol.OpSet), extras: noExtras, key: "a"}}, {{op: 0x70}},
	{{op: protocol.OpGet, key: strings.Repeat("k", 251)}},
	{version}, {{op: protocol.OpSASLList}, version},
	{login, getA, getA},
	{wrongLogin, getA},
	{wrongLogin, login, getA},
	{login, wrongLogin, getA}, {login, login, getA}, {login, {op: protocol.OpSASLList}, getA},
	{login, {op: protocol.OpSASLStep, key: "PLAIN", value: login.value}, getA},
	{{op: protocol.OpSASLAuth, key: "plain"}, {op: protocol.OpSASLStep, key: "PLAIN", value: login.value}, getA},
	{{op: protocol.OpSASLAuth, key: "PLAIN"}, {op: protocol.OpSASLStep, key: "x", value: wrongLogin.value},
		{op: protocol.OpSASLStep, key: "x", value: login.value}, getA},
	{wrongLogin, {op: protocol.OpSASLStep, key: "PLAIN", value: login.value}, getA},
	{{op: protocol.OpSASLStep, key: "PLAIN", value: login.value}, getA},
	{{op: protocol.OpSASLAuth, key: "NONE", value: login.value}, getA},
	{{op: protocol.OpSASLAuth, key: strings.Repeat("X", 40), value: login.value}, login, getA},
	{{op: protocol.OpSASLAuth, key: "PLAIN", value: "user\x00user\x00secret"}, getA},
	{{op: protocol.OpSASLAuth, key: "PLAIN", value: "other\x00user\x00secret"}, getA},
	{{op: protocol.OpSASLAuth, key: "PLAIN", value: "\x00user\x00"}, getA},
	{{op: protocol.OpSASLAuth, key: "PLAIN", value: "user\x00secret"}, getA},
	{{op: protocol.OpSASLAuth, key: "PLAIN", value: strings.Repeat("x", 100_000)}, login, getA},
	{{op: protocol.OpSASLAuth, key: "PLAIN", value: strings.Repeat("x", 1_000_000)}, login, getA},
	{{op: protocol.OpSASLAuth, value: login.value}},
	{login, {op: protocol.OpSet, extras: noExtras, key: "b", value: "x"}, {op: protocol.OpGet, key: "b"}, {op: protocol.OpDelete, key: "b"}},
}

// saslMemcached starts Debian's memcached with -S and one user, over a database of its own.
func saslMemcached(t *testing.T) (addr string) {
	db := realproc.SocketPath(t, "sasldb") // a folder that memcached's user can enter
	if out, _ := exec.Command(realproc.MemcachedPath(t), "-S", "-V").CombinedOutput(); strings.Contains(string(out), "not built with SASL") {
		t.Skip("the memcached to compare with has no SASL")
	}
	conf := "mech_list: plain\npwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: " + db + "\n"
	if err := os.WriteFile(filepath.Join(filepath.Dir(db), "memcached.conf"), []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SASL_CONF_PATH", filepath.Dir(db))
	cmd := exec.Command(realproc.Find(t, "saslpasswd2"), "-c", "-p", "-a", "memcached", "-f", db, "user")
	cmd.Stdin = strings.NewReader("secret")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("saslpasswd2: %v\n%s", err, out)
	}
	if err := os.Chmod(db, 0o644); err != nil {
		t.Fatal(err)
	}
	addr, _ = realproc.Memcached(t, "-S")
	return addr
}

func TestSASLSameAsMemcached(t *testing.T) {
	theirs := saslMemcached(t)
	ours, _ := start(t, Config{SASL: PasswordFile(write(t, "pwdb", "user:secret:::\n"))}, store.Config{})
	for i, conversation := range saslConversations {
		var answers [2]string
		for j, addr := range []string{theirs, ours} {
			c := dial(t, addr)
			for _, p := range conversation {
				c.ask(t, p.String(), "")
				r, err := readReply(c.r)
				if err != nil {
					t.Fatalf("conversation %d, opcode %#x, %s: %v", i, p.op, addr, err)
				}
				r.cas = 0
				if r.op == protocol.OpVersion {
					r.value = Version
				}
				answers[j] += replyTexts(string(protocol.BinaryReply{Opcode: r.op, Status: r.status, ValueLen: len(r.value)}.Append(nil)) + r.value)
				if r.status == protocol.StatusAuthError && r.op != protocol.OpSASLAuth && r.op != protocol.OpSASLStep {
					if _, err := c.r.ReadByte(); err == nil {
						t.Errorf("conversation %d: %s goes on", i, addr)
					}
					break
				}
			}
		}
		if answers[0] != answers[1] {
			t.Errorf("conversation %d\nmemcached   %s\ncacheserver %s", i, answers[0], answers[1])
		}
	}
	var counted [2][2]string
	for j, addr := range []string{theirs, ours} {
		c := dial(t, addr)
		c.ask(t, login.String(), "")
		if _, err := readReply(c.r); err != nil {
			t.Fatal(err)
		}
		for _, r := range c.command(t, packet{op: protocol.OpStat}) {
			switch r.key {
			case "auth_cmds":
				counted[j][0] = r.value
			case "auth_errors":
				counted[j][1] = r.value
			}
		}
	}
	if counted[0] != counted[1] || counted[0][0] == "" {
		t.Errorf("auth_cmds, auth_errors: memcached %v, cacheserver %v", counted[0], counted[1])
	}
}

// Only the binary protocol is spoken under -S.
func TestSASLNoText(t *testing.T) {
	addr, _ := start(t, Config{SASL: PasswordFile("/does/not/exist")}, store.Config{})
	c := dial(t, addr)
	c.ask(t, strings.Repeat("version\r\n", 3), "") // as much as a header
	if b, err := c.r.ReadByte(); err == nil {
		t.Errorf("answered with %q", b)
	}
}

// A message that comes in pieces is waited for.
func TestSASLInPieces(t *testing.T) {
	addr, _ := start(t, Config{SASL: PasswordFile(write(t, "pwdb", "user:secret"))}, store.Config{})
	c := dial(t, addr)
	for _, b := range []byte(login.String() + getA.String()) {
		c.ask(t, string([]byte{b}), "")
	}
	for _, want := range []protocol.Status{protocol.StatusOK, protocol.StatusNotFound} {
		if r, err := readReply(c.r); err != nil || r.status != want {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// PHP's extension, with SASL over the binary protocol.
func TestSASLPHP(t *testing.T) {
	addr, s := start(t, Config{SASL: PasswordFile(write(t, "pwdb", "user:secret"))}, store.Config{})
	host, port, _ := strings.Cut(addr, ":")
	const script = `
		$m = new Memcached;
		$m->setOption(Memcached::OPT_BINARY_PROTOCOL, true);
		$m->setSaslAuthData("user", $argv[3]);
		$m->addServer($argv[1], (int)$argv[2]);
		var_dump($m->set("k", "value", 60), $m->get("k"), $m->increment("n", 1, 5), $m->increment("n", 2), $m->delete("k"), $m->get("k"));`
	for password, want := range map[string]string{
		"secret": "bool(true) string(5) \"value\" int(5) int(7) bool(true) bool(false)",
		"wrong":  "bool(false) bool(false) bool(false) bool(false) bool(false) bool(false)",
	} {
		out, err := exec.Command(realproc.Find(t, "php"), "-r", script, "--", host, port, password).CombinedOutput()
		if got := strings.Join(strings.Fields(string(out)), " "); err != nil || got != want {
			t.Errorf("password %s: %v\n%s", password, err, got)
		}
	}
	if s.sum(func(c *counters) *atomic.Uint64 { return &c.authErrors }) == 0 {
		t.Error("no auth_errors are counted")
	}
}
