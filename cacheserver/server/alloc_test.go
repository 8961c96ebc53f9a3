//go:build !race

package server

import (
	"strings"
	"testing"
	"time"

	"pagegate/cacheserver/protocol"
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
	for name, all := range map[string][]string{
		"text": {
			"set some_key 0 0 100\r\n" + strings.Repeat("x", 100) + "\r\n",
			"set big_key 0 0 16000\r\n" + strings.Repeat("x", 16000) + "\r\n",
			"get some_key big_key nothing\r\n",
		},
		"binary": {
			packet{op: protocol.OpSet, extras: noExtras, key: "some_key", value: strings.Repeat("x", 100)}.String(),
			packet{op: protocol.OpSet, extras: noExtras, key: "big_key", value: strings.Repeat("x", 16000)}.String(),
			packet{op: protocol.OpGet, key: "some_key"}.String() + packet{op: protocol.OpGetK, key: "big_key"}.String() +
				packet{op: protocol.OpGet, key: "nothing"}.String() + packet{op: protocol.OpIncrement, extras: fromTen, key: "n"}.String(),
		},
	} {
		c := &session{srv: s, stats: &s.workers[0].stats}
		var pieces [][]byte
		for _, text := range all {
			pieces = append(pieces, []byte(text))
		}
		if n := testing.AllocsPerRun(200, func() {
			for _, b := range pieces {
				c.budget = 20
				if c.feed(b) != len(b) {
					t.Fatal("not all was taken")
				}
				c.out.wrote(c.out.owed)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
