package server

import (
	"bytes"
	"math"
	"net/netip"
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
		sameInPieces(t, Config{}, text, textSizes(text, n))
	})
}

// textSizes are the sizes of pieces in which text has the same answers: all at once, and small ones, unless figures are
// asked for or a line is so long that only its end in the same piece saves it.
func textSizes(text []byte, n uint8) []int {
	sizes := []int{math.MaxInt, int(n)%16 + 1}
	if asksForFigures(text) {
		return sizes[:1]
	}
	for line := range bytes.SplitSeq(text, []byte{'\n'}) {
		if len(line) >= maxLine {
			return sizes[:1]
		}
	}
	return sizes
}

// asksForFigures tells whether text may ask for figures, which differ from run to run.
func asksForFigures(text []byte) bool {
	return bytes.Contains(text, []byte("stats")) || bytes.Contains(text, []byte{protocol.BinaryRequestMagic, byte(protocol.OpStat)})
}

// sameInPieces lets a server for each size have text in pieces of so many bytes, and returns what all of them answer.
func sameInPieces(t *testing.T, cfg Config, text []byte, sizes []int) (answer []byte) {
	for i, size := range sizes {
		var got []byte
		withServer(t, cfg, func(s *Server) { got = replies(t, s, text, size) })
		if i > 0 && !bytes.Equal(got, answer) {
			t.Fatalf("%q\nin pieces of %d %q\nin pieces of %d %q", text, sizes[0], answer, size, got)
		}
		answer = got
	}
	return answer
}

// withServer makes a server over an empty store, which does not listen, and whose time stands still.
func withServer(t *testing.T, cfg Config, do func(s *Server)) {
	cfg.Workers = 1
	clock := func() int64 { return 1_700_000_000 }
	st, err := store.New(store.Config{MemoryLimit: 4 << 20, Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(cfg, st, clock)
	if err != nil {
		t.Fatal(err)
	}
	do(s)
	s.closeWorkers()
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
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
		if asksForFigures(text) {
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

// Nobody gets past -Y without a password, and the answer depends on the bytes alone.
func FuzzAuthSession(f *testing.F) {
	for _, seed := range []string{
		"get a\r\n", "set a 0 0 11\r\nuser secret\r\nmn\r\n", "set a 0 0 10\r\nuser wrong\r\nmn\r\n", "set a 0 0 2000\r\nuser secret\r\n",
		"set a 0 0 99999999999\r\n", "set a 0 0 11\r\nuser secretXX", "set\r\n\n\n", "set a 0 0 0\r\n\r\n", "\x80\x0a",
	} {
		f.Add([]byte(seed), uint8(3))
	}
	users := new(AuthFile)
	users.entries.Store(&[]credential{{[]byte("user"), []byte("secret")}})
	f.Fuzz(func(t *testing.T, text []byte, n uint8) {
		answer := sameInPieces(t, Config{AuthFile: users}, text, textSizes(text, n))
		if !bytes.Contains(text, []byte("user secret")) && bytes.Count(answer, []byte("CLIENT_ERROR")) != bytes.Count(answer, []byte("\n")) {
			t.Errorf("%q was answered with %q", text, answer)
		}
	})
}

// What is said in a datagram is answered as on a connection.
func FuzzDatagram(f *testing.F) {
	for _, seed := range []string{
		"get a b\r\n", "set a 0 0 3\r\nabc\r\nget a a\r\nget a\r\n", "set a 0 0 3\r\na", "set a 0 0 9999999\r\nxx", "quit\r\nmn\r\n",
		packet{op: protocol.OpSet, extras: noExtras, key: "n", value: "9"}.String() + packet{op: protocol.OpGet, key: "n"}.String(),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if asksForFigures(text) {
			return
		}
		want := sameInPieces(t, Config{}, text, []int{math.MaxInt})
		withServer(t, Config{}, func(s *Server) {
			var reply []byte
			u := &udpReader{session: session{srv: s, stats: &s.workers[0].stats}}
			u.write = func(datagram []byte, _ netip.AddrPort) (int, error) {
				reply = append(reply, datagram[udpHeader:]...)
				return len(datagram), nil
			}
			u.converse(text)
			if !bytes.Equal(reply, want) {
				t.Errorf("%q: %q, want %q", text, reply, want)
			}
			if u.session.reading || !u.session.out.empty() {
				t.Errorf("%q leaves something behind", text)
			}
		})
	})
}
