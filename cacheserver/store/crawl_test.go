package store

import (
	"fmt"
	"testing"
)

// A crawl removes what is dead, and nothing else.
func TestCrawl(t *testing.T) {
	c := newClock()
	s := newStore(t, Config{Now: c.now, StaleWindow: 5})
	for i := range 3000 {
		exptime := []int64{0, c.now() + 10, c.now() + 8}[i%3] // for ever, within the stale window by then, over
		if _, _, err := put(s, Set, fmt.Sprint("key ", i), []byte("value"), 0, exptime, 0); err != nil {
			t.Fatal(err)
		}
	}
	c.add(14)
	var crawl Crawl
	for s.CrawlStep(&crawl) {
	}
	if crawl.Checked != 3000 || crawl.Reclaimed != 1000 {
		t.Errorf("checked %d, reclaimed %d", crawl.Checked, crawl.Reclaimed)
	}
	if n := s.Stats().CurrItems; n != 2000 {
		t.Errorf("%d items are left", n)
	}
	checkInvariants(t, s, 0)
}

// Whoever wants to know hears of each item that has to go.
func TestOnEvict(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 2 << 20})
	told := 0
	s.OnEvict(func(key []byte, it ItemInfo) {
		if len(key) == 0 || it.Len != 1000 {
			t.Errorf("evicted %q, %+v", key, it)
		}
		told++
	})
	for i := range 5000 {
		set(t, s, fmt.Sprint("key ", i), make([]byte, 1000))
	}
	if n := s.Stats().Evictions; told == 0 || uint64(told) != n {
		t.Errorf("told of %d of %d", told, n)
	}
}
