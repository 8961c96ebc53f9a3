package store

// drainBatch is how many chunks of a page are looked at under one hold of the class's lock.
const drainBatch = 64

// drain empties a page so that any class can have it: it evicts the items that have a chunk in it. What readers or
// writers hold leaves the page when they are done; the last chunk to leave takes the page to the pool. The caller holds no lock.
//
// An item is pinned under the lock of the class that owns the page; then the class is unlocked, and the item removed
// in the common order, from its stripe. The owner of a piece may lie in another class: while that lock is held the piece is in
// use, and a head is freed after its pieces, so the owner's state word is still that of the owner, and pinning it
// fails if it is being freed.
func (s *Store) drain(n uint32, now uint32) {
	p := &s.pages[n]
	id := p.owner.Load()
	if id == 0 {
		return
	}
	k := &s.classes[id]
	if !s.startDraining(k, n) {
		return
	}
	s.drained.Add(1)
	var pinned [drainBatch]ref
	for from := 0; ; from += drainBatch {
		k.mu.Lock()
		if p.owner.Load() != id || !p.draining || from >= int(p.fresh) {
			k.mu.Unlock()
			return
		}
		found := s.pinChunks(n, from, pinned[:0])
		k.mu.Unlock()
		for _, r := range found {
			s.expel(r, now)
		}
	}
}

// startDraining sees to it that no chunk of the page is given out any more; false if the page is no longer the class's
// or somebody else is at it.
func (s *Store) startDraining(k *class, n uint32) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := &s.pages[n]
	if p.owner.Load() != uint32(k.id) || p.draining {
		return false
	}
	if p.hasRoom() {
		s.leaveRoom(k, n)
	}
	if p.used == 0 { // no chunk will leave it that could take it along
		s.unkeep(p)
		s.disown(k, n)
		return true
	}
	p.draining = true
	p.deadline.Store(0) // nobody else need find it dead
	return true
}

// pinChunks pins the items of the drainBatch chunks from one on, those too of which only a piece lies there, and appends them
// to pinned. The caller holds the class's lock.
func (s *Store) pinChunks(n uint32, from int, pinned []ref) []ref {
	for i := from; i < min(from+drainBatch, int(s.pages[n].fresh)); i++ {
		r := makeRef(n, uint16(i))
		c := s.at(r)
		if c.state().Load()&kindMask == kindPiece {
			r = c.owner()
			c = s.at(r)
		}
		if c.tryPin() {
			pinned = append(pinned, r)
		}
	}
	return pinned
}

// expel removes an item that the caller has pinned, if it is still linked, and takes the pin away.
func (s *Store) expel(r ref, now uint32) {
	c := s.at(r)
	hash := s.hash(c.key())
	st := s.index.stripe(hash)
	st.mu.Lock()
	if state := c.state().Load(); state&bitLinked != 0 {
		k, cond := s.classOf(r), s.conditionOf(c, now)
		if fn := s.onEvict.Load(); fn != nil && !cond.dead() {
			(*fn)(c.key(), s.info(r, c))
		}
		k.mu.Lock()
		k.evicting.count(c, state, cond, now)
		k.mu.Unlock()
		s.unlink(st, hash, r, c)
	}
	st.mu.Unlock()
	s.unref(r, c)
}

// deadPagesLooked is how many pages one search for a dead page looks at.
const deadPagesLooked = 8

// findDeadPage looks at a few pages, each time at the next ones, for one of which all items are dead; 0 if there is none among
// them. So the memory of a flushed or expired class comes back page by page, at no cost for reads and almost none
// for writes.
func (s *Store) findDeadPage(now uint32) uint32 {
	epoch, count := s.epoch.Load(), s.pool.fresh.Load()
	from := s.sweep.Add(deadPagesLooked)
	for i := range uint32(deadPagesLooked) {
		// Number 0 is no page; it is never dead.
		if n := (from + i) % count; s.pages[n].dead(epoch, now) {
			return n
		}
	}
	return 0
}

// reap removes dead items at the ends of a class's LRU lists, most at most, and returns how many. The caller holds no lock.
func (s *Store) reap(k *class, most int, now uint32) (n int) {
	for ; n < most; n++ {
		k.mu.Lock()
		v := s.lastDead(k, now)
		if v.ref == 0 {
			k.mu.Unlock()
			break
		}
		k.evicting.direct-- // nobody takes its memory here
		if r := s.evict(k, v, now); r != 0 {
			s.giveChunk(r)
		}
	}
	return n
}

// lastDead returns a dead item near the end of one of a class's lists. The caller holds the class's lock.
func (s *Store) lastDead(k *class, now uint32) victim {
	for g := range k.lists {
		r := k.lists[g].tail
		for i := 0; r != 0 && i < searchDead; i++ {
			c := s.at(r)
			if c.state().Load()&refMask == 1 { // else nothing can be done, and that is no news
				if v, ok := s.consider(k, r, c, now); ok {
					if v.cond.dead() {
						return v
					}
					v.spare()
				}
			}
			r = c.lruPrev()
		}
	}
	return victim{}
}

// donorPage returns the page that is given up for a class that has nothing to evict: of the class with the most pages
// among those that have items, the page of the least recently used one. 0 if there is none. A page with temporary items is not, nor one without any
// linked item's head: what lies there is held by readers and writers, or are pieces, which go with their heads.
// The caller holds no lock.
func (s *Store) donorPage() uint32 {
	best, most := uint32(0), int32(0)
	for id := 1; id < len(s.classes); id++ {
		k := &s.classes[id]
		if k.pages.Load() <= most {
			continue
		}
		if n := s.oldestPage(k, true); n != 0 {
			best, most = n, k.pages.Load()
		}
	}
	return best
}

// temporaryLooked is in how many pages a search looks for temporary items.
const temporaryLooked = 4

// oldestPage returns the page with the least recently used item of a class, 0 if there is none that is not being
// emptied already. With whole, the items in it may be evicted, all of them. The caller holds no lock.
func (s *Store) oldestPage(k *class, whole bool) uint32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	looked, order := 0, evictOrder[:]
	if !whole {
		order = []segment{cold, hot, warm, temporary}
	}
	for _, from := range order {
		r := k.lists[from].tail
		for range searchMax {
			if r == 0 {
				break
			}
			if n := r.page(); !s.pages[n].draining {
				if !whole || k.lists[temporary].count == 0 || !s.hasTemporary(n) {
					return n
				}
				if looked++; looked == temporaryLooked {
					return 0
				}
			}
			r = s.at(r).lruPrev()
		}
	}
	return 0
}

// hasTemporary tells whether a temporary item, or a piece of one, lies in a page. The caller holds the lock of the page's class.
func (s *Store) hasTemporary(n uint32) bool {
	for i := range s.pages[n].fresh {
		c := s.at(makeRef(n, i))
		if c.state().Load()&kindMask == kindPiece {
			c = s.at(c.owner())
		}
		state := c.state().Load()
		if state&(kindMask|bitLinked) == kindItem|bitLinked && segment(state>>segShift) == temporary {
			return true
		}
	}
	return false
}

// Maintain does a bounded piece of background work, some milliseconds at most, and says whether it is worth while to
// call it again at once: it empties pages of which all items are dead, and gives memory over a lowered limit back to the system. A server calls it once a second or so; no
// item is lost or wrong without it.
func (s *Store) Maintain() (more bool) {
	progress := false
	if n := s.findDeadPage(s.now()); n != 0 {
		s.drain(n, s.now())
		progress = true
	}
	if s.pool.excess() > 0 {
		n := s.keptPage()
		if n == 0 {
			n = s.donorPage()
		}
		if n != 0 {
			s.drain(n, s.now())
			progress = true
		}
	}
	for range 8 {
		if !s.pool.coolOne(s.slabs) {
			break
		}
		progress = true
	}
	return progress
}
