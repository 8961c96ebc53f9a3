package store

// The search for a victim starts at the tail of the cold list. It looks at searchDead items for a dead one before it
// settles for the first live one; while it has found none that can be taken, it goes on for up to searchMax items there, and then
// in the other lists. Temporary items are looked at before, for dead ones only.
const (
	searchDead      = 5
	searchMax       = 40
	searchTemporary = 2
)

// victim is an item chosen to make room, the lock of its stripe held.
type victim struct {
	ref    ref
	c      chunk
	hash   uint64
	stripe *stripe
	cond   condition

	cutTooSmall bool // items were passed over because their chunks are too small
}

// spare gives up the choice.
func (v *victim) spare() {
	if v.ref != 0 {
		v.stripe.mu.Unlock()
	}
}

// findVictim looks for an item whose chunk holds size bytes and that nobody refers to: a dead one, else the least
// recently used live one. The caller holds the class's lock, hence a stripe that somebody holds is passed over, not waited for.
func (s *Store) findVictim(k *class, size int, now uint32) (v victim) {
	p := s.lru.Load()
	b := s.boundsOf(k, p)
	s.juggle(k, p, juggleForStore, &b, now)
	r := k.lists[temporary].tail
	for i := 0; r != 0 && i < searchTemporary; i++ {
		c := s.at(r)
		if s.chunkSize(r) >= size {
			if v, ok := s.consider(k, r, c, now); ok {
				if v.cond.dead() {
					return v
				}
				v.spare()
			}
		}
		r = c.lruPrev()
	}
	for _, from := range evictOrder {
		tooSmall := v.cutTooSmall
		v = s.searchList(k, from, size, p.Segmented && (from == cold || from == hot), now)
		v.cutTooSmall = v.cutTooSmall || tooSmall
		if v.ref != 0 {
			break
		}
	}
	return v
}

// searchList is findVictim in one list. With rescue, active items are made warm ones on the way.
func (s *Store) searchList(k *class, from segment, size int, rescue bool, now uint32) (v victim) {
	r, tooSmall := k.lists[from].tail, false
	for i := 0; r != 0 && i < searchMax && (v.ref == 0 || i < searchDead); i++ {
		c := s.at(r)
		prev := c.lruPrev()
		if rescue && v.ref == 0 && c.active() {
			s.rescue(k, r, c)
		} else if s.chunkSize(r) < size {
			tooSmall = true
		} else if next, ok := s.consider(k, r, c, now); ok {
			switch {
			case next.cond.dead():
				v.spare()
				return next
			case v.ref == 0:
				v = next
			default:
				next.spare()
			}
		}
		r = prev
	}
	v.cutTooSmall = tooSmall
	return v
}

// consider takes the stripe of an item if that is possible at once, and the item is not in use, nor its page to be
// emptied.
func (s *Store) consider(k *class, r ref, c chunk, now uint32) (victim, bool) {
	if s.pages[r.page()].draining {
		return victim{}, false
	}
	return s.take(k, r, c, now)
}

// take is consider, whatever becomes of the page.
func (s *Store) take(k *class, r ref, c chunk, now uint32) (victim, bool) {
	v := victim{ref: r, c: c, hash: s.hash(c.key())}
	v.stripe = s.index.stripe(v.hash)
	if !v.stripe.mu.TryLock() {
		return victim{}, false
	}
	if c.state().Load()&refMask != 1 {
		k.evicting.refLocked++
		v.stripe.mu.Unlock()
		return victim{}, false
	}
	v.cond = s.conditionOf(c, now)
	return v, true
}

// evict removes the victim and returns its chunk for the next item. It is 0 if somebody came to refer to the item
// meanwhile: that is possible by way of a piece of its chain only (see drain). It unlocks the victim's stripe and the class.
func (s *Store) evict(k *class, v victim, now uint32) ref {
	if fn := s.onEvict.Load(); fn != nil && !v.cond.dead() {
		(*fn)(v.c.key(), s.info(v.ref, v.c))
	}
	state := v.c.state().Load()
	first := v.c.firstPiece()
	won := state&refMask == 1 && v.c.state().CompareAndSwap(state, kindFree)
	if won {
		k.evicting.count(v.c, state, v.cond, now)
		k.evicting.direct++
		// Size and segment follow from the state word, which is a free chunk's by now.
		k.lists[state>>segShift].remove(s, v.c, v.c.itemSizeAs(state))
		s.forget(v.c, state)
		s.remove(v.stripe, v.hash, v.ref, v.c)
	}
	v.stripe.mu.Unlock()
	k.mu.Unlock()
	if !won {
		return 0
	}
	s.freePieces(first)
	return v.ref
}

// count notes the end of an item that others need the memory of.
func (e *evictCounters) count(c chunk, state uint32, cond condition, now uint32) {
	unfetched := uint64(0)
	if state&bitFetched == 0 {
		unfetched = 1
	}
	if cond.dead() {
		e.reclaimed++
		e.expiredUnfetched += unfetched
		return
	}
	e.evicted++
	e.evictedUnfetched += unfetched
	e.evictedTime = age(c, now)
	if state&bitActive != 0 {
		e.evictedActive++
	}
	if c.exptime() != 0 {
		e.evictedNonzero++
	}
}

// age returns for how many seconds an item has kept its place in the LRU list; 0 if the clock went back since.
func age(c chunk, now uint32) int64 { return max(0, int64(now)-int64(c.access())) }
