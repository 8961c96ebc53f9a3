package store

// condition is what is wrong with an item.
type condition uint8

const (
	alive    condition = iota
	outdated           // its time is over, but not the stale window: see stale.go
	expired
	flushed
)

// dead tells that nobody can get the item any more.
func (c condition) dead() bool { return c >= expired }

// conditionOf judges an item. The caller holds its stripe.
func (s *Store) conditionOf(c chunk, now uint32) condition {
	if c.epoch() != uint16(s.epoch.Load()) {
		return flushed
	}
	if t := c.exptime(); t != 0 && t <= now {
		if now-t < s.cfg.StaleWindow {
			return outdated
		}
		return expired
	}
	return alive
}

// find returns the live item of a key, or 0. One that is not alive is counted and removed. The caller holds the stripe.
func (s *Store) find(st *stripe, hash uint64, key []byte, now uint32) (ref, chunk) {
	r, c := s.lookup(st, hash, key)
	if r == 0 {
		return 0, c
	}
	switch s.conditionOf(c, now) {
	case alive:
		return r, c
	case outdated, expired:
		st.getExpired++
	case flushed:
		st.getFlushed++
	}
	s.unlink(st, hash, r, c)
	return 0, c
}

// Condition says whether a key's item can be got, and why not.
type Condition uint8

// What may be said of a key.
const (
	Absent Condition = iota
	Live
	Flushed
	Expired
)

// Condition looks at the item of a key without counting that, or removing it if it is dead.
func (s *Store) Condition(key []byte) Condition {
	now, hash := s.now(), s.hash(key)
	st := s.index.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	r, c := s.lookup(st, hash, key)
	if r == 0 {
		return Absent
	}
	switch s.conditionOf(c, now) {
	case alive:
		return Live
	case flushed:
		return Flushed
	}
	return Expired
}

// link makes an item visible; the reference of its Pending becomes that of being linked. The caller holds the stripe
// and has removed the present item of the key. cas is the item's new CAS id, 0 for the next one.
func (s *Store) link(st *stripe, hash uint64, r ref, c chunk, now uint32, cas uint64) uint64 {
	cas = s.casOr(cas)
	epoch := s.epoch.Load()
	c.setCAS(cas)
	c.setEpoch(uint16(epoch))
	s.insert(st, hash, r, c)

	k := s.classOf(r)
	k.mu.Lock()
	c.setAccess(now)
	to := s.lru.Load().home(c.exptime(), now)
	c.state().Or(bitLinked | uint32(to)<<segShift)
	k.lists[to].push(s, r, c, c.itemSize())
	k.stored++
	s.settle(k, r, epoch, c.exptime())
	k.mu.Unlock()

	s.settlePieces(c, epoch)
	return cas
}

// settlePieces is settle for the pieces of an item. The caller holds the stripe.
func (s *Store) settlePieces(c chunk, epoch uint32) {
	for piece := c.firstPiece(); piece != 0; piece = s.at(piece).next() {
		k := s.classOf(piece)
		k.mu.Lock()
		s.settle(k, piece, epoch, c.exptime())
		k.mu.Unlock()
	}
}

// settle tells the page of a chunk that its item is linked. If the page was being emptied while the item was still
// a Pending, that is given up: the page would wait for the item for as long as it lives. The caller holds the class's lock.
func (s *Store) settle(k *class, r ref, epoch, exptime uint32) {
	p := &s.pages[r.page()]
	p.noteLink(epoch, exptime, s.cfg.StaleWindow)
	if p.draining {
		p.draining = false
		if p.hasRoom() {
			s.enterRoom(k, r.page())
		}
	}
}

// unlink makes an item invisible and frees it unless somebody holds a reference. The caller holds the stripe.
func (s *Store) unlink(st *stripe, hash uint64, r ref, c chunk) {
	s.remove(st, hash, r, c)
	k := s.classOf(r)
	k.mu.Lock()
	k.lists[c.segment()].remove(s, c, c.itemSize())
	k.mu.Unlock()
	s.forget(c, c.state().Load())
	c.state().And(^uint32(bitLinked))
	s.unref(r, c)
}

// unref gives a reference back and frees the item if it was the last.
func (s *Store) unref(r ref, c chunk) {
	if c.state().Add(^uint32(0))&refMask == 0 {
		s.freeItem(r, c)
	}
}

// freeItem gives the chunks of an item without references back. The head goes last: as long as a piece is in use, the head that it
// names is still there (see drain).
func (s *Store) freeItem(r ref, c chunk) {
	s.freePieces(c.firstPiece())
	s.giveChunk(r)
}

// freePieces gives the pieces of a chain back, from one on.
func (s *Store) freePieces(piece ref) {
	for piece != 0 {
		next := s.at(piece).next()
		s.giveChunk(piece)
		piece = next
	}
}

// setExptime changes when a linked item expires. One among the temporary that is to live longer leaves them: nothing there
// is evicted. The caller holds the stripe.
func (s *Store) setExptime(r ref, c chunk, exptime, now uint32) {
	c.setExptime(exptime)
	if c.segment() == temporary {
		if to := s.lru.Load().home(exptime, now); to != temporary {
			k := s.classOf(r)
			k.mu.Lock()
			s.move(k, r, c, to)
			k.mu.Unlock()
		}
	}
	epoch := s.epoch.Load()
	s.pages[r.page()].noteLink(epoch, exptime, s.cfg.StaleWindow)
	for piece := c.firstPiece(); piece != 0; piece = s.at(piece).next() {
		s.pages[piece.page()].noteLink(epoch, exptime, s.cfg.StaleWindow)
	}
}
