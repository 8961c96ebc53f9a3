package store

import "pagegate/cacheserver/extstore"

// Bounds of what is done under one hold of a class's lock, and the smallest value that is worth a place.
const (
	spillBatch  = 16
	spillLooked = 1_000
	spillLeast  = 4 * placeSize
)

// Of the memory's pages Spill keeps one in spillFree free where pages move by themselves, so that a burst of stores finds room, and
// spillFreeLeast at least.
const (
	spillFree      = 100
	spillFreeLeast = 2
)

// Spill writes values of cold items to disk, those of large classes first, until they are about as much as the log writes at once, and
// tells whether it has found that many: then it is to be called again at once. A server calls it all the time.
func (s *Store) Spill() (more bool) {
	d := s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.policy.Load()
	least := s.classFor(p.ItemSize)
	if least == 0 {
		return false
	}
	short := s.pagesShort()
	left := d.log.BufferSize()
	for id := len(s.classes) - 1; id >= least; id-- {
		if k := &s.classes[id]; k.pages.Load() > 0 && !s.spillClass(k, p, short, &left) {
			return false
		}
		if left <= 0 {
			return true
		}
	}
	return false
}

// pagesShort returns how many pages the memory lacks that are to be free.
func (s *Store) pagesShort() int {
	free := max(0, -s.pool.excess())
	wanted := 0
	if s.Automove().Level > 0 {
		wanted = max(spillFreeLeast, int(s.MemoryLimit()>>pageShift)/spillFree)
	}
	if free == wanted {
		return 1 // a little early: to make room takes time
	}
	return max(0, wanted-free)
}

// spillClass writes values of a class to disk, as long as left is positive; false when the disk takes no more for now.
func (s *Store) spillClass(k *class, p *DiskPolicy, short int, left *int) bool {
	var pinned [spillBatch]ref
	for *left > 0 {
		found := s.coldest(k, p, short, pinned[:0])
		if len(found) == 0 {
			return true
		}
		for i, r := range found {
			size, ok := s.spill(r, p)
			if !ok {
				for _, rest := range found[i+1:] {
					s.unref(rest, s.at(rest))
				}
				return false
			}
			*left -= size
		}
	}
	return true
}

// spillPagesMost bounds how many pages' worth of chunks is made free in a class of small items: their headers take nearly as much.
const (
	spillSmall     = 2_000
	spillPagesMost = 3
)

// coldest pins some of the coldest items of a class whose values may go to disk, and appends them to pinned.
func (s *Store) coldest(k *class, p *DiskPolicy, short int, pinned []ref) []ref {
	now := s.now()
	if k.spec.size < spillSmall {
		short = min(short, spillPagesMost)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	idle := p.ItemAge
	if k.chunks-k.used < uint64(short*k.spec.perPage) {
		idle = 0
	}
	r := k.lists[cold].tail
	for i := 0; r != 0 && i < spillLooked && len(pinned) < spillBatch; i++ {
		c := s.at(r)
		prev := c.lruPrev()
		state := c.state().Load()
		switch {
		case state&bitOnDisk != 0 || state&refMask != 1 || !s.worthSpilling(k, c):
		case idle > 0 && age(c, now) <= idle:
			return pinned
		case c.tryPin():
			pinned = append(pinned, r)
		}
		r = prev
	}
	return pinned
}

// worthSpilling tells whether an item of a class takes less memory with its value on disk.
func (s *Store) worthSpilling(k *class, c chunk) bool {
	value := c.valueLen()
	if value < spillLeast || extstore.RecordSize(c.keyLen(), value) > s.disk.log.BufferSize() {
		return false
	}
	header := keyOffset(c.state().Load()&^bitChained) + c.keyLen() + placeSize
	return s.classFor(header) < k.id
}

// spill writes the value of an item that the caller has pinned to disk, puts one with its place in its stead, and takes the pin away. It returns the
// bytes written; false when there is no room for them, or no memory for the other item.
func (s *Store) spill(r ref, p *DiskPolicy) (size int, ok bool) {
	c := s.at(r)
	defer s.unref(r, c)
	now, hash := s.now(), s.hash(c.key())
	exptime, wanted := s.stillWanted(hash, r, c, now)
	if !wanted {
		return 0, true
	}
	hr, hc := s.allocItem(c.key(), c.flags(), exptime, placeSize, now)
	if hr == 0 {
		return 0, false
	}
	hc.setValueLen(c.valueLen())
	hc.state().Or(bitOnDisk)
	it := Item{s: s, c: c, r: r}
	bucket := p.bucketFor(c, exptime, now)
	at, ok := s.disk.log.Write(bucket, c.key(), it.Segments(nil)...)
	if !ok {
		s.unref(hr, hc)
		return 0, false
	}
	hc.setPlace(at)

	st := s.index.stripe(hash)
	st.mu.Lock()
	if c.state().Load()&bitLinked == 0 || s.conditionOf(c, now) != alive {
		s.forget(hc, hc.state().Load())
		s.unref(hr, hc)
		st.mu.Unlock()
		return 0, true
	}
	info := s.info(r, c)
	s.succeed(st, hash, r, c, hr, hc, now)
	st.mu.Unlock()
	s.disk.tell(DiskEvent{Kind: Spilled, Key: c.key(), Item: info, Bucket: bucket})
	return extstore.RecordSize(c.keyLen(), c.valueLen()), true
}

// stillWanted tells whether a pinned item is linked and alive, and when it expires. One that is dead is removed.
func (s *Store) stillWanted(hash uint64, r ref, c chunk, now uint32) (exptime uint32, wanted bool) {
	st := s.index.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	switch cond := s.conditionOf(c, now); {
	case c.state().Load()&bitLinked == 0:
		return 0, false
	case cond.dead():
		s.unlink(st, hash, r, c)
		return 0, false
	default:
		return c.exptime(), cond == alive
	}
}

// bucketFor says into which pages an item's value goes.
func (p *DiskPolicy) bucketFor(c chunk, exptime, now uint32) extstore.Bucket {
	switch {
	case exptime != 0 && int64(exptime)-int64(now) < p.LowTTL:
		return extstore.LowTTL
	case c.firstPiece() != 0:
		return extstore.Chunked
	}
	return extstore.Default
}
