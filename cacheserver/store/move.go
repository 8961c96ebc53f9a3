package store

import "sync"

// A page moves from one class to another, or to the pool, without its items being lost as long as there is room for them in the
// rest of their class: each is copied to a free chunk there, with its place in the LRU list and its CAS id. Where there is no free
// chunk the least recently used item of the class goes. What readers and writers hold stays where it is until they are done: the
// page waits for them.
//
// A move goes on in passes over the page (MoveStep). Nothing waits for it but other moves.

// pageMove is the page that is moving, if there is one. Everything in it belongs to its lock.
type pageMove struct {
	mu      sync.Mutex
	running bool
	page    uint32
	src     *class
	dst     *class // class 0 is the pool
	gentle  bool   // nothing is evicted, nor waited for
	began   uint32 // unix time
	spare   ref    // a free chunk of the class, taken for the next item
	kept    map[string]bool
	lastAny int // see anyClassBut
	stats   MoveStats
}

// moveSeconds is for how long a page waits for those who hold what lies in it, so that one client cannot stop all moves.
const moveSeconds = 600

// MoveStats are the figures of page moves for memcached's general `stats`.
type MoveStats struct {
	Running      bool   // slab_reassign_running
	Moved        uint64 // slabs_moved
	Rescues      uint64 // slab_reassign_rescues: items that were copied
	ChunkRescues uint64 // slab_reassign_chunk_rescues: chunks of chained items that were
	BusyItems    uint64 // slab_reassign_busy_items: chunks that had to be waited for, each time anew
	BusyNoMemory uint64 // slab_reassign_busy_nomem: items for which there was no free chunk
	BusyStatus   string // slab_reassign_last_busy_status
}

// Why an item could not leave its page, by memcached's names.
const (
	busyNone     = "none"
	busyLocked   = "locked"
	busyActive   = "busy_active"
	busyFloating = "busy_floating"
	busyNoMemory = "from_lru"
)

// MoveStats returns the figures of page moves.
func (s *Store) MoveStats() MoveStats {
	m := &s.moving
	m.mu.Lock()
	defer m.mu.Unlock()
	st := m.stats
	st.Running = m.running
	if st.BusyStatus == "" {
		st.BusyStatus = busyNone
	}
	return st
}

// KeepInPage sees to it that the item of a key does not leave its page, or allows that again. It is there for tests.
func (s *Store) KeepInPage(key []byte, keep bool) {
	m := &s.moving
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept = make(map[string]bool)
	}
	if keep {
		m.kept[string(key)] = true
	} else {
		delete(m.kept, string(key))
	}
}

// keeps tells whether an item must not leave its page.
func (m *pageMove) keeps(c chunk) bool { return len(m.kept) > 0 && m.kept[string(c.key())] }

// start begins to move a page; false if another is moving or the page is not the class's any more. A gentle move is given up before
// anything is evicted.
func (m *pageMove) start(s *Store, n uint32, src, dst *class, gentle bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.running || n == 0 || !s.startDraining(src, n) {
		return false
	}
	m.running, m.page, m.src, m.dst, m.gentle, m.began = true, n, src, dst, gentle, s.now()
	return true
}

// MoveStep makes a pass over the page that is moving, and tells whether it is to be called again; with busy, best a little later.
// One goroutine at a time calls it.
func (s *Store) MoveStep() (more, busy bool) {
	m := &s.moving
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.running {
		return false, false
	}
	now := s.now()
	s.moveItems(m, now)
	k, p := m.src, &s.pages[m.page]
	k.mu.Lock()
	gone := p.owner.Load() != uint32(k.id) || !p.draining // and then not this class's to look at
	switch {
	case gone:
	case m.gentle || now >= m.began+moveSeconds:
		p.draining = false
		if p.hasRoom() {
			s.enterRoom(k, m.page)
		}
		m.running = false
	default:
		m.stats.BusyItems += uint64(p.used)
	}
	k.mu.Unlock()
	if m.running && !gone {
		return true, true
	}
	s.endMove(m, gone)
	return false, false
}

// endMove gives the page to the class that it is for, if it has been emptied.
func (s *Store) endMove(m *pageMove, empty bool) {
	if m.spare != 0 {
		s.giveChunk(m.spare)
		m.spare = 0
	}
	m.running = false
	if !empty {
		return
	}
	m.stats.Moved++
	s.grant(m.dst, true)
	for s.pool.coolOne(s.slabs) {
	}
}

// moveItems makes the items in the page that is moving leave it, as far as they can.
func (s *Store) moveItems(m *pageMove, now uint32) {
	for i := 0; ; i++ {
		l, more := s.pinNext(m, &i)
		if !more {
			return
		}
		if status := s.moveOut(m, l, now); status != "" {
			m.stats.BusyStatus = status
		}
	}
}

// lying is a chunk in the page that is moving, and the head of the item that it belongs to, which is pinned.
type lying struct{ at, head ref }

// pinNext pins the item of the next chunk in use, from the i-th on, and leaves its number in i; more is false behind the last one.
func (s *Store) pinNext(m *pageMove, i *int) (l lying, more bool) {
	k, p := m.src, &s.pages[m.page]
	k.mu.Lock()
	defer k.mu.Unlock()
	if p.owner.Load() != uint32(k.id) {
		return lying{}, false
	}
	if !p.draining { // an item was stored there meanwhile, see settle
		if p.hasRoom() {
			s.leaveRoom(k, m.page)
		}
		p.draining = true
	}
	for ; *i < int(p.fresh); *i++ {
		at := makeRef(m.page, uint16(*i))
		head := at
		if c := s.at(at); c.state().Load()&kindMask == kindPiece {
			head = c.owner()
		}
		if s.at(head).tryPin() {
			return lying{at, head}, true
		}
	}
	return lying{}, false
}

// moveOut moves one chunk, whose item is pinned, and takes the pin away. It returns why it could not, empty if it could.
func (s *Store) moveOut(m *pageMove, l lying, now uint32) (busy string) {
	c := s.at(l.head)
	kept := m.keeps(c)
	if c.state().Load()&bitLinked != 0 && !kept {
		switch s.prepareSpare(m, l, now) {
		case spareNone:
			m.stats.BusyNoMemory++
			s.unref(l.head, c)
			return busyNoMemory
		case spareItself:
			m.stats.BusyNoMemory++
			s.expel(l.head, now)
			return ""
		}
	}
	hash := s.hash(c.key())
	st := s.index.stripe(hash)
	st.mu.Lock()
	state := c.state().Load()
	switch {
	case state&bitLinked == 0:
		busy = busyFloating
	case kept:
		busy = busyLocked
	case s.conditionOf(c, now).dead():
		s.unlink(st, hash, l.head, c)
	case m.spare == 0: // it was no item yet when that was looked for
		busy = busyFloating
	case l.at != l.head:
		if s.movePiece(m, l) {
			m.stats.ChunkRescues++
		} else {
			busy = busyActive
		}
	case state&bitChained == 0:
		s.moveItem(m, st, hash, l.head, c)
		m.stats.Rescues++
	case s.moveHead(m, st, hash, l.head, c):
		m.stats.ChunkRescues++
		st.mu.Unlock()
		return "" // the pin went with the head
	default:
		busy = busyActive
	}
	st.mu.Unlock()
	if busy == busyActive && !m.gentle && now >= m.began+copyAfter && s.copyChain(m, l.head, c, now) {
		busy = busyFloating
	}
	s.unref(l.head, c)
	return busy
}

// need returns how many bytes of a chunk are in use: of a head, or of a piece.
func (c chunk) need(s *Store, head bool) int {
	switch {
	case !head:
		return pieceHeaderSize + c.pieceLen()
	case c.firstPiece() != 0:
		return s.cfg.SlabChunkMax
	}
	return c.itemSize()
}

// moveTries is how many items at most are evicted for the sake of one that is to be moved.
const moveTries = 10

// What comes of looking for a free chunk.
type spare uint8

const (
	spareReady  spare = iota
	spareNone         // there is none
	spareItself       // the item is the one that has to go
)

// prepareSpare sees to it that there is a free chunk for one that is to be moved. Where there is none the least recently used item of
// the class goes. The caller holds no lock but the move's.
func (s *Store) prepareSpare(m *pageMove, l lying, now uint32) spare {
	size := s.at(l.at).need(s, l.at == l.head)
	if m.spare != 0 {
		if s.chunkSize(m.spare) >= size {
			return spareReady
		}
		s.giveChunk(m.spare)
		m.spare = 0
	}
	k := m.src
	for try := 0; ; try++ {
		k.mu.Lock()
		if fit := k.roomiest(k.spec.cutFor(size)); k.room[fit] != 0 {
			m.spare = s.takeFrom(k, k.room[fit])
			k.mu.Unlock()
			return spareReady
		}
		v := victim{}
		if try < moveTries && !s.cfg.NoEvict && !m.gentle {
			v = s.lastItem(m, l.head, now)
		}
		switch {
		case v.ref == 0:
			k.mu.Unlock()
			return spareNone
		case v.ref == l.head:
			k.mu.Unlock()
			return spareItself
		}
		if r := s.evict(k, v, now); r != 0 {
			s.giveChunk(r)
		}
	}
}

// lastItem returns the least recently used item of the class that nobody holds, or pinned, without its stripe, if that comes before. The
// caller holds the class's lock.
func (s *Store) lastItem(m *pageMove, pinned ref, now uint32) victim {
	k := m.src
	for _, from := range evictOrder {
		r := k.lists[from].tail
		for i := 0; r != 0 && i < searchMax; i++ {
			if r == pinned {
				return victim{ref: r}
			}
			c := s.at(r)
			if !m.keeps(c) {
				if v, ok := s.take(k, r, c, now); ok {
					return v
				}
			}
			r = c.lruPrev()
		}
	}
	return victim{}
}

// substitute puts a copy of an item in its place in the LRU list. The caller holds the class's lock; the copy's state is set here.
func (l *lru) substitute(s *Store, old, copied chunk, r ref) {
	prev, next := old.lruPrev(), old.lruNext()
	copied.setLRUPrev(prev)
	copied.setLRUNext(next)
	if prev != 0 {
		s.at(prev).setLRUNext(r)
	} else {
		l.head = r
	}
	if next != 0 {
		s.at(next).setLRUPrev(r)
	} else {
		l.tail = r
	}
}

// moveItem puts a copy of a linked item in one chunk in its place; the item itself ends with its last reader. The caller holds its
// stripe, and a pin.
func (s *Store) moveItem(m *pageMove, st *stripe, hash uint64, r ref, c chunk) {
	to := m.spare
	m.spare = 0
	nc := s.at(to)
	copy(nc.bytes(offAccess, c.itemSize()-offAccess), c.bytes(offAccess, c.itemSize()-offAccess))
	k := m.src
	k.mu.Lock()
	state := c.state().Load()
	nc.state().Store(state&^refMask | 1)
	k.lists[c.segment()].substitute(s, c, nc, to)
	c.state().And(^uint32(bitLinked))
	s.settle(k, to, s.epoch.Load(), c.exptime())
	k.mu.Unlock()
	s.reindex(st, hash, r, c, to, nc)
	s.unref(r, c)
}

// reindex puts a copy of an item in its place in the index. The caller holds the stripe.
func (s *Store) reindex(st *stripe, hash uint64, r ref, c chunk, to ref, nc chunk) {
	s.remove(st, hash, r, c)
	s.insert(st, hash, to, nc)
}

// moveHead moves the head chunk of a chained item that nobody else holds; false if somebody does. The caller holds its stripe, and a pin,
// which is gone if it is moved.
func (s *Store) moveHead(m *pageMove, st *stripe, hash uint64, r ref, c chunk) bool {
	k, to := m.src, m.spare
	nc := s.at(to)
	k.mu.Lock()
	state := c.state().Load()
	size := s.cfg.SlabChunkMax
	copy(nc.bytes(offAccess, size-offAccess), c.bytes(offAccess, size-offAccess))
	if state&refMask != 2 || !c.state().CompareAndSwap(state, kindFree) {
		k.mu.Unlock()
		return false
	}
	m.spare = 0
	nc.state().Store(state&^refMask | 1)
	k.lists[state>>segShift].substitute(s, c, nc, to)
	s.settle(k, to, s.epoch.Load(), c.exptime())
	k.mu.Unlock()
	s.reindex(st, hash, r, c, to, nc)
	for piece := nc.firstPiece(); piece != 0; {
		pk, pc := s.classOf(piece), s.at(piece)
		pk.mu.Lock()
		pc.setOwner(to)
		pk.mu.Unlock()
		piece = pc.next()
	}
	s.giveChunk(r)
	return true
}

// movePiece moves a piece of a chained item that nobody else holds; false if somebody does. The caller holds the item's stripe, and a
// pin.
func (s *Store) movePiece(m *pageMove, l lying) bool {
	k, to, item, c := m.src, m.spare, s.at(l.head), s.at(l.at)
	if item.state().Load()&refMask != 2 {
		return false
	}
	m.spare = 0
	nc := s.at(to)
	size := c.need(s, false)
	copy(nc.bytes(offPrev, size-offPrev), c.bytes(offPrev, size-offPrev))
	nc.setNext(c.next())
	k.mu.Lock()
	nc.state().Store(kindPiece)
	s.settle(k, to, s.epoch.Load(), item.exptime())
	k.mu.Unlock()
	if first := item.firstPiece(); first == l.at {
		item.setFirstPiece(to)
	} else {
		prev := s.at(first)
		for prev.next() != l.at {
			prev = s.at(prev.next())
		}
		prev.setNext(to)
	}
	s.giveChunk(l.at)
	return true
}
