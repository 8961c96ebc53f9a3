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

// A page changes hands, and with it the items that lived there go.
func TestReassign(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 8 << 20})
	for i := range 60_000 {
		set(t, s, fmt.Sprint("key ", i), make([]byte, 100))
	}
	var small int
	for _, k := range s.ClassStats() {
		if k.TotalPages > 1 {
			small = k.ID
		}
	}
	for want, args := range map[ReassignStatus][2]int{
		ReassignSame: {small, small}, ReassignBadClass: {small, 1000}, ReassignNoSpare: {small + 9, 1}, Reassigned: {small, 20},
	} {
		if got := s.Reassign(args[0], args[1]); got != want {
			t.Errorf("%v: %d, want %d", args, got, want)
		}
	}
	if st := s.Stats(); st.PagesMoved != 1 || st.FreePages != 0 || s.classes[20].pages.Load() != 1 {
		t.Errorf("%d moved, %d free", st.PagesMoved, st.FreePages)
	}
	if got := s.Reassign(-1, 20); got != Reassigned {
		t.Errorf("from any: %d", got)
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
