package store

import (
	"fmt"
	"testing"
)

// segmented is memcached's default order of eviction.
var segmented = LRU{Segmented: true}

// juggle is a turn of the LRU maintainer for each class.
func juggle(s *Store) (moved int) {
	for id := range s.classes {
		moved += s.JuggleClass(id)
	}
	return moved + s.JuggleBumps()
}

// juggleAll lets the segments settle.
func juggleAll(s *Store) {
	for juggle(s) > 0 {
	}
}

// TestScanPushesOutNothingThatIsReadAgain lets a crawler pass by: ten times as many pages as there is room for, each stored and read
// once, while some pages are read now and then. Segmented, they all stay; in plain LRU order they would be gone.
func TestScanPushesOutNothingThatIsReadAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		lru  LRU
		kept bool
	}{"segmented": {segmented, true}, "flat": {LRU{}, false}} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			s := newStore(t, Config{MemoryLimit: 8 << 20, LRU: tt.lru, Now: clock.now})
			value := pattern(1, 16_000) // 65 to a page
			// What is warm has a share of what is there: a store that is all but empty would let it go cold.
			for i := range 520 {
				set(t, s, fmt.Sprint("before", i), value)
			}
			const favourites = 130
			for i := range favourites {
				set(t, s, fmt.Sprint("favourite", i), value)
				wantValue(t, s, fmt.Sprint("favourite", i), value)
			}
			for i := range 5_200 {
				// More pages pass between two reads than there are places. (In less than twice the time that a page lives which is
				// not read again: warm_max_factor.)
				if i%600 == 0 {
					for j := range favourites {
						get(s, fmt.Sprint("favourite", j))
					}
				}
				set(t, s, fmt.Sprint("scanned", i), value)
				get(s, fmt.Sprint("scanned", i))
				clock.add(1)
				juggle(s)
			}
			kept := 0
			for i := range favourites {
				if _, ok := get(s, fmt.Sprint("favourite", i)); ok {
					kept++
				}
			}
			if (kept == favourites) != tt.kept {
				t.Errorf("%d of %d are there", kept, favourites)
			}
			checkInvariants(t, s, 0)
		})
	}
}

// class31 is how crowd's items are spread.
func class31(t *testing.T, s *Store, hot, warm, cold, temporary uint64) {
	t.Helper()
	if got := statsOf(s, 31); got.Hot != hot || got.Warm != warm || got.Cold != cold || got.Temporary != temporary {
		t.Errorf("hot %d warm %d cold %d temporary %d, want %d, %d, %d, %d",
			got.Hot, got.Warm, got.Cold, got.Temporary, hot, warm, cold, temporary)
	}
}

// read reads an item of crowd so often that it is active.
func read(t *testing.T, s *Store, keys ...string) {
	t.Helper()
	for _, key := range keys {
		for range 2 {
			if _, ok := get(s, key); !ok {
				t.Errorf("%s is gone", key)
			}
		}
	}
}

func TestSegmentsOfAList(t *testing.T) {
	clock := newClock()
	s := newStore(t, Config{MemoryLimit: 3 << 20, Now: clock.now, LRU: segmented})
	crowd(t, s, "a", 31)
	class31(t, s, 31, 0, 0, 0) // memory is not short: nobody waits for the lists
	read(t, s, "a0", "a1")
	juggleAll(s)
	class31(t, s, 6, 2, 23, 0) // a fifth stays hot
	if got := statsOf(s, 31); got.MovesToWarm != 2 || got.MovesToCold != 23 {
		t.Errorf("%+v", got)
	}
	clock.add(100)
	juggleAll(s)
	class31(t, s, 0, 2, 29, 0) // not used for more than 0.2 times as long as the oldest
	read(t, s, "a2")           // the coldest of all
	crowd(t, s, "b", 6)        // of which the last needs room
	class31(t, s, 6, 3, 27, 0)
	wantMiss(t, s, "a3")
	read(t, s, "a0", "a1", "a2")
	if got := statsOf(s, 31); got.Evicted != 1 || got.DirectReclaims != 1 || got.EvictedActive != 0 || got.MovesToWarm != 3 || got.EvictedTime != 100 {
		t.Errorf("%+v", got)
	}
	clock.add(1_000)
	juggleAll(s) // too long for warm ones too, but that they were read again
	class31(t, s, 0, 3, 33, 0)
	if got := statsOf(s, 31); got.MovesWithin != 3 || got.AgeWarm != 1_000 || got.Age != 1_100 {
		t.Errorf("%+v", got)
	}
	clock.add(2_000)
	read(t, s, "a0") // the last of the warm ones
	juggleAll(s)
	if got := statsOf(s, 31); got.Warm != 3 || got.MovesWithin != 4 {
		t.Errorf("%+v", got)
	}
	checkInvariants(t, s, 0)
}

// TestWarmOnesHaveToGoToo: where everything is read all the time, the least recently used goes.
func TestWarmOnesHaveToGoToo(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 3 << 20, LRU: segmented})
	for round := range 4 {
		for i := range 36 {
			key := fmt.Sprint("r", round, "i", i)
			set(t, s, key, pattern(i, 66_560))
			read(t, s, key)
		}
		checkInvariants(t, s, 0)
	}
	if got := statsOf(s, 31); got.Number != 36 || got.Evicted != 108 {
		t.Errorf("%+v", got)
	}
}

func TestTemporaryItems(t *testing.T) {
	clock := newClock()
	s := newStore(t, Config{MemoryLimit: 3 << 20, Now: clock.now, LRU: LRU{Segmented: true, Temporary: true, TemporaryTTL: 60}})
	expiring := func(name string, n int, ttl int64) {
		for i := range n {
			put(s, Set, fmt.Sprint(name, i), pattern(i, 66_560), 0, clock.now()+ttl, 0)
		}
	}
	expiring("short", 10, 60)
	expiring("longer", 10, 61)
	class31(t, s, 10, 0, 0, 10)
	crowd(t, s, "a", 40)
	for i := range 10 {
		wantValue(t, s, fmt.Sprint("short", i), pattern(i, 66_560)) // not one was evicted
		wantMiss(t, s, fmt.Sprint("longer", i))
	}
	s.Touch([]byte("short0"), 0)
	s.Touch([]byte("short1"), clock.now()+30)
	class31(t, s, 7, 0, 20, 9)
	clock.add(60)
	before := statsOf(s, 31).Evicted
	crowd(t, s, "b", 9)
	if got := statsOf(s, 31); got.Evicted != before || got.Reclaimed != 9 || got.Temporary != 0 {
		t.Errorf("%+v", got)
	}
	expiring("short", 72, 60) // as many as there is room for
	if got := statsOf(s, 31); got.Temporary != 36 || got.OutOfMemory != 36 {
		t.Errorf("%+v", got)
	}
	set(t, s, "small", nil) // a class's first page is beyond the limit
	for i := range 20_000 { // more than that, and never at the cost of another class's temporary ones
		put(s, Set, fmt.Sprint("small", i), nil, 0, 0, 0)
	}
	if got := statsOf(s, 31); got.Temporary != 36 {
		t.Errorf("%+v", got)
	}
	clock.add(60)
	crowd(t, s, "c", 36)
	checkInvariants(t, s, 0)
}

// TestPagesOfTemporaryItemsAreNotTaken: a class without anything to evict gets a page of another, but not one with temporary items.
func TestPagesOfTemporaryItemsAreNotTaken(t *testing.T) {
	for _, size := range []int{66_560, 300_000} { // in one chunk, and in several
		clock := newClock()
		s := newStore(t, Config{MemoryLimit: 6 << 20, SlabChunkMax: 128 << 10, Now: clock.now, LRU: LRU{Segmented: true, Temporary: true, TemporaryTTL: 60}})
		put(s, Set, "temporary", pattern(0, size), 0, clock.now()+30, 0)
		for i := range 200 {
			set(t, s, fmt.Sprint("a", i), pattern(i, size))
		}
		var held []Item
		for i := 0; s.Stats().PagesDrained == 0; i++ { // a class of which all is held has nothing to evict
			key := fmt.Sprint("held", i)
			set(t, s, key, pattern(i, 40_000))
			it, ok := s.Get([]byte(key))
			if !ok {
				t.Fatal(key)
			}
			held = append(held, it)
		}
		wantValue(t, s, "temporary", pattern(0, size))
		for _, it := range held {
			it.Release()
		}
		checkInvariants(t, s, 0)
	}
}

// TestColdItemsThatAreReadAgain are warm the next time that somebody collects them, and have their time of access from then.
func TestColdItemsThatAreReadAgain(t *testing.T) {
	clock := newClock()
	s := newStore(t, Config{MemoryLimit: 3 << 20, Now: clock.now, LRU: segmented})
	crowd(t, s, "a", 31)
	juggleAll(s)
	class31(t, s, 6, 0, 25, 0)
	clock.add(5)
	read(t, s, "a0", "a20") // neither at the end of the list nor at its beginning
	wantValue(t, s, "a1", pattern(1, 66_560))
	s.Delete([]byte("a20"))
	clock.add(5)
	if n := s.JuggleBumps(); n != 2 {
		t.Errorf("%d items, want 2", n)
	}
	class31(t, s, 6, 1, 23, 0)
	age := func(key string) (idle int64) {
		s.Edit([]byte(key), func(e Entry) { idle = e.Idle() })
		return idle
	}
	if a, b := age("a0"), age("a1"); a != 0 || b != 10 {
		t.Errorf("last used %d and %d seconds ago, want 0 and 10", a, b)
	}
	read(t, s, "a29") // hot: at its second read
	if got := age("a29"); got != 0 {
		t.Errorf("last used %d seconds ago", got)
	}
	checkInvariants(t, s, 0)
}

// TestTooManyBumps: what finds no room in the queue is counted, and spared from eviction all the same.
func TestTooManyBumps(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 32 << 20, LRU: segmented})
	const items = 2 * bumpQueues * bumpsMax
	for i := range items {
		set(t, s, fmt.Sprint(i), nil)
	}
	juggleAll(s)
	for i := range items {
		read(t, s, fmt.Sprint(i))
	}
	got := s.Stats()
	if n := s.JuggleBumps(); n > bumpQueues*bumpsMax || n < bumpQueues*bumpsMax/2 || got.BumpsDropped < items/4 {
		t.Errorf("%d items became warm, %d were dropped", n, got.BumpsDropped)
	}
	s.JuggleClass(1)
	if after := statsOf(s, 1); after.Warm < bumpQueues*bumpsMax/2 || after.Evicted != 0 {
		t.Errorf("%+v", after)
	}
	checkInvariants(t, s, 0)
}

// TestModesAtRunTime changes the order of eviction under way.
func TestModesAtRunTime(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 3 << 20, LRU: segmented})
	crowd(t, s, "a", 21)
	read(t, s, "a0")
	juggleAll(s)
	class31(t, s, 4, 1, 16, 0)
	s.SetLRU(LRU{})
	juggleAll(s)
	class31(t, s, 0, 0, 21, 0)
	crowd(t, s, "b", 20)
	class31(t, s, 0, 0, 36, 0)
	s.SetLRU(LRU{Segmented: true, HotPercent: 49, WarmPercent: 10})
	if got := s.LRU(); got.HotPercent != 49 || got.HotMaxFactor != 0.2 {
		t.Errorf("%+v", got)
	}
	crowd(t, s, "c", 36)
	juggleAll(s)
	class31(t, s, 17, 0, 19, 0)
	checkInvariants(t, s, 0)
}
