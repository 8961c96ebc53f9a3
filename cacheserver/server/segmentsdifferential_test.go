package server

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pagegate/cacheserver/store"
	"pagegate/internal/realproc"
)

// segmentsOf returns what `stats items` says about the shares of the class that holds the most items.
func segmentsOf(t *testing.T, c *client) (shares string) {
	t.Helper()
	all := c.stats(t, "stats items")
	best := ""
	for name := range all {
		id, ok := strings.CutSuffix(name, ":number")
		if ok && (best == "" || len(all[name]) > len(all[best+":number"])) {
			best = id
		}
	}
	for _, name := range []string{"number", "number_hot", "number_warm", "number_cold"} {
		shares += fmt.Sprint(name, " ", all[best+":"+name], "; ")
	}
	return shares
}

// The shares of hot, warm and cold items come to be what they are in Debian's memcached: after stores, and after reads of cold items
// and of warm ones.
func TestSegmentsSameAsMemcached(t *testing.T) {
	theirs, _ := realproc.Memcached(t)
	ours, _ := start(t, Config{Maintainer: true}, store.Config{LRU: store.LRU{Segmented: true}})
	memcached, cacheserver := dial(t, theirs), dial(t, ours)
	both := func(requests, replies string) {
		t.Helper()
		memcached.ask(t, requests, replies)
		cacheserver.ask(t, requests, replies)
	}
	read := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			both(fmt.Sprintf("mg key%04d\r\n", i), "HD\r\n")
		}
	}
	settle := func(want string) {
		t.Helper()
		for name, c := range map[string]*client{"memcached": memcached, "cacheserver": cacheserver} {
			for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
				got := segmentsOf(t, c)
				if got == want {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s: %s, want %s", name, got, want)
				}
			}
		}
	}
	for i := range 1_000 {
		both(fmt.Sprintf("set key%04d 0 0 100\r\n%0100d\r\n", i, i), "STORED\r\n")
	}
	// Nothing is stored any more: in the next second the hot ones count as old, beside the oldest cold one.
	settle("number 1000; number_hot 0; number_warm 0; number_cold 1000; ")
	read(0, 300)
	settle("number 1000; number_hot 0; number_warm 0; number_cold 1000; ")
	read(0, 300)
	settle("number 1000; number_hot 0; number_warm 300; number_cold 700; ")
	read(300, 600)
	read(300, 600)
	settle("number 1000; number_hot 0; number_warm 400; number_cold 600; ")
	read(0, 300)
	settle("number 1000; number_hot 0; number_warm 400; number_cold 600; ")
	both("lru tune 10 60 0.1 2\r\n", "OK\r\n")
	read(0, 600)
	settle("number 1000; number_hot 0; number_warm 600; number_cold 400; ")
	both("lru mode flat\r\n", "OK\r\n")
	settle("number 1000; number_hot 0; number_warm 0; number_cold 1000; ")
}
