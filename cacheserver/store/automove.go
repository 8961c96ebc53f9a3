package store

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
)

// Automove says how pages go by themselves from a class that keeps items long to one that has to evict young ones. Whatever it
// says, a class with nothing to evict at all gets a page at once: see takeChunk.
type Automove struct {
	Level  int     // 0: they do not; 1: one a second, for a want that has lasted; 2: besides, one for each eviction, see Wanted
	Ratio  float64 // a class is in want if it evicts items of less than so many times the age of the oldest; default 0.8
	Window int     // seconds that are looked at; default 10
	// Keep: a page stays with its class when nothing is left in it, as memcached has it, until another class is in want of memory.
	// Else it is free at once.
	Keep bool
}

// automover is the state of Automove. Its rules are memcached's.
type automover struct {
	mu      sync.Mutex
	how     Automove
	greedy  atomic.Bool // Level is 2
	keep    atomic.Bool // Keep
	runs    int         // since the windows began
	classes []watched   // by number; nil before the first run
}

// watched is what the automover remembers of a class.
type watched struct {
	window []sample // of the last Automove.Window runs, in a ring
	// At the last run:
	evicted, failed uint64
	pages           int
}

// sample is what a run has seen in a class.
type sample struct {
	age     int64   // seconds since the last use of the coldest item
	evicted bool    // it has evicted since the run before
	share   float64 // of the evictions of all classes since then
	dirty   bool    // it has evicted since then, or got a page, or failed to store
}

// SetAutomove changes how pages move, at run time.
func (s *Store) SetAutomove(how Automove) {
	setDefault(&how.Ratio, 0.8)
	setDefault(&how.Window, 10)
	m := &s.mover
	m.mu.Lock()
	defer m.mu.Unlock()
	if how.Ratio != m.how.Ratio || how.Window != m.how.Window {
		m.classes = nil
	}
	m.how = how
	m.greedy.Store(how.Level > 1)
	m.keep.Store(how.Keep)
}

// Automove returns what SetAutomove has set.
func (s *Store) Automove() Automove {
	s.mover.mu.Lock()
	defer s.mover.mu.Unlock()
	return s.mover.how
}

// Wanted tells, at level 2, the number of a class that has evicted: it is to get a page by Reassign from any other, -1.
func (s *Store) Wanted() <-chan int { return s.wanted }

// want asks for a page for a class that has evicted.
func (s *Store) want(k *class) {
	if !s.mover.greedy.Load() {
		return
	}
	select {
	case s.wanted <- k.id:
	default: // another has asked
	}
}

// MovePages does what SetAutomove has set: it gives pages of which a class has too many back to the pool, or begins to move one to a
// class that is in want, which MoveStep goes on with. A server calls it once a second.
func (s *Store) MovePages() {
	m := &s.mover
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.how.Level == 0 || s.MoveStats().Running {
		return
	}
	m.look(s, s.now())
	if s.compactSome() {
		return
	}
	if giver, taker := m.choose(s); giver != nil {
		s.movePage(s.oldestPage(giver, false), giver, taker, false)
	}
}

// look adds a sample of each class to its window.
func (m *automover) look(s *Store, now uint32) {
	first := m.classes == nil
	if first {
		m.runs, m.classes = 0, make([]watched, len(s.classes))
	}
	m.runs++
	evictions, each := uint64(0), [ClassesMax + 1]uint64{}
	for id := 1; id < len(s.classes); id++ {
		k, w := &s.classes[id], &m.classes[id]
		if first {
			w.window = make([]sample, m.how.Window)
		}
		k.mu.Lock()
		seen := sample{age: s.tailAge(k, cold, now)}
		evicted, failed, pages := k.evicting.evicted, k.evicting.outOfMemory, int(k.pages.Load())
		k.mu.Unlock()
		if !first {
			each[id] = since(evicted, w.evicted)
			evictions += each[id]
			seen.dirty = each[id] > 0 || since(failed, w.failed) > 0 || pages > w.pages
		}
		w.evicted, w.failed, w.pages = evicted, failed, pages
		w.window[m.runs%len(w.window)] = seen
	}
	for id, n := range each {
		if n > 0 {
			w := m.classes[id].window
			last := &w[m.runs%len(w)]
			last.evicted, last.share = true, float64(n)/float64(evictions)
		}
	}
}

// since is by how much a counter has grown, which may have been reset.
func since(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// dirty tells whether a class has evicted, grown or failed within its window.
func (w *watched) dirty() bool {
	return slices.ContainsFunc(w.window, func(x sample) bool { return x.dirty })
}

// summary returns the average age of a window, in how many of its runs the class has evicted, and its average share in the evictions.
func (w *watched) summary() (age int64, evicting int, share float64) {
	for _, x := range w.window {
		age += x.age
		share += x.share
		if x.evicted {
			evicting++
		}
	}
	return age / int64(len(w.window)), evicting, share / float64(len(w.window))
}

const (
	// giverPages is how many pages a class has at least after it has given one.
	giverPages = 2
	// wantShare is the part of all evictions above which a class is in want though it has not evicted in half of its window.
	wantShare = 0.25
)

// choose returns the class that keeps its items longest and the one that evicts the youngest, if that is in want and the two differ by
// more than the ratio; nil if not.
func (m *automover) choose(s *Store) (giver, taker *class) {
	if m.runs <= m.how.Window {
		return nil, nil
	}
	oldest, youngest, evicting := int64(0), int64(math.MaxInt64), false
	for id := 1; id < len(s.classes); id++ {
		k, w := &s.classes[id], &m.classes[id]
		age, runs, share := w.summary()
		if age > oldest && w.pages > giverPages {
			giver, oldest = k, age
		}
		if age < youngest && (runs > m.how.Window/2 || share > wantShare) {
			taker, youngest, evicting = k, age, w.window[m.runs%len(w.window)].evicted
		}
	}
	if giver == nil || taker == nil || !evicting || float64(youngest) >= m.how.Ratio*float64(oldest) {
		return nil, nil
	}
	return giver, taker
}

// movePage moves a page as far as that goes without waiting, and tells whether it has come to its end.
func (s *Store) movePage(n uint32, giver, taker *class, gentle bool) bool {
	begun := s.moving.start(s, n, giver, taker, gentle)
	if fn := s.onMove.Load(); fn != nil {
		(*fn)(giver.id, taker.id, begun)
	}
	if !begun {
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
	s.keepEmpty(&s.pages[n])
}

// compactPages is how many pages at most go back to the pool in a second because the rest of their class has room for what is in them, and
// compactFree how many pages' worth of free chunks a class keeps, as memcached does.
const (
	compactPages = 16
	compactFree  = 2.5
)

// compactSome gives pages back as long as there are such, and tells whether it has. While there is memory to be had nothing would be
// gained, and a class that has just grown will need its room. The caller holds the automover's lock.
func (s *Store) compactSome() (some bool) {
	if !s.pool.allTaken() {
		return false
	}
	for n := 0; n < compactPages && s.compact(); n++ {
		some = true
	}
	return some
}

// compact gives the emptiest page of a class with much room back to the pool, its items moved together; false if there is none. The
// caller holds the automover's lock.
func (s *Store) compact() bool {
	for id := 1; id < len(s.classes); id++ {
		k := &s.classes[id]
		pages := int(k.pages.Load())
		if pages < 3 || s.mover.classes[id].dirty() {
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
