package store

// Pending is memory for an item that is being written: Alloc takes it, the caller fills it, and exactly one of Commit
// and Abort ends it. It is used by one goroutine at a time. Other goroutines don't see the item before Commit. The zero
// Pending is not valid, and a Pending must not be copied once writing has begun.
type Pending struct {
	s         *Store
	c         chunk
	hash      uint64
	rest      []byte // of the piece that is being filled
	remaining int    // of the value
	r         ref
	nextPiece ref
}

// Alloc takes memory for an item whose value has size bytes. It may evict others for it. exptime is in unix seconds, 0
// is never, a time that has passed makes an item that nobody sees. The key is copied. Errors: ErrKey, ErrTooLarge if the
// item by memcached's reckoning (its header, key and value) is over ItemSizeMax, ErrNoMemory.
func (s *Store) Alloc(key []byte, flags uint32, exptime int64, size int) (Pending, error) {
	if len(key) == 0 || len(key) > s.cfg.KeyMax {
		return Pending{}, ErrKey
	}
	if size < 0 || size > s.cfg.ItemSizeMax || !s.fits(len(key), flags, size) {
		return Pending{}, ErrTooLarge
	}
	r, c := s.allocItem(key, flags, clampExptime(exptime), size, s.now())
	if r == 0 {
		return Pending{}, ErrNoMemory
	}
	return s.pendingFor(r, c, s.hash(key)), nil
}

// pendingFor starts the writing of an allocated item's value.
func (s *Store) pendingFor(r ref, c chunk, hash uint64) Pending {
	return Pending{
		s: s, c: c, r: r, hash: hash,
		rest:      c.headBytes(s.chunkSize(r)),
		remaining: c.valueLen(),
		nextPiece: c.firstPiece(),
	}
}

// Remaining returns how many bytes of the value are still to be written.
func (p *Pending) Remaining() int { return p.remaining }

// Next returns the next piece of memory to be filled: empty when nothing remains, else at least one byte, and often all
// that remains. What the caller has written there counts after Advance.
func (p *Pending) Next() []byte {
	if len(p.rest) == 0 && p.nextPiece != 0 {
		c := p.s.at(p.nextPiece)
		p.rest, p.nextPiece = c.pieceBytes(), c.next()
	}
	return p.rest
}

// Advance says that the first n bytes of Next are written. It panics if n is more than Next has.
func (p *Pending) Advance(n int) {
	p.rest = p.rest[n:]
	p.remaining -= n
}

// Write copies as much of b as still fits and returns how much that was.
func (p *Pending) Write(b []byte) int {
	written := 0
	for written < len(b) && p.remaining > 0 {
		n := copy(p.Next(), b[written:])
		p.Advance(n)
		written += n
	}
	return written
}

// Class returns the number of the slab class that the item counts in, from 1, for counters by class.
func (p *Pending) Class() int { return p.s.classOf(p.r).id }

// SetBinaryKey notes in the item that its key is bytes that may not stand in a line of text (meta set's b). It comes before Commit.
func (p *Pending) SetBinaryKey() { p.c.setBinaryKey() }

// Abort gives the memory back; nothing is stored, and the present item, if any, stays.
func (p *Pending) Abort() { p.s.unref(p.r, p.c) }

// Terms say how a Commit goes. The zero value is a plain Set.
type Terms struct {
	Mode    Mode
	Compare bool   // the present item must have the CAS id CAS; mode CAS implies it
	CAS     uint64 // see Compare
	NewCAS  uint64 // the CAS id that the item gets; 0 is the next one
	// Outdated: where CAS is lower than the present item's id, store all the same, but with the present item's expiry and marks, and
	// marked as stale (meta set's I).
	Outdated bool
	Vivify   bool // Append and Prepend store the data as it is if there is no item (meta set's N)
	Stale    bool // the item is marked as stale
	Won      bool // the item is marked as being refreshed
}

// Commit stores the item as mode says and returns the item's new CAS id (0 if not stored, or if the store keeps none).
// cas is the id that the present item must have; 0 is any, except in mode CAS. See CommitOn.
func (p *Pending) Commit(mode Mode, cas uint64) (Status, uint64) {
	return p.CommitOn(Terms{Mode: mode, Compare: cas != 0, CAS: cas})
}

// CommitOn stores the item on some terms and returns the item's new CAS id (0 if not stored, or if the store keeps none).
// The whole value must have been written: Remaining is 0. Whatever the Status, p is spent.
//
// The statuses: Set: Stored. Add: Stored, NotStored. Replace: Stored, NotStored. CAS: Stored, Exists, NotFound. Append
// and Prepend join the data to the present item, whose flags and expiry stay: Stored, NotStored, TooLarge, NoMemory.
// With Compare, every mode may also give Exists, and all but Append and Prepend NotFound.
func (p *Pending) CommitOn(t Terms) (Status, uint64) {
	if p.remaining != 0 {
		panic("store: Commit of a value that is not written to its end")
	}
	t.Compare = t.Compare || t.Mode == CAS
	if t.Mode == Append || t.Mode == Prepend {
		return p.s.join(p, t)
	}
	s, now := p.s, p.s.now()
	st := s.index.stripe(p.hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	old, oldChunk := s.find(st, p.hash, p.c.key(), now)
	status := s.mayStore(t, old, oldChunk)
	if status != Stored {
		if t.Mode == Add && old != 0 {
			s.update(old, oldChunk, now)
		}
		s.unref(p.r, p.c)
		return status, 0
	}
	p.mark(t, old, oldChunk)
	if old != 0 {
		s.unlink(st, p.hash, old, oldChunk)
	}
	return Stored, s.link(st, p.hash, p.r, p.c, now, t.NewCAS)
}

// mark gives the item the marks that it is to have. The caller holds the stripe.
func (p *Pending) mark(t Terms, old ref, c chunk) {
	marks := uint32(0)
	if t.Stale {
		marks |= bitStale
	}
	if t.Won {
		marks |= bitWon
	}
	if old != 0 && t.Compare && t.CAS != c.cas() { // only Outdated allows that
		p.c.setExptime(c.exptime())
		marks |= bitStale | c.state().Load()&bitWon
	}
	if marks != 0 {
		p.c.state().Or(marks)
	}
}

// mayStore decides whether the terms allow an item to be stored where old is the present one, 0 for none. The caller
// holds the stripe.
func (s *Store) mayStore(t Terms, old ref, c chunk) Status {
	joins := t.Mode == Append || t.Mode == Prepend
	if t.Compare && !(old == 0 && joins) {
		if old == 0 {
			return NotFound
		}
		if id := c.cas(); id != t.CAS && !(t.Outdated && t.CAS != 0 && t.CAS < id) {
			s.classOf(old).hits.casBadval.Add(1)
			return Exists
		}
		s.classOf(old).hits.casHits.Add(1)
	}
	if (t.Mode == Add && old != 0) || (old == 0 && (joins || t.Mode == Replace)) || (joins && c.onDisk()) {
		return NotStored
	}
	return Stored
}

// Key returns the item's key, until the item is committed or aborted.
func (p *Pending) Key() []byte { return p.c.key() }

// Len returns the length of the whole value in bytes.
func (p *Pending) Len() int { return p.c.valueLen() }

// Exptime returns when the item is to expire, in unix seconds; 0 is never.
func (p *Pending) Exptime() int64 { return int64(p.c.exptime()) }
