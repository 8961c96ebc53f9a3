package protocol

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	k251 := strings.Repeat("k", 251)
	tests := []struct {
		line string
		want Command
		err  string
	}{
		{line: "get a", want: Command{Verb: Get, Keys: []byte(" a")}},
		{line: "gets  a b", want: Command{Verb: Gets, Keys: []byte("  a b")}},
		{line: "gat 10 a b", want: Command{Verb: Gat, Exptime: 10, Keys: []byte(" a b")}},
		{line: "gats -1 a", want: Command{Verb: Gats, Exptime: -1, Keys: []byte(" a")}},
		{line: "set a 1 2 3", want: Command{Verb: Set, Key: []byte("a"), Flags: 1, Exptime: 2, Length: 3, Block: true}},
		{line: "set a 1 -2 3 noreply", want: Command{Verb: Set, Key: []byte("a"), Flags: 1, Exptime: -2, Length: 3, Block: true, NoReply: true}},
		{line: "set a 1 2 3 4 5", want: Command{Verb: Set, Key: []byte("a"), Flags: 1, Exptime: 2, Length: 3, Block: true}},
		{line: "set a 4294967295 0 0", want: Command{Verb: Set, Key: []byte("a"), Flags: 1<<32 - 1, Block: true}},
		{line: "set a 4294967297 \t-3\tx 0", want: Command{Verb: Set, Key: []byte("a"), Flags: 1, Exptime: -3, Block: true}},
		{line: "cas a 1 2 3 18446744073709551615", want: Command{Verb: CAS, Key: []byte("a"), Flags: 1, Exptime: 2, Length: 3, Block: true, CAS: 1<<64 - 1}},
		{line: "delete a 0 noreply", want: Command{Verb: Delete, Key: []byte("a"), NoReply: true}},
		{line: "delete a 1", want: Command{Verb: Delete, Key: []byte("a")}},
		{line: "incr a 18446744073709551615", want: Command{Verb: Incr, Key: []byte("a"), Delta: 1<<64 - 1}},
		{line: "touch a 5", want: Command{Verb: Touch, Key: []byte("a"), Exptime: 5}},
		{line: "touch a -", want: Command{Verb: Touch, Key: []byte("a")}},
		{line: "flush_all", want: Command{Verb: FlushAll}},
		{line: " flush_all 5 noreply", want: Command{Verb: FlushAll, Exptime: 5, NoReply: true}},
		{line: "stats items", want: Command{Verb: Stats, Arg: []byte("stats"), Keys: []byte(" items")}},
		{line: "lru_crawler metadump all", want: Command{Verb: Admin, Arg: []byte("lru_crawler"), Keys: []byte(" metadump all")}},
		{line: " slabs automove 1 noreply", want: Command{Verb: Admin, Arg: []byte("slabs"), Keys: []byte(" automove 1 noreply"), NoReply: true}},
		{line: "watch fetchers", want: Command{Verb: Admin, Arg: []byte("watch"), Keys: []byte(" fetchers")}},
		{line: "mg k v", want: Command{Verb: MetaGet, Keys: []byte(" k v")}},
		{line: "verbosity 1", want: Command{Verb: Verbosity, Level: 1}},
		{line: "quit now", want: Command{Verb: Quit}},

		{line: "", err: ErrUnknown},
		{line: "GET a", err: ErrUnknown},
		{line: " get a", err: ErrUnknown},
		{line: "get", err: ErrFormat},
		{line: "get ", err: ErrFormat},
		{line: "gat a b", err: ErrExptime},
		{line: "set a 1 2", err: ErrFormat},
		{line: "set " + k251 + " 1 2 3", err: ErrFormat},
		{line: "set a x 2 3", err: ErrFormat},
		{line: "set a 18446744073709551616 2 3", err: ErrFormat},
		{line: "set a 1 9223372036854775808 3", err: ErrFormat},
		{line: "set a 1 2 -3", err: ErrFormat},
		{line: "set a 1 2 2147483646", err: ErrFormat},
		{line: "cas a 1 2 3", err: ErrFormat},
		{line: "cas a 1 2 3 x", err: ErrFormat},
		{line: "delete", err: ErrFormat},
		{line: "delete a b c d", err: ErrUnknown},
		{line: "incr a", err: ErrFormat},
		{line: "incr a x", err: ErrDelta},
		{line: "incr a -1", err: ErrDelta},
		{line: "incr a 18446744073709551616", err: ErrDelta},
		{line: "incr a 00000000000000000000001", err: ErrDelta},
		{line: "touch a x", err: ErrExptime},
		{line: "touch a 000000000001", err: ErrExptime},
		{line: "flush_all x", err: ErrExptime},
		{line: "verbosity", err: ErrFormat},
	}
	for _, tt := range tests {
		var c Command
		err := Parse([]byte(tt.line), 250, &c)
		if err != tt.err {
			t.Errorf("%.60q: %q, want %q", tt.line, err, tt.err)
			continue
		}
		if err == "" {
			if diff := cmp.Diff(tt.want, c); diff != "" {
				t.Errorf("%q: %s", tt.line, diff)
			}
		}
	}
}

func TestNextKey(t *testing.T) {
	c := Command{Keys: []byte("  a bb   ccc ")}
	var got []string
	for k := c.NextKey(); len(k) > 0; k = c.NextKey() {
		got = append(got, string(k))
	}
	if diff := cmp.Diff([]string{"a", "bb", "ccc"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	lines := [][]byte{[]byte("get some_key another_key"), []byte("set some_key 1 2 3 noreply"), []byte("incr k 5"), []byte("garbage")}
	var c Command
	if n := testing.AllocsPerRun(100, func() {
		for _, l := range lines {
			Parse(l, 250, &c)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"get a b", "set a 0 0 1 noreply", "cas a 0 0 1 2", "gat 1 a", "delete a 0", "incr a 1", "\x00", "set  a  0  0  1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		before := bytes.Clone(line)
		var c Command
		err := Parse(line, 250, &c)
		if !bytes.Equal(before, line) {
			t.Error("the line was changed")
		}
		if err != "" {
			return
		}
		if len(c.Key) > 250 || c.Length < 0 || bytes.IndexByte(c.Key, ' ') >= 0 {
			t.Errorf("%q: %+v", line, c)
		}
		for n := 0; ; n++ {
			if k := c.NextKey(); len(k) == 0 {
				break
			}
			if n > len(line) {
				t.Fatal("keys without end")
			}
		}
	})
}
