package store

import "sync"

// Automove says how pages go by themselves from a class that keeps items long to one that has to evict young ones. Whatever it
// says, a class with nothing to evict at all gets a page at once: see takeChunk.
type Automove struct {
	Level  int     // 0: they do not; 1: one a second, from a want that has lasted for a Window; 2: several, and at once
	Ratio  float64 // a class is in want if it evicts items of less than so many times the age of the oldest; default 0.8
	Window int     // seconds; default 10
}

// automover is the state of Automove.
type automover struct {
	mu      sync.Mutex
	how     Automove
	classes []want // by number
}

// want is what the automover remembers of a class.
type want struct {
	evicted uint64 // evictions so far
	last    uint32 // when it was last seen to have evicted
	since   uint32 // from when on it has been in want; 0: it is not
}

// SetAutomove changes how pages move, at run time.
func (s *Store) SetAutomove(how Automove) {
	setDefault(&how.Ratio, 0.8)
	setDefault(&how.Window, 10)
	s.mover.mu.Lock()
	defer s.mover.mu.Unlock()
	s.mover.how = how
}

// Automove returns what SetAutomove has set.
func (s *Store) Automove() Automove {
	s.mover.mu.Lock()
	defer s.mover.mu.Unlock()
	return s.mover.how
}

// hurry is the part of the giver's pages that move in a second at level 2, one at least.
const hurry = 16

// MovePages does what SetAutomove has set: it begins to move a page, which MoveStep goes on with, or at level 2 several, one after the
// other. A server calls it once a second.
func (s *Store) MovePages() {
	if s.MoveStats().Running {
		return
	}
	for range compactPages {
		if !s.compact() {
			break
		}
	}
	s.mover.mu.Lock()
	defer s.mover.mu.Unlock()
	if s.mover.how.Level == 0 || s.cfg.NoEvict || s.pool.excess() < 0 {
		return
	}
	giver, taker := s.mover.choose(s, s.now())
	if giver == nil || taker == nil {
		return
	}
	pages := 1
	if s.mover.how.Level > 1 {
		pages = max(1, int(giver.pages.Load())/hurry)
	}
	for range pages {
		if !s.movePage(s.oldestPage(giver, false), giver, taker, false) {
			return
		}
	}
}

// movePage moves a page as far as that goes without waiting, and tells whether it has come to its end.
func (s *Store) movePage(n uint32, giver, taker *class, gentle bool) bool {
	if !s.moving.start(s, n, giver, taker, gentle) {
		return false
	}
	for range movePasses {
		if more, _ := s.MoveStep(); !more {
			return true
		}
	}
	return false
}

// movePasses is how many passes a page gets at once.
const movePasses = 3

// choose returns the class that keeps its items longest, and the one that evicts the youngest if it is in want; nil for none.
func (m *automover) choose(s *Store, now uint32) (giver, taker *class) {
	if m.classes == nil {
		m.classes = make([]want, len(s.classes))
	}
	oldest, ages := int64(0), [ClassesMax + 1]int64{}
	for id := 1; id < len(s.classes); id++ {
		k, w := &s.classes[id], &m.classes[id]
		k.mu.Lock()
		ages[id] = s.idleTime(k, now)
		if evicted := k.evicting.evicted; evicted != w.evicted {
			w.evicted, w.last = evicted, now
		}
		k.mu.Unlock()
		if k.pages.Load() > 1 && ages[id] > oldest {
			giver, oldest = k, ages[id]
		}
	}
	for id := 1; id < len(s.classes); id++ {
		w := &m.classes[id]
		switch evicting := w.last != 0 && now-w.last <= uint32(m.how.Window); {
		case !evicting || float64(ages[id]) >= m.how.Ratio*float64(oldest):
			w.since = 0
			continue
		case w.since == 0:
			w.since = now
		}
		ready := m.how.Level > 1 || now-w.since >= uint32(m.how.Window)
		if ready && (taker == nil || ages[id] < ages[taker.id]) {
			taker = &s.classes[id]
		}
	}
	return giver, taker
}

// idleTime returns for how long the item of a class that would be evicted next has not been used. The caller holds the class's lock.
func (s *Store) idleTime(k *class, now uint32) int64 {
	for _, from := range evictOrder {
		if k.lists[from].tail != 0 {
			return s.tailAge(k, from, now)
		}
	}
	return 0
}

// grant gives a class a page from the pool if there is one, or, with beyond, though the memory is full; to class 0, which is none, nothing.
func (s *Store) grant(k *class, beyond bool) {
	if k.id == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	n := s.takePage(beyond)
	if n == 0 {
		return
	}
	fit := 0
	if k.pages.Load() >= coarsePages {
		fit = k.lastFit
	}
	s.adopt(k, n, fit)
}

// compactPages is how many pages at most go back to the pool in a second because the rest of their class has room for what is in them, and
// compactFree how many pages' worth of free chunks a class keeps, as memcached does.
const (
	compactPages = 16
	compactFree  = 2.5
)

// compact gives the emptiest page of a class with much room back to the pool, its items moved together; false if there is none.
func (s *Store) compact() bool {
	if s.Automove().Level == 0 {
		return false
	}
	for id := 1; id < len(s.classes); id++ {
		k := &s.classes[id]
		pages := int(k.pages.Load())
		if pages < 3 {
			continue
		}
		k.mu.Lock()
		free, each := k.chunks-k.used, float64(k.chunks)/float64(pages)
		n := uint32(0)
		if float64(free) > compactFree*each {
			n = s.emptiest(k)
		}
		k.mu.Unlock()
		if n != 0 {
			return s.movePage(n, k, &s.classes[0], true) && int(k.pages.Load()) < pages
		}
	}
	return false
}

// emptiestLooked is how many pages of each cut a search for the emptiest looks at.
const emptiestLooked = 64

// emptiest returns the page of a class with the fewest chunks in use, of those with room that come first; 0 if none has room. The caller holds
// the class's lock.
func (s *Store) emptiest(k *class) (best uint32) {
	for _, n := range k.room {
		for range emptiestLooked {
			if n == 0 {
				break
			}
			if best == 0 || s.pages[n].used < s.pages[best].used {
				best = n
			}
			n = s.pages[n].next
		}
	}
	return best
}
