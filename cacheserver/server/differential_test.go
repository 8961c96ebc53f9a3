package server

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pagegate/cacheserver/store"
	"pagegate/internal/realproc"
)

// peer is one of the two servers that get the same bytes.
type peer struct {
	name string
	net.Conn
}

// talk sends text in the given pieces and returns all that comes back up to the answer to a last mn.
func (p *peer) talk(t *rapid.T, pieces []string) string {
	for _, piece := range pieces {
		if _, err := io.WriteString(p, piece); err != nil {
			t.Fatalf("%s: %v", p.name, err)
		}
	}
	if _, err := io.WriteString(p, "mn\r\n"); err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	var got []byte
	buf := make([]byte, 64<<10)
	for !bytes.HasSuffix(got, []byte("MN\r\n")) {
		n, err := p.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			t.Fatalf("%s: %v after %q", p.name, err, got)
		}
	}
	return string(got)
}

var (
	// Each run has keys of its own, so that it says all that there is to know about a difference.
	run    int
	anyKey = rapid.Map(rapid.SampledFrom([]string{"a", "b", "key_three", strings.Repeat("k", 230), "\x7f\xff", "/page?x=%20"}),
		func(k string) string { return fmt.Sprintf("%s-%d", k, run) })
	anyValue = rapid.OneOf(
		rapid.StringMatching(`[0-9]{1,20}`),
		rapid.StringMatching(`([a-z][a-z\r\n ]{0,60})?`), // white space alone makes memcached's incr read past the value's end
		rapid.Map(rapid.IntRange(0, 5000), func(n int) string { return strings.Repeat("v", n) }),
	)
	anyNoReply = rapid.SampledFrom([]string{"", "", "", " noreply"})
	anyFlags   = rapid.SampledFrom([]string{"0", "1", "65535", "4294967295", "-1", "x", "01"})
	anyExptime = rapid.SampledFrom([]string{"0", "0", "100", "-1", "2592000", "x", "99999999999999999999"})
	anyDelta   = rapid.SampledFrom([]string{"0", "1", "7", "18446744073709551615", "18446744073709551616", "-1", "x", ""})
)

// anyCommand is a command, mostly a valid one.
var anyCommand = rapid.Custom(func(t *rapid.T) string {
	key := anyKey.Draw(t, "key")
	noReply := anyNoReply.Draw(t, "noreply")
	switch verb := rapid.SampledFrom([]string{"get", "gets2", "store", "store", "delete", "delta", "touch", "gat", "flush_all", "odd"}).Draw(t, "verb"); verb {
	case "get":
		return fmt.Sprintf("get %s %s\r\n", key, anyKey.Draw(t, "key2"))
	case "gets2":
		return fmt.Sprintf("get  %s nothing \r\n", key)
	case "store":
		value := anyValue.Draw(t, "value")
		op := rapid.SampledFrom([]string{"set", "set", "add", "replace", "append", "prepend"}).Draw(t, "op")
		flags, exptime := anyFlags.Draw(t, "flags"), anyExptime.Draw(t, "exptime")
		if flags == "-1" || flags == "x" || exptime == "x" || len(exptime) > 10 {
			value = "refused" // a refused block is read as commands, and 1.6.18 answers blank lines differently
		}
		return fmt.Sprintf("%s %s %s %s %d%s\r\n%s\r\n", op, key, flags, exptime, len(value), noReply, value)
	case "delete":
		return fmt.Sprintf("delete %s%s%s\r\n", key, rapid.SampledFrom([]string{"", " 0", " 1", " x y z"}).Draw(t, "more"), noReply)
	case "delta":
		return fmt.Sprintf("%s %s %s%s\r\n", rapid.SampledFrom([]string{"incr", "decr"}).Draw(t, "op"), key, anyDelta.Draw(t, "delta"), noReply)
	case "touch":
		return fmt.Sprintf("touch %s %s%s\r\n", key, anyExptime.Draw(t, "exptime"), noReply)
	case "gat":
		return fmt.Sprintf("gat %s %s\r\n", anyExptime.Draw(t, "exptime"), key)
	case "flush_all":
		return "flush_all" + rapid.SampledFrom([]string{"", " 0", " x", " 1 2 3"}).Draw(t, "delay") + noReply + "\r\n"
	}
	return rapid.SampledFrom([]string{
		"get\r\n", "set a\r\n", "GET a\r\n", "set " + strings.Repeat("k", 251) + " 0 0 1\r\n", "get " + strings.Repeat("k", 251) + "\r\n",
		"verbosity 0\r\n", "nonsense a b c\r\n", "cas a 0 0 1 x\r\n", "delete\r\n", "incr a\r\n", "touch a\r\n",
		"stats reset\r\n", "stats nonsense\r\n", "\x00\xff\r\n",
	}).Draw(t, "line")
})

// Whatever is said, in whatever pieces: Debian's memcached and this server answer with the same bytes.
func TestSameAsMemcached(t *testing.T) {
	theirs, _ := realproc.Memcached(t)
	ours, _ := start(t, Config{}, store.Config{})
	dialPeer := func(name, addr string) *peer {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
		return &peer{name, c}
	}
	memcached, cacheserver := dialPeer("memcached", theirs), dialPeer("cacheserver", ours)
	rapid.Check(t, func(t *rapid.T) {
		run++
		commands := rapid.SliceOfN(anyCommand, 1, 20).Draw(t, "commands")
		text := strings.Join(commands, "")
		// One by one there: what memcached answers to a batch depends on replies that it has not sent yet (a counter that
		// is still being read is not changed in place; an over-long get takes the replies before it along).
		var want strings.Builder
		for _, c := range commands {
			want.WriteString(strings.TrimSuffix(memcached.talk(t, []string{c}), "MN\r\n"))
		}
		got := strings.TrimSuffix(cacheserver.talk(t, pieces(t, text)), "MN\r\n")
		if got != want.String() {
			t.Fatalf("%q\ncacheserver %q\nmemcached   %q", text, got, want.String())
		}
	})
}

// pieces splits text at any bytes.
func pieces(t *rapid.T, text string) []string {
	var all []string
	for cuts := rapid.IntRange(0, 5).Draw(t, "cuts"); cuts > 0 && len(text) > 1; cuts-- {
		at := rapid.IntRange(1, len(text)-1).Draw(t, "at")
		all = append(all, text[:at])
		text = text[at:]
	}
	return append(all, text)
}
