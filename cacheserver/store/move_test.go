package store

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
)

// moveOn lets a page move to its end, or to where it waits for others.
func moveOn(t *testing.T, s *Store) {
	t.Helper()
	for range 20 {
		if more, _ := s.MoveStep(); !more {
			return
		}
	}
}

// fullest returns the class with the most pages.
func fullest(s *Store) (id int) {
	most := uint64(0)
	for _, k := range s.ClassStats() {
		if k.TotalPages > most {
			id, most = k.ID, k.TotalPages
		}
	}
	return id
}

// What can be asked for, and what cannot.
func TestReassign(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 8 << 20})
	for i := range 60_000 {
		set(t, s, fmt.Sprint("key ", i), make([]byte, 100))
	}
	small := fullest(s)
	for _, tt := range []struct {
		src, dst int
		want     ReassignStatus
	}{
		{small, small, ReassignSame}, {small, 1000, ReassignBadClass}, {small + 9, 1, ReassignNoSpare},
		{small, 20, Reassigned}, {small, 21, ReassignBusy}, {-1, 20, ReassignBusy},
	} {
		if got := s.Reassign(tt.src, tt.dst); got != tt.want {
			t.Errorf("%d to %d: %d, want %d", tt.src, tt.dst, got, tt.want)
		}
	}
	moveOn(t, s)
	if st := s.Stats(); s.MoveStats().Moved != 1 || st.FreePages != 0 || s.classes[20].pages.Load() != 1 {
		t.Errorf("%+v, %d free", s.MoveStats(), st.FreePages)
	}
	if got := s.Reassign(-1, 0); got != Reassigned {
		t.Errorf("from any: %d", got)
	}
	moveOn(t, s)
	if st := s.Stats(); s.MoveStats().Moved != 2 || st.FreePages != 1 {
		t.Errorf("%+v, %d free", s.MoveStats(), st.FreePages)
	}
	checkInvariants(t, s, 0)
}

// In a full class the least recently used items go for the sake of those in the page; in one with room nothing does, and every
// item keeps its value, flags, CAS id and place among the least recently used.
func TestMovedItemsAreWhole(t *testing.T) {
	for _, size := range []int{9_000, 30_000, 70_000} { // in one chunk, in two, in five
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newStore(t, Config{MemoryLimit: 12 << 20, SlabChunkMax: 16 << 10})
			want := make(map[string]uint64)
			for i := 0; s.Stats().Evictions == 0; i++ {
				key := fmt.Sprint("key ", i)
				_, want[key], _ = put(s, Set, key, pattern(i, size), uint32(i), 0, 0)
			}
			count := len(want)
			src := fullest(s)
			if got := s.Reassign(src, 0); got != Reassigned {
				t.Fatal(got)
			}
			moveOn(t, s)
			m, evicted := s.MoveStats(), s.Stats().Evictions
			if m.Moved != 1 || m.BusyNoMemory < 1 || evicted < 10 || evicted > 400 || m.Running {
				t.Errorf("full: %+v, %d evictions", m, evicted)
			}
			deleted := 2_200_000 / size
			for i := range deleted { // two pages' worth, each second of the newest
				s.Delete(fmt.Append(nil, "key ", count-1-2*i))
			}
			checkInvariants(t, s, 0)
			before := s.MoveStats()
			if got := s.Reassign(src, 0); got != Reassigned {
				t.Fatal(got)
			}
			moveOn(t, s)
			m = s.MoveStats()
			if m.Moved != 2 || s.Stats().Evictions != evicted || m.Rescues+m.ChunkRescues == before.Rescues+before.ChunkRescues {
				t.Errorf("with room: %+v, %d evictions, %d before", m, s.Stats().Evictions, evicted)
			}
			if chained := size > 16_000; chained && m.ChunkRescues == 0 || !chained && m.Rescues == 0 {
				t.Errorf("%+v", m)
			}
			found := 0
			for i := range count {
				key := fmt.Sprint("key ", i)
				it, ok := s.Get([]byte(key))
				if !ok {
					continue
				}
				found++
				if got := bytes.Join(it.Segments(nil), nil); !bytes.Equal(got, pattern(i, size)) || it.Flags() != uint32(i) || it.CAS() != want[key] {
					t.Errorf("%s: %d bytes, flags %d, CAS %d, want %d", key, len(got), it.Flags(), it.CAS(), want[key])
				}
				it.Release()
			}
			if wanted := count - int(evicted) - deleted; found != wanted {
				t.Errorf("%d items, want %d", found, wanted)
			}
			checkInvariants(t, s, 0)
		})
	}
}

// A page waits for those who hold what lies in it, and for what is to be kept; then it goes.
func TestMoveWaits(t *testing.T) {
	for _, size := range []int{9_000, 30_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newStore(t, Config{MemoryLimit: 12 << 20, SlabChunkMax: 16 << 10})
			const items = 300
			for i := range items {
				set(t, s, fmt.Sprint("key ", i), pattern(i, size))
			}
			for i := items / 3; i < items; i += 2 { // makes room elsewhere
				s.Delete(fmt.Append(nil, "key ", i))
			}
			src := fullest(s)
			held, ok := s.Get([]byte("key 0"))
			if !ok {
				t.Fatal("not there")
			}
			s.KeepInPage([]byte("key 1"), true)
			if got := s.Reassign(src, 0); got != Reassigned {
				t.Fatal(got)
			}
			moveOn(t, s)
			if m := s.MoveStats(); !m.Running || m.Moved != 0 || m.BusyItems == 0 || m.BusyStatus == busyNone {
				t.Errorf("%+v", m)
			}
			if got := bytes.Join(held.Segments(nil), nil); !bytes.Equal(got, pattern(0, size)) {
				t.Error("what is held has changed")
			}
			held.Release()
			moveOn(t, s)
			if m := s.MoveStats(); !m.Running || m.BusyStatus != busyLocked {
				t.Errorf("%+v", m)
			}
			s.KeepInPage([]byte("key 1"), false)
			moveOn(t, s)
			if m := s.MoveStats(); m.Running || m.Moved != 1 {
				t.Errorf("%+v", m)
			}
			for i := range items / 3 {
				wantValue(t, s, fmt.Sprint("key ", i), pattern(i, size))
			}
			checkInvariants(t, s, 0)
		})
	}
}

// A large item that is held for long is copied: who comes later reads the copy, and the page waits for the first reader only.
func TestHeldChainIsCopied(t *testing.T) {
	clock := newClock()
	s := newStore(t, Config{MemoryLimit: 12 << 20, SlabChunkMax: 16 << 10, Now: clock.now, LRU: segmented})
	const items = 200
	for i := range items {
		put(s, Set, fmt.Sprint("key ", i), pattern(i, 30_000), uint32(i), clock.now()+1000, 0)
	}
	s.Edit([]byte("key 0"), func(e Entry) { e.SetStale() })
	first, ok := s.Get([]byte("key 0"))
	if !ok {
		t.Fatal("not there")
	}
	for i := 1; i < items; i += 2 { // makes room
		s.Delete(fmt.Append(nil, "key ", i))
	}
	total := s.Stats().TotalItems
	if got := s.Reassign(fullest(s), 0); got != Reassigned {
		t.Fatal(got)
	}
	moveOn(t, s)
	if it, _ := s.Get([]byte("key 0")); it.r != first.r {
		t.Error("copied before it was held for long")
	} else {
		it.Release()
	}
	clock.add(copyAfter)
	moveOn(t, s)
	later, ok := s.Get([]byte("key 0"))
	if !ok || later.r == first.r {
		t.Fatal("not copied")
	}
	if it := later; !bytes.Equal(valueOf(it), pattern(0, 30_000)) || it.CAS() != first.CAS() || it.Flags() != 0 || it.Exptime() != first.Exptime() {
		t.Errorf("the copy: %d bytes, CAS %d, want %d", it.Len(), it.CAS(), first.CAS())
	}
	s.Edit([]byte("key 0"), func(e Entry) {
		if !e.Stale() || !e.Info().Fetched {
			t.Error("the marks are gone")
		}
	})
	if m := s.MoveStats(); !m.Running || m.Moved != 0 || m.BusyStatus != busyFloating {
		t.Errorf("%+v", m)
	}
	if !bytes.Equal(valueOf(first), pattern(0, 30_000)) {
		t.Error("what is held has changed")
	}
	first.Release()
	moveOn(t, s)
	if m, st := s.MoveStats(), s.Stats(); m.Running || m.Moved != 1 || st.Evictions != 0 || st.TotalItems != total {
		t.Errorf("%+v, %+v", m, st)
	}
	later.Release()
	checkInvariants(t, s, 0)
}

// A move that waits for ever is given up, and the page is used again.
func TestMoveIsGivenUp(t *testing.T) {
	clock := newClock()
	s := newStore(t, Config{MemoryLimit: 4 << 20, Now: clock.now})
	for i := range 300 {
		set(t, s, fmt.Sprint("key ", i), pattern(i, 9_000))
	}
	s.KeepInPage([]byte("key 0"), true)
	if got := s.Reassign(fullest(s), 0); got != Reassigned {
		t.Fatal(got)
	}
	moveOn(t, s)
	clock.add(moveSeconds)
	moveOn(t, s)
	if m := s.MoveStats(); m.Running || m.Moved != 0 {
		t.Errorf("%+v", m)
	}
	checkInvariants(t, s, 0)
}

// The pages of a class that has become half empty go back to the pool, and nothing is lost.
func TestCompact(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 22 << 20})
	s.SetAutomove(Automove{Level: 1})
	const items = 2_000
	for i := range items {
		set(t, s, fmt.Sprint("key ", i), pattern(i, 11_000))
	}
	for i := 1; i < items; i += 2 {
		s.Delete(fmt.Append(nil, "key ", i))
	}
	told := 0
	s.OnMove(func(src, dst int, begun bool) {
		if told++; dst != 0 || src != fullest(s) || !begun {
			t.Errorf("told of a move from %d to %d, begun %v", src, dst, begun)
		}
	})
	for range 5 {
		s.MovePages()
	}
	if moved := s.MoveStats().Moved; told == 0 || uint64(told) < moved {
		t.Errorf("told of %d moves of %d", told, moved)
	}
	if st := s.Stats(); st.FreePages < 7 || st.Evictions != 0 {
		t.Errorf("%d pages are free, %d evictions", st.FreePages, st.Evictions)
	}
	for i := 0; i < items; i += 2 {
		wantValue(t, s, fmt.Sprint("key ", i), pattern(i, 11_000))
	}
	checkInvariants(t, s, 0)
}

// Pages move while items are read, stored, joined and counted: nobody sees anything but whole values.
func TestMoveWhileInUse(t *testing.T) {
	clock := newClock()
	s := newStore(t, Config{MemoryLimit: 16 << 20, SlabChunkMax: 16 << 10, LRU: segmented, Now: clock.now})
	s.SetAutomove(Automove{Level: 2})
	const keys = 300
	stop := make(chan struct{})
	var mover, users sync.WaitGroup
	mover.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if s.Reassign(i%len(s.classes), 0) == Reassigned {
				for more := true; more; clock.add(1) { // so that what is held is held for long
					more, _ = s.MoveStep()
				}
			}
			if i%50 == 0 {
				s.MovePages()
				juggle(s)
			}
		}
	})
	for u := range 4 {
		users.Go(func() {
			for i := range 4_000 {
				n := (i*7 + u*31) % keys
				key := fmt.Sprint("key ", n)
				size := 2_000 + n%3*14_000
				switch i % 5 {
				case 0:
					put(s, Set, key, pattern(n, size), 0, 0, 0)
				case 1:
					put(s, Append, key, nil, 0, 0, 0)
				case 2:
					s.Touch([]byte(key), 0)
				default:
					if it, ok := s.Get([]byte(key)); ok {
						if got := bytes.Join(it.Segments(nil), nil); !bytes.Equal(got, pattern(n, size)) {
							t.Errorf("%s: %d bytes, want %d", key, len(got), size)
						}
						it.Release()
					}
				}
			}
		})
	}
	users.Wait()
	close(stop)
	mover.Wait()
	moveOn(t, s)
	if m := s.MoveStats(); m.Moved == 0 || m.Rescues+m.ChunkRescues == 0 {
		t.Errorf("%+v", m)
	}
	checkInvariants(t, s, 0)
}

// With Automove.Keep pages without items stay with their class: they can be reassigned, and another class that has no memory takes them.
func TestEmptyPagesAreKept(t *testing.T) {
	s := newStore(t, Config{MemoryLimit: 8 << 20, NoEvict: true})
	s.SetAutomove(Automove{Keep: true})
	for i := range 98 { // 14 to a page, so all of them
		set(t, s, fmt.Sprint("big ", i), make([]byte, 70_000))
	}
	big, free := fullest(s), s.Stats().FreePages
	cas := uint64(0)
	for i := range 98 {
		if key := fmt.Sprint("big ", i); i < 5 {
			cas = set(t, s, key, make([]byte, 70_000))
		} else {
			s.Delete([]byte(key))
		}
	}
	pages := s.classes[big].pages.Load()
	if got := s.Stats().FreePages; got != free || pages < 7 {
		t.Errorf("%d pages are free, %d were; the class has %d", got, free, pages)
	}
	checkInvariants(t, s, 0)
	if got := s.Reassign(big, 5); got != Reassigned {
		t.Fatalf("reassign: %d", got)
	}
	moveOn(t, s)
	if it, ok := s.Get([]byte("big 4")); !ok || it.CAS() != cas || s.classes[5].pages.Load() != 1 || s.classes[big].pages.Load() != pages-1 {
		t.Errorf("found %v, class 5 has %d pages, the other one %d", ok, s.classes[5].pages.Load(), s.classes[big].pages.Load())
	} else {
		it.Release()
	}
	for range 3 { // nor is a page lost that a class was given and has no use for
		if got := s.Reassign(big, 9); got != Reassigned {
			t.Fatalf("reassign: %d", got)
		}
		moveOn(t, s)
	}
	checkInvariants(t, s, 0)
	for s.Reassign(9, 0) == Reassigned {
		moveOn(t, s)
	}
	if got := s.classes[9].pages.Load(); got != 1 {
		t.Errorf("%d pages are left of those that were given", got)
	}
	for i := range 40_000 { // of another size, as much as there is room for in the pages that nobody uses
		set(t, s, fmt.Sprint("small ", i), make([]byte, 50))
	}
	checkInvariants(t, s, 0)
	for i := range 5 {
		s.Delete(fmt.Append(nil, "big ", i))
	}
	for s.Reassign(big, 0) == Reassigned {
		moveOn(t, s)
	}
	if got := s.classes[big].pages.Load(); got != 1 {
		t.Errorf("%d pages are left", got)
	}
	checkInvariants(t, s, 0)
}
