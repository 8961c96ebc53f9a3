package store

// An item is in one of four lists of its class, its segment. With plain LRU all are cold, and a use brings an item to the front
// of the list, once a minute at most. Segmented, a use only leaves a mark (use.go), and the lists change when memory is wanted or
// JuggleClass is called (juggle.go): a new item is hot; what was read again by the time it leaves the hot ones is warm, anything else
// cold; what was read again while it was cold is warm instead of evicted. So items that are read once, however many, pass through
// hot and cold and push out each other only. What is temporary stays until its time is over.

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

// evictOrder is in which order the lists are searched for what can go. Temporary items are not to be evicted: protocol.txt, "lru".
var evictOrder = [...]segment{cold, hot, warm}

// LRU says which item goes first when there is no memory.
type LRU struct {
	Segmented     bool
	HotPercent    int     // of a class's bytes that hot items may have; default 20
	WarmPercent   int     // of a class's bytes that warm items may have; default 40
	HotMaxFactor  float64 // an item stays hot without a use for at most so many times the age of the coldest; default 0.2
	WarmMaxFactor float64 // the same for warm ones; default 2
	Temporary     bool    // items that are stored for at most TemporaryTTL are not evicted: if there is nothing else, stores fail
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

// tailAge returns the age of a list's last item, 0 if it is empty. The caller holds the class's lock.
func (s *Store) tailAge(k *class, g segment, now uint32) int64 {
	if r := k.lists[g].tail; r != 0 {
		return age(s.at(r), now)
	}
	return 0
}

// classOf returns the class that owns the page of a chunk in use.
func (s *Store) classOf(r ref) *class { return &s.classes[s.pages[r.page()].owner.Load()] }
