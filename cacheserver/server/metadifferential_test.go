package server

import (
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pagegate/cacheserver/store"
	"pagegate/internal/realproc"
)

// someFlagsOf draws flags for a meta command from those that it may have, in any order.
func someFlagsOf(t *rapid.T, flags ...string) string {
	drawn := rapid.SliceOfNDistinct(rapid.SampledFrom(flags), 0, 6, func(f string) byte { return f[0] }).Draw(t, "flags")
	if len(drawn) == 0 {
		return ""
	}
	return " " + strings.Join(drawn, " ")
}

// anyMeta is a meta command, which any server answers alike, or one since 1.6.45. {cas} stands for the last CAS id that a server has told.
func anyMeta(now bool) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		key := fmt.Sprintf("%s-%d", rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"), run)
		asItIs := key
		either := func(all, also []string) *rapid.Generator[string] {
			if now {
				all = append(all[:len(all):len(all)], also...)
			}
			return rapid.SampledFrom(all)
		}
		odd := rapid.IntRange(0, 20).Draw(t, "keyform")
		switch {
		case odd == 0 && now:
			key = strings.Repeat("k", 251)
		case odd == 1:
			key = "%%%" + key
		case odd < 8 && now:
			key = base64.StdEncoding.EncodeToString([]byte(asItIs)) + " b"
		}
		opaque := either([]string{"O1", "Oabc", "O" + strings.Repeat("x", 31), "O"}, nil).Draw(t, "opaque")
		ttl := func(letter string) string {
			times := []string{"0", "30", "60", "90", "2592000"}
			if letter == "R" { // nothing has just so long to live: one server's clock may have moved on to the next second
				times = []string{"0", "45", "75", "1000"}
			}
			return letter + either(times, []string{"x", "", "-", "99999999999"}).Draw(t, "ttl")
		}
		cas := either([]string{"C{cas}", "C{cas}", "C1", "C0"}, []string{"Cx", "C"}).Draw(t, "cas")
		wrong := either([]string{"k", "q"}, []string{"z", "S", "k", "O" + strings.Repeat("y", 32), "9", "M", "F", "Fx", "xyz", "Jx", "Dx", "P1", "L"}).Draw(t, "wrong")
		switch verb := rapid.SampledFrom([]string{"mg", "mg", "mg", "ms", "ms", "md", "ma", "me", "plain", "odd"}).Draw(t, "verb"); verb {
		case "mg":
			return "mg " + key + someFlagsOf(t, "k", opaque, "s", "t", "c", "f", "l", "h", "q", "u", "v", ttl("N"), ttl("R"), ttl("T"), "v", "c", "s", wrong) + "\r\n"
		case "ms":
			value := anyValue.Draw(t, "value")
			mode := either([]string{"ME", "MA", "MP", "MR", "MS"}, []string{"Me", "Ma", "MX", "M", "MEE", "Mset"}).Draw(t, "mode")
			flags := either([]string{"F0", "F7", "F4294967295"}, []string{"F4294967296", "F-1"}).Draw(t, "clientflags")
			name, b, _ := strings.Cut(key, " ")
			if b != "" {
				b = " b"
			}
			ask := []string{"k", opaque, "c", "q", "I", ttl("T"), mode, mode, flags, cas, cas}
			if now {
				ask = append(ask, ttl("N"), "s", wrong)
			}
			return fmt.Sprintf("ms %s %d%s%s\r\n%s\r\n", name, len(value), b, someFlagsOf(t, ask...), value)
		case "md":
			ask := []string{"k", opaque, "q", "I", "I", ttl("T"), cas}
			if now {
				ask = append(ask, "x", "x", "F3", "E777", wrong)
			}
			return "md " + key + someFlagsOf(t, ask...) + "\r\n"
		case "ma":
			mode := either([]string{"MI", "MD", "M+", "M-"}, []string{"Mi", "Md", "Mx", "MDD"}).Draw(t, "mode")
			number := either([]string{"0", "1", "13", "18446744073709551615"}, []string{"x", "", "18446744073709551616"})
			ask := []string{"k", opaque, "c", "t", "v", "J" + number.Draw(t, "seed"), "D" + number.Draw(t, "delta"), ttl("N"), ttl("T"), mode, cas}
			if now {
				ask = append(ask, "q", wrong)
			}
			return "ma " + key + someFlagsOf(t, ask...) + "\r\n"
		case "me":
			return "me " + key + either([]string{""}, []string{" b", " b x", " x"}).Draw(t, "more") + "\r\n"
		case "plain":
			return fmt.Sprintf(rapid.SampledFrom([]string{"set %s 5 0 2\r\nhi\r\n", "get %s\r\n", "incr %s 1\r\n", "delete %s\r\n", "set %s 0 0 1\r\n7\r\n", "append %s 0 0 1\r\n7\r\n"}).Draw(t, "plain"), asItIs)
		}
		encoded := base64.StdEncoding.EncodeToString([]byte("binary-" + asItIs))
		return either([]string{
			"ms a x\r\n", "mg a k k\r\n", "mx a\r\n", "ms " + encoded + " 2 b k\r\nhi\r\n", "mg " + encoded + " b k v\r\n", "md " + encoded + " b k\r\n", "ma " + encoded + " b k\r\n",
			"ms a 3\r\nabcdefg\r\n",
		}, []string{
			"mg\r\n", "ms\r\n", "ms a\r\n", "md\r\n", "ma\r\n", "me\r\n", "mg a z\r\n", "mg a \x80\r\n", "ms a 2 z\r\nhi\r\n", "ms a 2 {\r\n", "ms a -1\r\n", "ms a -\r\n\r\n",
			"mg a O" + strings.Repeat("x", 32) + "\r\n", "ms a 2 O" + strings.Repeat("x", 32) + "\r\nhi\r\n", "mg a Ox Ny Tz z\r\n", "ma a z\r\n", "md a Cx Fx\r\n", "ms a 2 Fx\r\nhi\r\n",
			"mg a" + strings.Repeat(" x", 18) + "\r\n", "mg a" + strings.Repeat(" x", 19) + "\r\n", "ms a 2" + strings.Repeat(" x", 18) + "\r\nhi\r\n", "mg a  v   q\r\n",
			"mg a=== b\r\n", "mg ab== b k\r\n", "mg a%b%=%= b k O1\r\n", "mg ==== b\r\n", "mg YQ b\r\n",
		}).Draw(t, "line")
	})
}

var (
	casToken  = regexp.MustCompile(` c(\d+)`)
	debugLine = regexp.MustCompile(`exp=-?\d+ la=\d+ cas=\d+ (fetch=\w+) cls=\d+ size=\d+`) // 1.6.18 counts exp the other way
)

// speaker sends commands one by one, with the CAS id that was told last.
type speaker struct {
	*peer
	cas string
}

// say returns the reply without what is each server's own: CAS ids and sizes.
func (s *speaker) say(t *rapid.T, command string) string {
	reply := s.talk(t, pieces(t, strings.ReplaceAll(command, "{cas}", s.cas)))
	if told := casToken.FindAllStringSubmatch(reply, -1); told != nil && told[len(told)-1][1] != "0" {
		s.cas = told[len(told)-1][1]
	}
	reply = casToken.ReplaceAllString(reply, " c#")
	return debugLine.ReplaceAllString(reply, "exp=# $1")
}

// Whatever is said in meta commands: memcached and this server answer with the same bytes.
func TestMetaSameAsMemcached(t *testing.T) {
	theirs, _ := realproc.Memcached(t)
	ours, _ := start(t, Config{}, store.Config{})
	connect := func(name, addr string) *speaker {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
		return &speaker{peer: &peer{name, c}, cas: "1"}
	}
	memcached, cacheserver := connect("memcached", theirs), connect("cacheserver", ours)
	if !modern(t) { // its first item has the CAS id 1, not 2
		if _, err := io.WriteString(memcached, "set first 0 0 1\r\nx\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(memcached, make([]byte, len("STORED\r\n"))); err != nil {
			t.Fatal(err)
		}
	}
	commands := rapid.SliceOfN(anyMeta(modern(t)), 1, 20)
	rapid.Check(t, func(t *rapid.T) {
		run++
		var said strings.Builder
		for _, c := range commands.Draw(t, "commands") {
			fmt.Fprintf(&said, "%.200q", c)
			t.Log(said.String())
			want, got := memcached.say(t, c), cacheserver.say(t, c)
			fmt.Fprintf(&said, " -> %.200q\n", want)
			if got != want {
				t.Fatalf("%scacheserver says %q", said.String(), got)
			}
		}
	})
}
