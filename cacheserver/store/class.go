package store

import (
	"sync"
	"sync/atomic"
)

// class is one slab class: its pages and the items in them.
type class struct {
	mu sync.Mutex
	id int

	lists    [segments]lru
	room     [cutsMax]uint32 // first page with a free chunk, by cut
	lastFit  int             // the cut that the last item fitted
	chunks   uint64          // in all its pages
	used     uint64          // of these, in use
	evicting evictCounters
	moves    moveCounters
	stored   uint64 // items linked since the start
	known    bool   // it has had a page

	spec  classSpec
	pages atomic.Int32 // written under the lock, read without to find the largest class
	hits  opCounters

	_ [64]byte // keeps the next class's lock off this one's cache lines
}

// evictCounters tell what became of items for want of memory. They belong to the class's lock.
type evictCounters struct {
	evicted          uint64
	evictedNonzero   uint64
	evictedUnfetched uint64
	evictedActive    uint64
	evictedTime      int64
	reclaimed        uint64
	expiredUnfetched uint64
	outOfMemory      uint64
	refLocked        uint64
	direct           uint64 // stores that took an item's memory
}

// linked returns how many items are in the class's lists, and their bytes. The caller holds the class's lock.
func (k *class) linked() (count, bytes uint64) {
	for i := range k.lists {
		count += k.lists[i].count
		bytes += k.lists[i].bytes
	}
	return count, bytes
}

// opCounters count successful operations on the items of a class.
type opCounters struct {
	deletes, incrs, decrs, touches, casHits, casBadval atomic.Uint64
}

// coarsePages is how many pages a class cuts to its nominal chunk size before it cuts any to fit. Until then items of every
// size of the class share its pages, so that a small memory is not split up between the cuts.
const coarsePages = 4

// takeFree takes a free chunk for size bytes, from a new page if the pool has one; 0 if there is none. With first a class without
// pages gets one though the memory is full. The caller holds the class's lock.
func (s *Store) takeFree(k *class, size int, first bool) ref {
	fit := k.spec.cutFor(size)
	k.lastFit = fit
	pages := int(k.pages.Load())
	if pages < coarsePages {
		fit = k.roomiest(fit)
	}
	if k.room[fit] == 0 {
		if n := s.takePage(first && pages == 0); n != 0 {
			if pages < coarsePages {
				fit = 0
			}
			s.adopt(k, n, fit)
		} else {
			fit = k.roomiest(fit)
		}
	}
	if k.room[fit] == 0 {
		return 0
	}
	return s.takeFrom(k, k.room[fit])
}

// roomiest returns the tightest cut from fit upwards in chunk size that has a free chunk, or 0.
func (k *class) roomiest(fit int) int {
	for fit > 0 && k.room[fit] == 0 {
		fit--
	}
	return fit
}

// adopt gives a page from the pool to a class.
func (s *Store) adopt(k *class, n uint32, cutNo int) {
	p, c := &s.pages[n], k.spec.cuts[cutNo]
	s.sizes[n].Store(c.size)
	p.count, p.cut = c.count, uint8(cutNo)
	p.fresh, p.free, p.used, p.draining, p.kept = 0, 0, 0, false, false
	p.deadline.Store(0)
	p.owner.Store(uint32(k.id))
	k.pages.Add(1)
	k.known = true
	k.chunks += uint64(c.count)
	s.enterRoom(k, n)
}

// disown gives a page without used chunks to the pool.
func (s *Store) disown(k *class, n uint32) {
	p := &s.pages[n]
	p.owner.Store(0)
	k.pages.Add(-1)
	k.chunks -= uint64(p.count)
	s.pool.put(n)
}

// takeFrom takes a chunk of a page that has room.
func (s *Store) takeFrom(k *class, n uint32) ref {
	p := &s.pages[n]
	var r ref
	if p.free != 0 {
		r = makeRef(n, p.free-1)
		p.free = uint16(s.at(r).next())
	} else {
		r = makeRef(n, p.fresh)
		p.fresh++
		s.at(r).state().Store(kindFree)
	}
	s.unkeep(p)
	p.used++
	k.used++
	if !p.hasRoom() {
		s.leaveRoom(k, n)
	}
	return r
}

// giveChunk puts a chunk back that nothing refers to any more, and with the last one of a page the page. It takes the
// class's lock.
func (s *Store) giveChunk(r ref) {
	k := s.classOf(r)
	k.mu.Lock()
	defer k.mu.Unlock()
	n := r.page()
	p, c := &s.pages[n], s.at(r)
	hadRoom := p.hasRoom()
	c.state().Store(kindFree)
	c.setNext(ref(p.free))
	p.free = r.idx() + 1
	p.used--
	k.used--
	switch {
	case p.used == 0 && !p.draining && s.mover.keep.Load():
		if !hadRoom {
			s.enterRoom(k, n)
		}
		p.fresh, p.free = 0, 0
		p.deadline.Store(0)
		s.keepEmpty(p)
	case p.used == 0:
		if hadRoom {
			s.leaveRoom(k, n)
		}
		s.disown(k, n)
	case !hadRoom && p.hasRoom():
		s.enterRoom(k, n)
	}
}

// keepEmpty takes note that there is nothing in a page, and that it stays with its class until another is in want. The caller holds the
// class's lock.
func (s *Store) keepEmpty(p *page) {
	p.kept = true
	s.kept.Add(1)
}

// unkeep takes note that a page is no longer kept empty. The caller holds the lock of its class.
func (s *Store) unkeep(p *page) {
	if p.kept {
		p.kept = false
		s.kept.Add(-1)
	}
}

// keptPage returns a page that a class keeps though nothing is in it, 0 if there is none. The caller holds no lock.
func (s *Store) keptPage() uint32 {
	for id := 1; id < len(s.classes) && s.kept.Load() > 0; id++ {
		if n := s.keptPageOf(&s.classes[id]); n != 0 {
			return n
		}
	}
	return 0
}

// keptPageOf is keptPage for one class.
func (s *Store) keptPageOf(k *class) uint32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, n := range k.room {
		for ; n != 0; n = s.pages[n].next {
			if s.pages[n].kept {
				return n
			}
		}
	}
	return 0
}

func (s *Store) enterRoom(k *class, n uint32) {
	p := &s.pages[n]
	first := &k.room[p.cut]
	p.prev, p.next = 0, *first
	if *first != 0 {
		s.pages[*first].prev = n
	}
	*first = n
}

func (s *Store) leaveRoom(k *class, n uint32) {
	p := &s.pages[n]
	if p.prev != 0 {
		s.pages[p.prev].next = p.next
	} else {
		k.room[p.cut] = p.next
	}
	if p.next != 0 {
		s.pages[p.next].prev = p.prev
	}
}
