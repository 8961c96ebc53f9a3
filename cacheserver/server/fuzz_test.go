package server

import (
	"bytes"
	"math"
	"testing"
	"unsafe"

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
		answers := make([][]byte, 2)
		for i, size := range []int{math.MaxInt, int(n)%16 + 1} {
			if bytes.Contains(text, []byte("stats")) && i > 0 {
				return // figures differ from run to run
			}
			st, err := store.New(store.Config{MemoryLimit: 4 << 20})
			if err != nil {
				t.Fatal(err)
			}
			s, err := New(Config{Workers: 1}, st, func() int64 { return 1_700_000_000 })
			if err != nil {
				t.Fatal(err)
			}
			answers[i] = replies(t, s, text, size)
			s.closeWorkers()
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(answers[0], answers[1]) {
			t.Fatalf("%q\nin one piece %q\nin pieces    %q", text, answers[0], answers[1])
		}
	})
}
