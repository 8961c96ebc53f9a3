package store

import (
	"errors"
	"fmt"
	"testing"
)

func pagesOf(s *Store, id int) int { return int(s.classes[id].pages.Load()) }

// TestFirstPageOfAClass: memory is full of small items; a class that has nothing gets a page all the same, one, and it is given back.
func TestFirstPageOfAClass(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 4 << 20})
	for i := range 4 * 6898 {
		set(t, s, fmt.Sprintf("small%05d", i), pattern(i, 100))
	}
	if got := s.Stats(); got.Evictions != 0 || pagesOf(s, 3) != 4 {
		t.Fatalf("%d evictions, %d pages: the memory should be just full", got.Evictions, pagesOf(s, 3))
	}
	set(t, s, "large", pattern(1, 16_000))
	wantValue(t, s, "large", pattern(1, 16_000))
	for i := range 65 {
		set(t, s, fmt.Sprint("large", i), pattern(1, 16_000))
	}
	if got := s.Stats(); got.Evictions != 6 || got.PagesDrained != 0 || pagesOf(s, 3) != 4 || got.TotalMalloced != 5<<20 {
		t.Errorf("%+v", got)
	}
	wantValue(t, s, "small00000", pattern(0, 100))
	for s.Maintain() {
	}
	if pagesOf(s, 3) != 4 {
		t.Error("a page was taken for it")
	}
	for i := range 65 {
		s.Delete(fmt.Append(nil, "large", i))
	}
	for s.Maintain() {
	}
	if got := s.Stats(); got.TotalMalloced != 4<<20 || got.FreePages != 0 {
		t.Errorf("%+v", got)
	}
	wantValue(t, s, fmt.Sprintf("small%05d", 4*6898-1), pattern(4*6898-1, 100))
	checkInvariants(t, s, 0)
}

// TestNoPageMovesWithoutNeed: a class that has items of its own to evict leaves the others alone.
func TestNoPageMovesWithoutNeed(t *testing.T) {
	clock := newClock()
	s := newStore(t, Config{MemoryLimit: 8 << 20, Now: clock.now})
	for i := range 300 {
		set(t, s, fmt.Sprint("a", i), pattern(i, 5_000))
	}
	for i := range 400 {
		put(s, Set, fmt.Sprint("b", i), pattern(i, 16_000), 0, clock.now()+1000, 0)
	}
	for i := range 2_000 {
		clock.add(1)
		put(s, Set, fmt.Sprint("c", i), pattern(i, 16_000), 0, clock.now()+1000, 0)
	}
	if got := s.Stats(); got.PagesDrained != 0 || got.Evictions == 0 {
		t.Errorf("%d pages moved, %d evictions", got.PagesDrained, got.Evictions)
	}
	wantValue(t, s, "a0", pattern(0, 5_000))
}

// TestDeadMemoryIsNotCalcified fills all memory with small items, lets them die, and stores large ones: as many must stay as
// in a fresh store, or nearly.
func TestDeadMemoryIsNotCalcified(t *testing.T) {
	const pages = 8
	ends := map[string]func(s *Store, clock *clock){
		"flushed": func(s *Store, _ *clock) { s.FlushAll(0) },
		"expired": func(_ *Store, clock *clock) { clock.add(1000) },
	}
	large := func(s *Store) uint64 {
		for i := range pages * 90 {
			set(t, s, fmt.Sprint("large", i), pattern(i, 16_000))
		}
		return statsOf(s, 24).Number
	}
	fresh := large(newStore(t, Config{MemoryLimit: pages << 20}))
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			s := newStore(t, Config{MemoryLimit: pages << 20, Now: clock.now})
			for i := range pages * 7_000 {
				put(s, Set, fmt.Sprintf("small%06d", i), pattern(i, 100), 0, clock.now()+1000, 0)
			}
			s.ResetStats()
			end(s, clock)
			if got := large(s); got*100 < fresh*98 {
				t.Errorf("%d large items, in a fresh store %d", got, fresh)
			}
			if got := s.Stats(); got.Reclaimed < pages*6_800 || got.PagesDrained < pages-1 {
				t.Errorf("%d reclaimed, %d pages moved", got.Reclaimed, got.PagesDrained)
			}
			checkInvariants(t, s, 0)
		})
	}
}

// TestTouchKeepsAPageAlive: a page is dead only if every item in it is, also after an expiry has been put off.
func TestTouchKeepsAPageAlive(t *testing.T) {
	for _, size := range []int{100, 300_000} { // the larger is a chain
		clock := newClock()
		s := newStore(t, Config{MemoryLimit: 8 << 20, SlabChunkMax: 64 << 10, Now: clock.now})
		put(s, Set, "stays", pattern(1, size), 0, clock.now()+10, 0)
		s.Touch([]byte("stays"), clock.now()+1000)
		clock.add(10)
		for range 10 {
			if n := s.findDeadPage(uint32(clock.now())); n != 0 {
				t.Errorf("page %d counts as dead", n)
			}
		}
		clock.add(1000)
		if s.findDeadPage(uint32(clock.now())) == 0 {
			t.Error("no page counts as dead")
		}
	}
}

// TestDrainWithPending empties a page in which an item is being written; its Commit ends that.
func TestDrainWithPending(t *testing.T) {
	for _, size := range []int{100, 300_000} {
		s := newStore(t, Config{SlabChunkMax: 64 << 10})
		set(t, s, "neighbour", pattern(1, size))
		p, err := s.Alloc([]byte("k"), 0, 0, size)
		if err != nil {
			t.Fatal(err)
		}
		for n := uint32(1); n < s.pool.fresh.Load(); n++ {
			s.drain(n, uint32(s.cfg.Now()))
		}
		wantMiss(t, s, "neighbour")
		p.Write(pattern(2, size))
		p.Commit(Set, 0)
		wantValue(t, s, "k", pattern(2, size))
		checkInvariants(t, s, 0)
	}
}

// TestDrainWithReader empties a page in which an item is held: the page is free when the item is released.
func TestDrainWithReader(t *testing.T) {
	s := newStore(t, Config{SlabChunkMax: 64 << 10})
	set(t, s, "k", pattern(1, 300_000))
	it, _ := s.Get([]byte("k"))
	for n := uint32(1); n < s.pool.fresh.Load(); n++ {
		s.drain(n, uint32(s.cfg.Now()))
	}
	wantMiss(t, s, "k")
	if got := s.Stats().TotalMalloced; got == 0 {
		t.Error("the pages of a held item are gone")
	}
	it.Release()
	if got := s.Stats(); got.TotalMalloced != got.FreePages<<pageShift || got.FreePages == 0 {
		t.Errorf("%d bytes of pages, %d free pages", got.TotalMalloced, got.FreePages)
	}
	checkInvariants(t, s, 0)
}

// TestDrainOfPieces empties a page that holds but a piece of an item: the whole item goes.
func TestDrainOfPieces(t *testing.T) {
	s := newStore(t, Config{SlabChunkMax: 64 << 10})
	set(t, s, "chain", pattern(1, 70_000))
	set(t, s, "other", pattern(1, 1_000))
	it, _ := s.Get([]byte("chain"))
	piece := it.c.firstPiece()
	it.Release()
	if piece.page() == it.r.page() {
		t.Fatal("head and piece lie in the same page")
	}
	s.drain(piece.page(), uint32(s.cfg.Now()))
	wantMiss(t, s, "chain")
	wantValue(t, s, "other", pattern(1, 1_000))
	checkInvariants(t, s, 0)
}

// TestPagesAreCutAnew: a class whose pages are cut for its smaller sizes still serves its largest.
func TestPagesAreCutAnew(t *testing.T) {
	const pages = 12
	s := newStore(t, Config{MemoryLimit: pages << 20})
	for i := range pages * 80 {
		set(t, s, fmt.Sprint("a", i), pattern(i, 14_000))
	}
	if got := statsOf(s, 24).Number; got <= pages*60 {
		t.Fatalf("%d items: the pages are not cut to fit", got)
	}
	for i := range pages * 80 {
		set(t, s, fmt.Sprint("b", i), pattern(i, 17_300))
	}
	if got := statsOf(s, 24).Number; got != pages*60 {
		t.Errorf("%d large items, want %d", got, pages*60)
	}
	for i := range pages * 80 {
		set(t, s, fmt.Sprint("c", i), pattern(i, 14_000))
	}
	checkInvariants(t, s, 0)
}

func TestSetMemoryLimit(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 8 << 20})
	for i := range 1_000 {
		set(t, s, fmt.Sprint("k", i), pattern(i, 16_000))
	}
	before := s.Stats().CurrItems
	if err := s.SetMemoryLimit(4 << 20); err != nil {
		t.Fatal(err)
	}
	for s.Maintain() {
	}
	if got := s.Stats(); got.TotalMalloced != 4<<20 || got.LimitMaxBytes != 4<<20 || got.CurrItems >= before {
		t.Errorf("lowered: %+v", got)
	}
	if used, cold := len(s.pool.used), len(s.pool.cold); used != 0 || cold != 4 {
		t.Errorf("%d pages with memory in the pool, %d without", used, cold)
	}
	wantValue(t, s, "k900", pattern(900, 16_000)) // lies in one of the pages last filled
	if err := s.SetMemoryLimit(16 << 20); err != nil {
		t.Fatal(err)
	}
	for i := range 1_000 {
		set(t, s, fmt.Sprint("k", i), pattern(i, 16_000))
	}
	if got := s.Stats().CurrItems; got <= before {
		t.Errorf("raised: %d items, with half of the memory %d", got, before)
	}
	if err := s.SetMemoryLimit(1 << 45); !errors.Is(err, ErrLimit) {
		t.Errorf("beyond the address space: %v", err)
	}
	checkInvariants(t, s, 0)
}

// TestLimitIsReachedByWritesAlone: without Maintain, stores bring the memory down to a lower limit.
func TestLimitIsReachedByWritesAlone(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 8 << 20})
	for i := range 600 {
		set(t, s, fmt.Sprint("k", i), pattern(i, 16_000))
	}
	if err := s.SetMemoryLimit(2 << 20); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		set(t, s, fmt.Sprint("k", i), pattern(i, 16_000))
	}
	if got := s.Stats().TotalMalloced; got != 2<<20 {
		t.Errorf("%d bytes of pages", got)
	}
	checkInvariants(t, s, 0)
}
