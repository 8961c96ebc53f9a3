package store

import (
	"fmt"
	"testing"
)

// segmented is memcached's default order of eviction.
var segmented = LRU{Segmented: true}

// juggleAll lets the segments settle.
func juggleAll(s *Store) {
	for s.Juggle() {
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
				s.Juggle()
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
	if got := statsOf(s, 31); got.MovesWithin != 0 || got.AgeWarm != 1_000 || got.Age != 1_100 {
		t.Errorf("%+v", got)
	}
	clock.add(2_000)
	read(t, s, "a0") // the last of the warm ones
	juggleAll(s)
	if got := statsOf(s, 31); got.Warm != 3 || got.MovesWithin != 0 {
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
	expiring("short", 72, 60) // there is nobody else to go in the end
	if got := statsOf(s, 31); got.Temporary != 36 || got.OutOfMemory != 0 {
		t.Errorf("%+v", got)
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
