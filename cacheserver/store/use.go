package store

import "sync"

// What a use of an item changes. With plain LRU the item goes to the front of its list. Segmented, the first read and the second leave
// a mark in the item, and further ones nothing, until the item changes its segment: no list is touched, and no lock taken but the
// key's. Only a cold item that becomes active is noted in a queue, from which JuggleBumps makes it a warm one.

// bumpInterval is for more than how many seconds after its last bump an item keeps its time of access, and its place in a plain LRU
// list, however often it is read, as in memcached: reads would else meet at the class's lock.
const bumpInterval = 60

// bump takes note of a read. before is what the item's state was without the read's mark. The caller holds the item's stripe.
func (s *Store) bump(hash uint64, r ref, c chunk, before, now uint32) {
	switch {
	case !s.lru.Load().Segmented:
		s.toFront(r, c, now)
	case before&(bitFetched|bitActive) != bitFetched: // only becoming active counts
	case segment(before>>segShift) == cold:
		s.bumps[hash%bumpQueues].push(bumped{hash, r})
	default:
		c.setAccess(now)
	}
}

// update takes note of a use that is no read: of a counter, or of an item that an Add has found. The caller holds the item's stripe.
func (s *Store) update(r ref, c chunk, now uint32) {
	if !s.lru.Load().Segmented {
		s.toFront(r, c, now)
		return
	}
	c.setAccess(now)
	s.warmUp(r, c)
}

// toFront is a use with plain LRU.
func (s *Store) toFront(r ref, c chunk, now uint32) {
	if int64(now)-int64(c.access()) <= bumpInterval {
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

// warmUp makes a cold item a warm one if it is active. The caller holds the item's stripe.
func (s *Store) warmUp(r ref, c chunk) {
	if !c.active() || c.segment() != cold {
		return
	}
	k := s.classOf(r)
	k.mu.Lock()
	if c.active() && c.segment() == cold {
		s.rescue(k, r, c)
	}
	k.mu.Unlock()
}

// bumped is an item that became active while it was cold. It may be gone by now.
type bumped struct {
	hash uint64
	ref  ref
}

// bumpQueue holds some of the items that are to become warm. It has cache lines of its own.
type bumpQueue struct {
	mu      sync.Mutex
	waiting []bumped // without room until somebody collects
	spare   []bumped
	dropped uint64
	_       [64]byte
}

const (
	bumpQueues = 8
	bumpsMax   = 4096 // in each
)

// push adds an item. Where there is no room it stays cold, and is spared when it is about to be evicted, for its mark.
func (q *bumpQueue) push(b bumped) {
	q.mu.Lock()
	if len(q.waiting) < cap(q.waiting) {
		q.waiting = append(q.waiting, b)
	} else if q.waiting != nil {
		q.dropped++
	}
	q.mu.Unlock()
}

// collect returns what has come since the last call; it is valid until the next one.
func (q *bumpQueue) collect() []bumped {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting == nil {
		q.waiting, q.spare = make([]bumped, 0, bumpsMax), make([]bumped, 0, bumpsMax)
	}
	full := q.waiting
	q.waiting, q.spare = q.spare[:0], full
	return full
}

// bumpsDropped returns how many items found no room in the queue.
func (s *Store) bumpsDropped() (n uint64) {
	for i := range s.bumps {
		q := &s.bumps[i]
		q.mu.Lock()
		n += q.dropped
		q.mu.Unlock()
	}
	return n
}

// JuggleBumps makes warm the cold items that were read again since the last call, and returns how many there were. Until the first
// call none are collected: an item is then made warm when it is about to be evicted. One goroutine at a time calls it.
func (s *Store) JuggleBumps() (n int) {
	now := s.now()
	for i := range s.bumps {
		all := s.bumps[i].collect()
		for _, b := range all {
			s.bumpNow(b, now)
		}
		n += len(all)
	}
	return n
}

// bumpNow makes an item warm if it is still there and cold.
func (s *Store) bumpNow(b bumped, now uint32) {
	st := s.index.stripe(b.hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	// Where the item lay something else may lie by now, or nothing: it is only looked at if the index still has it.
	for r := ref(*s.index.bucket(st, b.hash)); r != 0; r = s.at(r).next() {
		if c := s.at(r); r == b.ref {
			c.setAccess(now)
			s.warmUp(r, c)
			return
		}
	}
}
