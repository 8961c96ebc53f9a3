package store

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// Within the window one look-up per interval misses, every other gets the old value.
func TestStaleWindow(t *testing.T) {
	c := newClock()
	s := newStore(t, Config{Now: c.now, StaleWindow: 10, StaleRetry: 3})
	if _, _, err := put(s, Set, "k", []byte("old"), 0, c.now()+5, 0); err != nil {
		t.Fatal(err)
	}
	for second, want := range []string{ // m: the first look-up misses; h: none does; -: all do
		0: "h", 4: "h", 5: "m", 6: "h", 7: "h", 8: "m", 9: "h", 10: "h", 11: "m", 12: "h", 13: "h", 14: "m", 15: "-", 16: "-",
	} {
		if want == "" {
			continue
		}
		c.t.Store(1_000_000 + int64(second))
		for i := range 4 {
			it, ok := s.Get([]byte("k"))
			if ok {
				it.Release()
			}
			if hit := want == "h" || want == "m" && i > 0; ok != hit {
				t.Errorf("second %d, look-up %d: found %v", second, i, ok)
			}
		}
	}
	if st := s.Stats(); st.ElectedMisses != 4 || st.StaleHits != 12+4*6 {
		t.Errorf("%d elected, %d stale", st.ElectedMisses, st.StaleHits)
	}
	checkInvariants(t, s, 0)
}

// What the window keeps is gone for everything but a plain look-up, and for that too after a delete or a flush.
func TestStaleIsNoItem(t *testing.T) {
	c := newClock()
	s := newStore(t, Config{Now: c.now, StaleWindow: 100})
	outdated := func(key string) {
		if _, _, err := put(s, Set, key, []byte("1"), 0, c.now()+1, 0); err != nil {
			t.Fatal(err)
		}
		c.add(1)
		wantMiss(t, s, key) // elected
		wantValue(t, s, key, []byte("1"))
	}
	for name, gone := range map[string]func(key []byte) bool{
		"add":       func(k []byte) bool { status, _, _ := put(s, Add, string(k), []byte("new"), 0, 0, 0); return status == Stored },
		"replace":   func(k []byte) bool { status, _, _ := put(s, Replace, string(k), nil, 0, 0, 0); return status == NotStored },
		"append":    func(k []byte) bool { status, _, _ := put(s, Append, string(k), nil, 0, 0, 0); return status == NotStored },
		"incr":      func(k []byte) bool { _, _, status := s.Delta(k, 1, false, 0); return status == NotFound },
		"touch":     func(k []byte) bool { return s.Touch(k, 0) == NotFound },
		"edit":      func(k []byte) bool { return !s.Edit(k, func(Entry) { t.Error("found") }) },
		"gat":       func(k []byte) bool { _, ok := s.GetAndTouch(k, 0); return !ok },
		"delete":    func(k []byte) bool { s.Delete(k); _, ok := s.Get(k); return !ok },
		"flush_all": func(k []byte) bool { s.FlushAll(0); _, ok := s.Get(k); return !ok },
	} {
		outdated(name)
		if !gone([]byte(name)) {
			t.Errorf("%s takes an outdated item for one", name)
		}
		checkInvariants(t, s, 0)
	}
}

// A new value ends the matter, and a hundred clients at once elect exactly one of them.
func TestStaleElectsOne(t *testing.T) {
	c := newClock()
	s := newStore(t, Config{Now: c.now, StaleWindow: 60, StaleRetry: 5})
	for round := range 20 {
		value := fmt.Sprint("value ", round)
		if _, _, err := put(s, Set, "k", []byte(value), 0, c.now()+1, 0); err != nil {
			t.Fatal(err)
		}
		wantValue(t, s, "k", []byte(value))
		c.add(1)
		var misses atomic.Int64
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				it, ok := s.Get([]byte("k"))
				if !ok {
					misses.Add(1)
					return
				}
				it.Release()
			})
		}
		all.Wait()
		if n := misses.Load(); n != 1 {
			t.Fatalf("round %d: %d misses", round, n)
		}
	}
}
