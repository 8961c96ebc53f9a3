package store

// Entry is an item that nobody else changes meanwhile: Edit hands it to a function, which must not keep it, nor call the
// store from within, nor take long.
type Entry struct {
	s    *Store
	st   *stripe
	c    chunk
	hash uint64
	r    ref
	now  uint32
}

// Edit lets fn look at the live item of a key and change what is said about it, and tells whether there is one. The look-up by
// itself counts for nothing: see Entry.Bump.
func (s *Store) Edit(key []byte, fn func(Entry)) bool {
	now, hash := s.now(), s.hash(key)
	st := s.index.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	r, c := s.find(st, hash, key, now)
	if r == 0 {
		return false
	}
	fn(Entry{s: s, st: st, c: c, hash: hash, r: r, now: now})
	return true
}

// Info describes the item.
func (e Entry) Info() ItemInfo { return e.s.info(e.r, e.c) }

// Segment returns where the item is among the LRU lists of its class.
func (e Entry) Segment() Segment { return e.c.segment().exported() }

// TTL returns for how many seconds the item has still to live, -1 for ever.
func (e Entry) TTL() int64 {
	if e.c.exptime() == 0 {
		return -1
	}
	return max(0, int64(e.c.exptime())-int64(e.now))
}

// Idle returns how many seconds ago the item was last used, as far as uses are noted: see use.go.
func (e Entry) Idle() int64 { return age(e.c, e.now) }

// SetExptime sets when the item expires, in unix seconds; 0 is never.
func (e Entry) SetExptime(exptime int64) { e.s.setExptime(e.r, e.c, clampExptime(exptime), e.now) }

// CAS returns the item's CAS id, 0 if the store keeps none.
func (e Entry) CAS() uint64 { return e.c.cas() }

// SetCAS gives the item another CAS id, 0 for the next one.
func (e Entry) SetCAS(id uint64) { e.c.setCAS(e.s.casOr(id)) }

// Stale tells whether the item is marked as in need of a refresh.
func (e Entry) Stale() bool { return e.c.state().Load()&bitStale != 0 }

// SetStale marks the item as in need of a refresh that nobody has been asked for yet.
func (e Entry) SetStale() {
	e.c.state().Or(bitStale)
	e.c.state().And(^uint32(bitWon))
}

// Won tells whether a client has been told to refresh the item.
func (e Entry) Won() bool { return e.c.state().Load()&bitWon != 0 }

// SetWon marks the item as one that a client has been told to refresh.
func (e Entry) SetWon() { e.c.state().Or(bitWon) }

// Bump counts as a use of the item: it was fetched, and it moves forward in its LRU list.
func (e Entry) Bump() {
	e.s.bump(e.hash, e.r, e.c, e.c.markRead(), e.now)
}

// CountTouch counts a change of the expiry as `touch`.
func (e Entry) CountTouch() { e.s.classOf(e.r).hits.touches.Add(1) }

// Hold returns the item and a reference to it, which the caller must Release. It fails when as many are held as can be counted.
func (e Entry) Hold() (Item, bool) {
	if !e.c.tryPin() {
		return Item{}, false
	}
	return Item{s: e.s, c: e.c, cas: e.c.cas(), r: e.r, exptime: e.c.exptime()}, true
}

// CountDelete counts a deletion in a slab class that was none to the store: an item was put in the place of another.
func (s *Store) CountDelete(class int) { s.classes[class].hits.deletes.Add(1) }

// Exptime returns when the item expires, in unix seconds; 0 is never.
func (e Entry) Exptime() int64 { return int64(e.c.exptime()) }

// Delete removes the item. It is the last thing that is done to the Entry.
func (e Entry) Delete() {
	e.s.classOf(e.r).hits.deletes.Add(1)
	e.s.unlink(e.st, e.hash, e.r, e.c)
}
