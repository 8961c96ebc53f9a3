package store

import (
	"errors"
	"fmt"
	"testing"
)

// statsOf returns the figures of one class, zero if it has no items.
func statsOf(s *Store, id int) ItemStats {
	for _, st := range s.ItemStats() {
		if st.ID == id {
			return st
		}
	}
	return ItemStats{}
}

// TestEvictionCounts is memcached's own scenario: three pages, items of 66,560 bytes in class 31, twelve to a page.
func TestEvictionCounts(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 3 << 20})
	value := pattern(1, 66_560)
	for i := range 40 {
		set(t, s, fmt.Sprint("key", i), value)
	}
	if got := statsOf(s, 31); got.Evicted != 4 || got.EvictedNonzero != 0 || got.EvictedUnfetched != 4 || got.Number != 36 {
		t.Errorf("after 40 items: %+v", got)
	}
	s.ResetStats()
	for i := 40; i < 80; i++ {
		if status, _, err := put(s, Set, fmt.Sprint("key", i), value, 0, s.cfg.Now()+600, 0); status != Stored || err != nil {
			t.Fatal(status, err)
		}
	}
	if got := statsOf(s, 31); got.Evicted != 40 || got.EvictedNonzero != 4 {
		t.Errorf("40 items later: %+v", got)
	}
	for i := 44; i < 80; i++ {
		wantValue(t, s, fmt.Sprint("key", i), value)
	}
	checkInvariants(t, s, 0)
}

// crowd stores n items of a size that makes one class, 12 to a page, of three pages.
func crowd(t *testing.T, s *Store, name string, n int) {
	for i := range n {
		set(t, s, fmt.Sprint(name, i), pattern(i, 66_560))
	}
}

// TestLeastRecentlyUsedGoesFirst checks the order of eviction, and that a read counts for it once a minute only.
func TestLeastRecentlyUsedGoesFirst(t *testing.T) {
	clock := newClock()
	s := newStore(t, Config{MemoryLimit: 3 << 20, Now: clock.now})
	crowd(t, s, "a", 36)
	clock.add(bumpInterval)
	wantValue(t, s, "a0", pattern(0, 66_560)) // too early for a bump
	clock.add(1)
	wantValue(t, s, "a1", pattern(1, 66_560))
	crowd(t, s, "b", 2)
	wantMiss(t, s, "a0")
	wantValue(t, s, "a1", pattern(1, 66_560))
	wantMiss(t, s, "a2")
	if got := statsOf(s, 31); got.Evicted != 2 || got.EvictedUnfetched != 1 || got.EvictedTime != bumpInterval+1 {
		t.Errorf("%+v", got)
	}
	clock.add(10)
	if got := statsOf(s, 31).Age; got != bumpInterval+11 {
		t.Errorf("age %d", got)
	}
}

// TestDeadGoBeforeTheLiving stores items that expire among others that do not.
func TestDeadGoBeforeTheLiving(t *testing.T) {
	for _, noEvict := range []bool{false, true} {
		clock := newClock()
		s := newStore(t, Config{MemoryLimit: 3 << 20, Now: clock.now, NoEvict: noEvict})
		crowd(t, s, "first", 2)
		put(s, Set, "short", pattern(1, 66_560), 0, clock.now()+5, 0)
		crowd(t, s, "then", 33)
		clock.add(5)
		crowd(t, s, "late", 1)
		if got := statsOf(s, 31); got.Evicted != 0 || got.Reclaimed != 1 || got.ExpiredUnfetched != 1 {
			t.Errorf("no evict %v: %+v", noEvict, got)
		}
		wantValue(t, s, "first0", pattern(0, 66_560))
		checkInvariants(t, s, 0)
	}
}

func TestNoEvict(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 3 << 20, NoEvict: true})
	crowd(t, s, "a", 36)
	if _, err := s.Alloc([]byte("more"), 0, 0, 66_560); !errors.Is(err, ErrNoMemory) {
		t.Errorf("in a full store: %v", err)
	}
	set(t, s, "small", nil) // a class's first page is beyond the limit
	if status, _, err := put(s, Append, "a1", nil, 0, 0, 0); err != nil || status != NoMemory {
		t.Errorf("append to a full store: status %d, %v", status, err)
	}
	for i := range 36 {
		wantValue(t, s, fmt.Sprint("a", i), pattern(i, 66_560))
	}
	if got := statsOf(s, 31); got.OutOfMemory != 2 || got.Evicted != 0 {
		t.Errorf("%+v", got)
	}
	s.Delete([]byte("a7"))
	crowd(t, s, "b", 1)
	checkInvariants(t, s, 0)
}

// TestHeldItemsArePassedOver fills the store while the least recently used items are held.
func TestHeldItemsArePassedOver(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 3 << 20})
	crowd(t, s, "a", 36)
	var held []Item
	for i := range 8 {
		it, _ := s.Get(fmt.Append(nil, "a", i))
		held = append(held, it)
	}
	crowd(t, s, "b", 10)
	for i := range 18 {
		if _, ok := get(s, fmt.Sprint("a", i)); ok != (i < 8) {
			t.Errorf("a%d: there %v", i, ok)
		}
	}
	if got := statsOf(s, 31); got.Evicted != 10 || got.TailRefLocked == 0 {
		t.Errorf("%+v", got)
	}
	for _, it := range held {
		it.Release()
	}
	checkInvariants(t, s, 0)
}

// TestAllHeld: with every item in use there is no memory, and an item released is memory again.
func TestAllHeld(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 2 << 20})
	value := pattern(1, 400_000)
	var held []Item
	for i := range 4 {
		key := fmt.Sprint("k", i)
		set(t, s, key, value)
		it, _ := s.Get([]byte(key))
		held = append(held, it)
	}
	if _, err := s.Alloc([]byte("more"), 0, 0, len(value)); !errors.Is(err, ErrNoMemory) {
		t.Errorf("error %v", err)
	}
	for _, it := range held {
		it.Release()
	}
	set(t, s, "more", value)
	checkInvariants(t, s, 0)
}

// TestItemsPerMegabyte holds the promise of more items in the same memory than memcached, which has 5,461 items of 100
// bytes and 60 of 16,000 in each page.
func TestItemsPerMegabyte(t *testing.T) {
	const pages = 12
	for _, tt := range []struct {
		size, keyLen, flags int
		memcached           float64 // items per page
		factor              float64
	}{
		{100, 10, 0, 5461, 1.25},
		{100, 20, 0, 5461, 1.1}, // the next class, but pages cut to fit
		{16_000, 30, 0, 60, 1.04},
	} {
		s := newStore(t, Config{MemoryLimit: pages << 20})
		value := pattern(1, tt.size)
		for i := 0; s.Stats().Evictions == 0; {
			for range 1000 {
				i++
				put(s, Set, fmt.Sprintf("%0*d", tt.keyLen, i), value, uint32(tt.flags), 0, 0)
			}
		}
		got, want := s.Stats().CurrItems, tt.memcached*pages*tt.factor
		if float64(got) < want {
			t.Errorf("%d bytes with keys of %d: %d items in %d pages, want %.0f", tt.size, tt.keyLen, got, pages, want)
		}
		if total := s.Stats().TotalMalloced; total > pages<<20 {
			t.Errorf("%d bytes of pages", total)
		}
	}
}
