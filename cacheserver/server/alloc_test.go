//go:build !race

package server

import (
	"strings"
	"testing"
	"time"

	"pagegate/cacheserver/store"
)

// The race detector's own allocations would count, so this file is left out there; `make test` runs it besides.
func TestCommandsAllocateNothing(t *testing.T) {
	st, err := store.New(store.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	s, err := New(Config{Workers: 1}, st, func() int64 { return time.Now().Unix() })
	if err != nil {
		t.Fatal(err)
	}
	defer s.closeWorkers()
	c := &session{srv: s, stats: &s.workers[0].stats}
	set := []byte("set some_key 0 0 100\r\n" + strings.Repeat("x", 100) + "\r\n")
	big := []byte("set big_key 0 0 16000\r\n" + strings.Repeat("x", 16000) + "\r\n")
	get := []byte("get some_key big_key nothing\r\n")
	if n := testing.AllocsPerRun(200, func() {
		for _, b := range [][]byte{set, big, get} {
			c.budget = 20
			if c.feed(b) != len(b) {
				t.Fatal("not all was taken")
			}
			c.out.wrote(c.out.owed)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
