package server

import (
	"bytes"
	"math"
	"testing"
	"unsafe"

	"pagegate/cacheserver/protocol"
	"pagegate/cacheserver/store"
)

// replies lets a new session have text in pieces of n bytes and returns all that it answers.
func replies(t *testing.T, s *Server, text []byte, n int) []byte {
	t.Helper()
	c := &session{srv: s, stats: &s.workers[0].stats, budget: math.MaxInt}
	defer c.end()
	var got, left []byte
	for len(text) > 0 && !c.closing {
		piece := text[:min(n, len(text))]
		text = text[len(piece):]
		left = append(left, piece...)
		for {
			used := c.feed(left)
			left = left[used:]
			full := c.out.full()
			for _, v := range c.out.vectors(nil) {
				got = append(got, unsafe.Slice(v.Base, v.Len)...)
			}
			c.out.wrote(c.out.owed)
			if !full {
				break
			}
		}
	}
	return got
}

// Whatever bytes come, in whatever pieces: no panic, and the answer depends on the bytes alone.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{
		"get a b\r\n", "set a 0 0 3\r\nabc\r\nget a\r\n", "set a 0 0 3 noreply\r\nabc\r\n", "set a 0 0 9999999\r\nxx",
		"cas a 0 0 1 2\r\nx\r\n", "append a 0 0 1\r\nx\r\n", "incr a 1\r\ndecr a 1\r\n", "gat 0 a\r\ntouch a 1\r\n",
		"flush_all\r\nverbosity 1\r\nversion\r\nmn\r\nquit\r\n", "\x00\r\n\n\n", "GET / HTTP/1.1\r\n", "set a 0 0 0\r\n\r\n",
		"delete a\r\nadd a 0 0 1\r\nx\r\nreplace a 0 0 1\r\ny\r\n", "stats nonsense\r\n",
	} {
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, text []byte, n uint8) {
		sizes := []int{math.MaxInt, int(n)%16 + 1}
		if bytes.Contains(text, []byte("stats")) {
			sizes = sizes[:1] // figures differ from run to run
		}
		sameInPieces(t, Config{}, text, sizes)
	})
}

// sameInPieces lets a server for each size have text in pieces of so many bytes, and returns what all of them answer.
func sameInPieces(t *testing.T, cfg Config, text []byte, sizes []int) (answer []byte) {
	cfg.Workers = 1
	clock := func() int64 { return 1_700_000_000 }
	for i, size := range sizes {
		st, err := store.New(store.Config{MemoryLimit: 4 << 20, Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(cfg, st, clock)
		if err != nil {
			t.Fatal(err)
		}
		got := replies(t, s, text, size)
		s.closeWorkers()
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		if i > 0 && !bytes.Equal(got, answer) {
			t.Fatalf("%q\nin pieces of %d %q\nin pieces of %d %q", text, sizes[0], answer, size, got)
		}
		answer = got
	}
	return answer
}

// As FuzzSession; besides, every answer is a whole response of the protocol.
func FuzzBinarySession(f *testing.F) {
	for op := range protocol.Opcode(0x26) {
		p := packet{op: op, key: "key", value: "5", opaque: uint32(op)}
		f.Add([]byte(p.String()), uint8(1), false)
		p.value = ""
		f.Add([]byte(p.String()+packet{op: protocol.OpNoop}.String()), uint8(7), true)
		p.extras = noExtras
		f.Add([]byte(p.String()+p.String()), uint8(5), false)
		p.extras = forever
		f.Add([]byte(p.String()+packet{op: protocol.OpGetK, key: "key"}.String()), uint8(9), false)
	}
	set := packet{op: protocol.OpSet, extras: someFlags, key: "n", value: "9"}.String()
	f.Add([]byte(set+packet{op: protocol.OpIncrement, extras: fromTen, key: "n", cas: 1}.String()+packet{op: 0x09, key: "n"}.String()), uint8(3), false)
	f.Add([]byte(set+packet{op: protocol.OpAppend, key: "n", value: "x"}.String()+packet{op: protocol.OpDelete, key: "n", cas: 9}.String()), uint8(2), false)
	f.Add([]byte(packet{op: protocol.OpSASLAuth, key: "PLAIN", value: "\x00user\x00password"}.String()+set), uint8(4), true)
	f.Add([]byte(packet{op: protocol.OpSASLAuth, key: "PLAIN"}.String()+packet{op: protocol.OpSASLStep, key: "PLAIN", value: "\x00user\x00password"}.String()+set), uint8(4), true)
	f.Add([]byte("\x80\x12\x00\x01\x08\x00\x00\x00\xff\xff\xff\xe8abcdefghijklmnopqrstuvwxyz"), uint8(6), false)
	f.Fuzz(func(t *testing.T, text []byte, n uint8, sasl bool) {
		sizes := []int{math.MaxInt, int(n)%16 + 1}
		if bytes.Contains(text, []byte{protocol.BinaryRequestMagic, byte(protocol.OpStat)}) {
			sizes = sizes[:1]
		}
		cfg := Config{Protocol: Binary}
		if sasl {
			cfg.SASL = func(user, password []byte) bool { return string(user) == "user" && string(password) == "password" }
		}
		answer := bytes.NewReader(sameInPieces(t, cfg, text, sizes))
		for answer.Len() > 0 {
			if _, err := readReply(answer); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
		}
	})
}
