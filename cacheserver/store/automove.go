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

// MovePages does what SetAutomove has set. A server calls it once a second.
func (s *Store) MovePages() {
	s.mover.mu.Lock()
	defer s.mover.mu.Unlock()
	if s.mover.how.Level == 0 || s.cfg.NoEvict || s.pool.excess() < 0 {
		return
	}
	now := s.now()
	giver, taker := s.mover.choose(s, now)
	if giver == nil || taker == nil {
		return
	}
	pages := 1
	if s.mover.how.Level > 1 {
		pages = max(1, int(giver.pages.Load())/hurry)
	}
	for range pages {
		if !s.movePage(giver, taker, now) {
			return
		}
	}
}

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

// movePage empties the page with the giver's least recently used item and hands it over, unless somebody else is quicker.
func (s *Store) movePage(giver, taker *class, now uint32) bool {
	n := s.oldestPage(giver)
	if n == 0 {
		return false
	}
	s.drain(n, now)
	s.grant(taker)
	return true
}

// grant gives a class a page from the pool if there is one; to class 0, which is none, nothing.
func (s *Store) grant(k *class) {
	if k.id == 0 {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	n := s.takePage()
	if n == 0 {
		return
	}
	fit := 0
	if k.pages.Load() >= coarsePages {
		fit = k.lastFit
	}
	s.adopt(k, n, fit)
}
