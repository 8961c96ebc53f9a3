//go:build !race

package store

import (
	"fmt"
	"runtime"
	"testing"
)

// These promises are measured without the race detector, which allocates by itself.

func TestNoAllocationsInTheSteadyState(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 4 << 20, SlabChunkMax: 64 << 10})
	for i := range 3_000 { // more than fits
		set(t, s, fmt.Sprint("fill", i), pattern(i, 3_000))
	}
	small, large := pattern(1, 3_000), pattern(2, 150_000)
	segments := make([][]byte, 0, 8)
	store := func(key string, mode Mode, value []byte) func() {
		k := []byte(key)
		return func() {
			p, err := s.Alloc(k, 1, 0, len(value))
			if err != nil {
				t.Fatal(err)
			}
			p.Write(value)
			p.Commit(mode, 0)
		}
	}
	read := func(key string) func() {
		k := []byte(key)
		return func() {
			it, ok := s.Get(k)
			if !ok {
				t.Fatal("missing")
			}
			segments = it.Segments(segments[:0])
			it.Release()
		}
	}
	both := func(first, second func()) func() { return func() { first(); second() } }
	counter := []byte("counter")
	set(t, s, "counter", []byte("1000000"))
	var evict []func()
	for i := range 20 {
		evict = append(evict, store(fmt.Sprint("new", i), Set, small))
	}
	next := 0
	for _, tt := range []struct {
		name string
		op   func()
	}{
		{"set", store("a", Set, small)},
		{"get", read("a")},
		{"miss", func() { s.Get([]byte("nothing")) }},
		{"set chain", store("b", Set, large)},
		{"get chain", read("b")},
		{"evict", func() { evict[next%len(evict)](); next++ }},
		{"append", both(store("c", Set, small), store("c", Append, small))},
		{"incr", func() { s.Delta(counter, 1, false, 0) }},
		{"touch", func() { s.Touch(counter, 0) }},
		{"delete", both(store("d", Set, small), func() { s.Delete([]byte("d")) })},
	} {
		tt.op() // the first of its kind may take a page
		if got := testing.AllocsPerRun(200, tt.op); got > 0 {
			t.Errorf("%s: %v allocations", tt.name, got)
		}
	}
}

// TestHeapDoesNotGrowWithItems: what the collector has to look at is the same for no item and for half a million.
func TestHeapDoesNotGrowWithItems(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 128 << 20})
	var before, after runtime.MemStats
	key, value := make([]byte, 0, 32), pattern(1, 100)
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 500_000 {
		key = fmt.Appendf(key[:0], "key%d", i)
		p, err := s.Alloc(key, 0, 0, len(value))
		if err != nil {
			t.Fatal(err)
		}
		p.Write(value)
		p.Commit(Set, 0)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if got := s.Stats().CurrItems; got != 500_000 {
		t.Fatalf("%d items", got)
	}
	if after.HeapObjects > before.HeapObjects+100 || after.HeapAlloc > before.HeapAlloc+64<<10 {
		t.Errorf("heap grew from %d objects and %d bytes to %d and %d",
			before.HeapObjects, before.HeapAlloc, after.HeapObjects, after.HeapAlloc)
	}
}
