package store

import "math"

// An item is in one of four lists of its class, its segment. With plain LRU all are cold, and a use brings an item to the front
// of the list, once a minute at most. Segmented, a use only leaves a mark, and the lists change when memory is wanted or Juggle
// is called: a new item is hot; what was read again by the time it leaves the hot ones is warm, anything else cold; what was read
// again while it was cold is warm instead of evicted. So items that are read once, however many, pass through hot and cold
// and push out each other only.

// segment is one of a class's lists.
type segment uint8

const (
	cold      segment = iota // the next to be evicted; all there is without segments
	hot                      // newly stored
	warm                     // read again and again
	temporary                // soon to expire
	segments
)

// Segment names the list that an item is in, as memcached numbers them.
type Segment uint8

// The segments.
const (
	Hot Segment = iota
	Warm
	Cold
	Temporary
	Segments // how many there are
)

func (g segment) exported() Segment {
	return [segments]Segment{cold: Cold, hot: Hot, warm: Warm, temporary: Temporary}[g]
}

// evictOrder is in which order the lists are searched for what can go.
var evictOrder = [segments]segment{cold, hot, warm, temporary}

// LRU says which item goes first when there is no memory.
type LRU struct {
	Segmented     bool
	HotPercent    int     // of a class's bytes that hot items may have; default 20
	WarmPercent   int     // of a class's bytes that warm items may have; default 40
	HotMaxFactor  float64 // an item stays hot without a use for at most so many times the age of the coldest; default 0.2
	WarmMaxFactor float64 // the same for warm ones; default 2
	Temporary     bool    // items that are stored for at most TemporaryTTL are not evicted while others can be
	TemporaryTTL  int64   // seconds
}

// SegmentsMaxPercent is what hot and warm items together may have at most: what is cold has to be somewhere.
const SegmentsMaxPercent = 80

// SetLRU changes the order of eviction at run time. What the segments have too much of then moves bit by bit.
func (s *Store) SetLRU(p LRU) {
	setDefault(&p.HotPercent, 20)
	setDefault(&p.WarmPercent, 40)
	setDefault(&p.HotMaxFactor, 0.2)
	setDefault(&p.WarmMaxFactor, 2)
	s.lru.Store(&p)
}

// LRU returns what SetLRU has set.
func (s *Store) LRU() LRU { return *s.lru.Load() }

// home returns the segment that an item begins in.
func (p *LRU) home(exptime, now uint32) segment {
	switch {
	case p.Temporary && exptime != 0 && int64(exptime)-int64(now) <= p.TemporaryTTL:
		return temporary
	case p.Segmented:
		return hot
	}
	return cold
}

// bumpInterval is for how many seconds after its last bump an item keeps its time of access, and its place in a plain LRU list,
// however often it is read, as in memcached: reads would else meet at the class's lock.
const bumpInterval = 60

// lru is a list of linked items, the most recently used first. It belongs to the class's lock.
type lru struct {
	head, tail   ref
	count, bytes uint64
}

// moveCounters count items that changed their place. They belong to the class's lock.
type moveCounters struct {
	toCold, toWarm, within uint64
}

func (l *lru) push(s *Store, r ref, c chunk, size int) {
	c.setLRUPrev(0)
	c.setLRUNext(l.head)
	if l.head != 0 {
		s.at(l.head).setLRUPrev(r)
	} else {
		l.tail = r
	}
	l.head = r
	l.count++
	l.bytes += uint64(size)
}

func (l *lru) remove(s *Store, c chunk, size int) {
	prev, next := c.lruPrev(), c.lruNext()
	if prev != 0 {
		s.at(prev).setLRUNext(next)
	} else {
		l.head = next
	}
	if next != 0 {
		s.at(next).setLRUPrev(prev)
	} else {
		l.tail = prev
	}
	l.count--
	l.bytes -= uint64(size)
}

// bump takes note of a use: once a minute it sets the time of access, and moves the item to the front of its list if there are no
// segments. The caller holds the item's stripe.
func (s *Store) bump(r ref, c chunk, now uint32) {
	if now-c.access() < bumpInterval {
		return
	}
	if s.lru.Load().Segmented {
		c.setAccess(now)
		return
	}
	k := s.classOf(r)
	k.mu.Lock()
	c.setAccess(now)
	if in := c.segment(); k.lists[in].head != r {
		s.move(k, r, c, in)
	}
	k.mu.Unlock()
}

// move puts a linked item at the front of one of its class's lists. The caller holds the class's lock.
func (s *Store) move(k *class, r ref, c chunk, to segment) {
	size := c.itemSize()
	k.lists[c.segment()].remove(s, c, size)
	c.setSegment(to)
	k.lists[to].push(s, r, c, size)
}

// rescue makes an active item that is about to go a warm one. The caller holds the class's lock.
func (s *Store) rescue(k *class, r ref, c chunk) {
	if c.segment() == warm {
		k.moves.within++
	} else {
		k.moves.toWarm++
	}
	s.move(k, r, c, warm)
}

func (c chunk) active() bool { return c.state().Load()&bitActive != 0 }

// pull moves the last item of the hot or the warm list on if they have more than limit bytes or if it was not used for longer than
// maxAge, and tells whether it did. The caller holds the class's lock.
func (s *Store) pull(k *class, p *LRU, from segment, limit uint64, maxAge float64, now uint32) bool {
	l := &k.lists[from]
	if l.tail == 0 {
		return false
	}
	r, c := l.tail, s.at(l.tail)
	switch {
	case p.Segmented && l.bytes <= limit && float64(age(c, now)) <= maxAge:
		return false
	case p.Segmented && c.active():
		s.rescue(k, r, c)
	default:
		k.moves.toCold++
		s.move(k, r, c, cold)
	}
	return true
}

// juggle moves up to n items on, and returns how many it has moved. The ages are those of pull. The caller holds the class's lock.
func (s *Store) juggle(k *class, p *LRU, n int, hotAge, warmAge float64, now uint32) (moved int) {
	if k.lists[hot].tail == 0 && k.lists[warm].tail == 0 {
		return 0
	}
	total := k.lists[hot].bytes + k.lists[warm].bytes + k.lists[cold].bytes
	hotLimit, warmLimit := total*uint64(p.HotPercent)/100, total*uint64(p.WarmPercent)/100
	if s.pool.excess() < 0 {
		// While there is memory, the items are fewer, and the cold ones younger, than they will be: nothing is too much yet.
		warmLimit, warmAge = math.MaxUint64, forever
	}
	for moved < n {
		before := moved
		if s.pull(k, p, hot, hotLimit, hotAge, now) {
			moved++
		}
		if s.pull(k, p, warm, warmLimit, warmAge, now) {
			moved++
		}
		if moved == before {
			break
		}
	}
	return moved
}

// What a juggle may do at once: for a store that wants memory, and under one hold of a class's lock in the background.
const (
	juggleForStore = 4
	juggleBatch    = 64
	juggleBatches  = 8
	juggleReaped   = 1_000
)

// forever is an age that nothing reaches.
const forever = math.MaxFloat64

// rescueActive makes warm those of the coldest items of a class that were read again meanwhile. The caller holds the class's lock.
func (s *Store) rescueActive(k *class) {
	r := k.lists[cold].tail
	for i := 0; r != 0 && i < searchMax; i++ {
		c := s.at(r)
		prev := c.lruPrev()
		if c.active() {
			s.rescue(k, r, c)
		}
		r = prev
	}
}

// Juggle moves items from the hot and the warm segments of each class on, some hundreds of a class at most, removes dead ones that have
// come to the end of their list, and says whether there are more of either. A server calls it once a second or so; without it segments change only when memory is wanted.
func (s *Store) Juggle() (more bool) {
	s.juggles.Add(1)
	p, now := s.lru.Load(), s.now()
	for id := 1; id < len(s.classes); id++ {
		k := &s.classes[id]
		if k.pages.Load() == 0 {
			continue
		}
		full := true
		for batch := 0; full && batch < juggleBatches; batch++ {
			k.mu.Lock()
			coldAge := float64(s.tailAge(k, cold, now))
			full = s.juggle(k, p, juggleBatch, coldAge*p.HotMaxFactor, coldAge*p.WarmMaxFactor, now) >= juggleBatch
			if p.Segmented {
				s.rescueActive(k)
			}
			k.mu.Unlock()
		}
		reaped := s.reap(k, juggleReaped, now)
		more = more || full || reaped == juggleReaped
	}
	return more
}

// tailAge returns the age of a list's last item, 0 if it is empty. The caller holds the class's lock.
func (s *Store) tailAge(k *class, g segment, now uint32) int64 {
	if r := k.lists[g].tail; r != 0 {
		return age(s.at(r), now)
	}
	return 0
}

// classOf returns the class that owns the page of a chunk in use.
func (s *Store) classOf(r ref) *class { return &s.classes[s.pages[r.page()].owner.Load()] }
