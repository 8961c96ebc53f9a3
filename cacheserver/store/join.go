package store

// join is Commit for Append and Prepend. A joined value is a new item, built while no lock is held and the present
// one is pinned; it takes that one's place if it is still the present one by then, else the work is done anew. Somebody
// gets on in any case. To a value on disk nothing is joined, as in memcached: NotStored.
func (s *Store) join(p *Pending, t Terms) (Status, uint64) {
	for {
		old, c, status := s.pinPresent(p, t)
		if status == NotStored && t.Vivify && old == 0 {
			if cas, ok := p.linkIfAbsent(t); ok {
				return Stored, cas
			}
			continue
		}
		if status != Stored {
			p.Abort()
			return status, 0
		}
		status, id, changed := s.joinTo(p, t, old, c)
		s.unref(old, c)
		if !changed {
			p.Abort()
			return status, id
		}
	}
}

// linkIfAbsent stores the data to be joined as it is, if there is nothing to join it to.
func (p *Pending) linkIfAbsent(t Terms) (cas uint64, ok bool) {
	s, now := p.s, p.s.now()
	st := s.index.stripe(p.hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	if old, _ := s.find(st, p.hash, p.c.key(), now); old != 0 {
		return 0, false
	}
	return s.link(st, p.hash, p.r, p.c, now, t.NewCAS), true
}

// pinPresent finds the item that is to be joined to and takes a reference, if the status is Stored.
func (s *Store) pinPresent(p *Pending, t Terms) (ref, chunk, Status) {
	now := s.now()
	st := s.index.stripe(p.hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	old, c := s.find(st, p.hash, p.c.key(), now)
	if status := s.mayStore(t, old, c); status != Stored {
		return old, c, status
	}
	if !c.tryPin() {
		return 0, c, NoMemory
	}
	return old, c, Stored
}

// joinTo builds the joined item and puts it in old's place; changed says that old is no longer there.
func (s *Store) joinTo(p *Pending, t Terms, old ref, c chunk) (status Status, cas uint64, changed bool) {
	size := c.valueLen() + p.c.valueLen()
	if size > s.cfg.ItemSizeMax || !s.fits(c.keyLen(), c.flags(), size) {
		return TooLarge, 0, false
	}
	now := s.now()
	r, rc := s.allocItem(c.key(), c.flags(), 0, size, now)
	if r == 0 {
		return NoMemory, 0, false
	}
	joined := s.pendingFor(r, rc, p.hash)
	first, second := old, p.r
	if t.Mode == Prepend {
		first, second = p.r, old
	}
	s.copyValue(&joined, first)
	s.copyValue(&joined, second)
	cas, ok := s.replace(p.hash, old, c, r, rc, now, t.NewCAS)
	return Stored, cas, !ok
}

// copyValue writes the value of an item to which the caller has a reference.
func (s *Store) copyValue(to *Pending, r ref) {
	c := s.at(r)
	to.Write(c.headBytes(s.chunkSize(r)))
	for piece := c.firstPiece(); piece != 0; {
		pc := s.at(piece)
		to.Write(pc.pieceBytes())
		piece = pc.next()
	}
}

// replace links a new item in the place of old, to which the caller has a reference, with old's expiry. If old is no longer linked
// or no longer alive the new item is freed and ok is false.
func (s *Store) replace(hash uint64, old ref, oldChunk chunk, r ref, c chunk, now uint32, newCAS uint64) (cas uint64, ok bool) {
	st := s.index.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	if oldChunk.state().Load()&bitLinked == 0 || s.conditionOf(oldChunk, now) != alive {
		s.unref(r, c)
		return 0, false
	}
	c.setExptime(oldChunk.exptime())
	s.unlink(st, hash, old, oldChunk)
	return s.link(st, hash, r, c, now, newCAS), true
}
