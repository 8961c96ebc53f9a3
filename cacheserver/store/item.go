package store

// Item is a found item and a reference to it. Until Release its value stays valid and unchanged, though the key is
// deleted, evicted or set anew meanwhile. It is a small value, meant to be kept on the stack or in a connection's state;
// copies share one reference, so exactly one of them is released. The zero Item is not valid.
type Item struct {
	s       *Store
	c       chunk
	cas     uint64
	r       ref
	exptime uint32
}

// Flags returns the client's flags.
func (it Item) Flags() uint32 { return it.c.flags() }

// CAS returns the item's CAS id as it was at the look-up; 0 if the store keeps none.
func (it Item) CAS() uint64 { return it.cas }

// Len returns the length of the value in bytes.
func (it Item) Len() int { return it.c.valueLen() }

// Exptime returns when the item expires, in unix seconds, as it was at the look-up; 0 is never.
func (it Item) Exptime() int64 { return int64(it.exptime) }

// Class returns the number of the slab class that the item counts in, from 1, for counters by class.
func (it Item) Class() int { return it.s.classOf(it.r).id }

// Segment returns where the item is among the LRU lists of its class, for counters.
func (it Item) Segment() Segment { return it.c.segment().exported() }

// Bytes returns the value without copying it when it lies in one piece, and false when it is a chain of pieces, or on disk. The
// bytes must not be written to and must not be used after Release.
func (it Item) Bytes() ([]byte, bool) {
	if it.c.state().Load()&(bitChained|bitOnDisk) != 0 {
		return nil, false
	}
	return it.head(), true
}

// Segments appends the pieces of the value, in order, to dst and returns it. The rules of Bytes hold for each piece. An
// empty value has no pieces, nor has one on disk.
func (it Item) Segments(dst [][]byte) [][]byte {
	if it.Len() == 0 || it.OnDisk() {
		return dst
	}
	dst = append(dst, it.head())
	for piece := it.c.firstPiece(); piece != 0; {
		c := it.s.at(piece)
		dst = append(dst, c.pieceBytes())
		piece = c.next()
	}
	return dst
}

// head returns the part of the value in the head chunk.
func (it Item) head() []byte { return it.c.headBytes(it.s.chunkSize(it.r)) }

// Release gives the reference back. It is called once per Item, from any goroutine.
func (it Item) Release() { it.s.unref(it.r, it.c) }

// Get looks a key up and takes a reference to its item, which the caller must Release. An expired or flushed item is
// not found, and its memory is given back. With Config.StaleWindow an item that has expired is found for so much longer, but the
// first look-up in each Config.StaleRetry seconds is told that there is none, so that one client refreshes it. Keys that are too long or empty are never found. An item of which half a million
// references are held is not found either until some are released.
func (s *Store) Get(key []byte) (Item, bool) {
	now, hash := s.now(), s.hash(key)
	st := s.index.stripe(hash)
	st.mu.Lock()
	r, c, current := s.findStale(st, hash, key, now)
	before, ok := uint32(0), r != 0
	if ok {
		before, ok = c.tryPinRead()
	}
	if !ok {
		st.mu.Unlock()
		return Item{}, false
	}
	if current {
		s.bump(hash, r, c, before, now)
	}
	it := Item{s: s, c: c, cas: c.cas(), r: r, exptime: c.exptime()}
	st.mu.Unlock()
	return it, true
}

// GetAndTouch is Get and Touch in one step.
func (s *Store) GetAndTouch(key []byte, exptime int64) (Item, bool) {
	now, hash := s.now(), s.hash(key)
	st := s.index.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	r, c := s.find(st, hash, key, now)
	if r == 0 {
		return Item{}, false
	}
	before, ok := c.tryPinRead()
	if !ok {
		return Item{}, false
	}
	s.touch(r, c, exptime, now)
	s.bump(hash, r, c, before, now)
	return Item{s: s, c: c, cas: c.cas(), r: r, exptime: c.exptime()}, true
}

// Touch sets when an item expires: exptime in unix seconds, 0 is never, a time that has passed is at once. It returns
// Stored or NotFound. The CAS id stays.
func (s *Store) Touch(key []byte, exptime int64) Status {
	now, hash := s.now(), s.hash(key)
	st := s.index.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	r, c := s.find(st, hash, key, now)
	if r == 0 {
		return NotFound
	}
	s.touch(r, c, exptime, now)
	s.bump(hash, r, c, c.markRead(), now)
	return Stored
}

// touch gives a linked item another expiry. The caller holds the stripe.
func (s *Store) touch(r ref, c chunk, exptime int64, now uint32) {
	s.setExptime(r, c, clampExptime(exptime), now)
	s.classOf(r).hits.touches.Add(1)
}

// Delete removes an item. It returns Stored or NotFound.
func (s *Store) Delete(key []byte) Status { return s.DeleteIf(key, 0) }

// Drop removes an item without counting it as a deletion: memcached does so when a new value is too large, so that
// nobody reads the outdated one.
func (s *Store) Drop(key []byte) {
	now, hash := s.now(), s.hash(key)
	st := s.index.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	if r, c := s.find(st, hash, key, now); r != 0 {
		s.unlink(st, hash, r, c)
	}
}
