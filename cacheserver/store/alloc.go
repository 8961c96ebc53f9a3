package store

// takeTries is how often takeChunk looks for memory anew after it has freed some: others may take it first.
const takeTries = 8

// reach says how far takeChunk may go.
type reach bool

const (
	anywhere  reach = true
	withinOwn reach = false // no other class loses a page or a chunk for it
)

// takeChunk takes a chunk for size bytes, at most the largest class's. The caller holds no lock. It is 0 when there is
// no memory.
func (s *Store) takeChunk(size int, now uint32, far reach) ref {
	k := &s.classes[s.classFor(size)]
	for range takeTries {
		if s.pool.excess() > 0 {
			s.Maintain()
		}
		if !s.lru.Load().Segmented {
			s.reap(k, searchDead, now)
		}
		k.mu.Lock()
		if r := s.takeFree(k, size, true); r != 0 {
			k.mu.Unlock()
			return r
		}
		if far == anywhere && s.kept.Load() > 0 {
			k.mu.Unlock()
			if n := s.keptPage(); n != 0 {
				s.drain(n, now)
				continue
			}
			k.mu.Lock()
		}
		v := s.findVictim(k, size, now)
		page := uint32(0)
		if v.ref == 0 || !v.cond.dead() {
			// Memory that nobody can use any more comes before anything alive.
			page = s.findDeadPage(now)
		}
		mayTake := v.cond.dead() || !s.cfg.NoEvict
		if page == 0 && v.ref != 0 && mayTake {
			if r := s.evict(k, v, now); r != 0 {
				if !v.cond.dead() {
					s.want(k)
				}
				return r
			}
			continue
		}
		v.spare()
		k.mu.Unlock()
		switch {
		case page != 0 || !mayTake || far == withinOwn:
		case v.cutTooSmall:
			page = s.oldestPage(k, true)
		default:
			page = s.donorPage()
		}
		if page == 0 {
			break
		}
		s.drain(page, now)
	}
	if !s.cfg.NoEvict && far == anywhere {
		if r := s.takeLarger(k.id + 1); r != 0 {
			return r
		}
	}
	k.mu.Lock()
	k.evicting.outOfMemory++
	k.mu.Unlock()
	return 0
}

// takeLarger takes a free chunk of any class from one on. It is the way out when the pages of a small memory are all held by
// readers and writers, perhaps by the very item that needs one more piece.
func (s *Store) takeLarger(from int) ref {
	for id := from; id < len(s.classes); id++ {
		k := &s.classes[id]
		k.mu.Lock()
		r := s.takeFree(k, k.spec.size, false)
		k.mu.Unlock()
		if r != 0 {
			return r
		}
	}
	return 0
}

// layout says how an item lies in memory.
type layout struct {
	state     uint32 // kind and bits of the header
	head      int    // bytes of the head chunk
	headValue int    // bytes of the value in it
}

// layoutOf plans an item. Only an item that is larger than the largest chunk is chained.
func (s *Store) layoutOf(keyLen int, flags uint32, size int) layout {
	l := layout{state: kindItem, headValue: size}
	if s.cfg.NoCAS {
		l.state |= bitNoCAS
	}
	if flags != 0 {
		l.state |= bitFlags
	}
	l.head = keyOffset(l.state) + keyLen + size
	if l.head > s.cfg.SlabChunkMax {
		l.state |= bitChained
		l.head = s.cfg.SlabChunkMax
		l.headValue = l.head - keyOffset(l.state) - keyLen
	}
	return l
}

// allocItem takes the chunks of an item and fills in what is known of it. The item has one reference, the caller's. It
// is 0 when there is no memory.
func (s *Store) allocItem(key []byte, flags, exptime uint32, size int, now uint32) (ref, chunk) {
	return s.allocItemFrom(key, flags, exptime, size, now, anywhere)
}

// allocItemFrom is allocItem with a bound on what may be given up for the item.
func (s *Store) allocItemFrom(key []byte, flags, exptime uint32, size int, now uint32, far reach) (ref, chunk) {
	l := s.layoutOf(len(key), flags, size)
	r := s.takeChunk(l.head, now, far)
	if r == 0 {
		return 0, chunk{}
	}
	c := s.at(r)
	c.setExptime(exptime)
	c.setValueLen(size)
	c.setKeyLen(len(key))
	off := headerSize + casLen(l.state)
	if flags != 0 {
		*c.u32(uintptr(off)) = flags
		off += flagsSize
	}
	if l.state&bitChained != 0 {
		first, ok := s.allocPieces(r, size-l.headValue, now, far)
		if !ok {
			s.giveChunk(r)
			return 0, chunk{}
		}
		*c.u32(uintptr(off)) = uint32(first)
		off += chainSize
	}
	copy(c.bytes(off, len(key)), key)
	// From here on others may find the header by way of its page, so this store comes last.
	c.state().Store(l.state + 1)
	return r, c
}

// allocPieces takes the pieces of a chain for size bytes: largest chunks, and for the rest what fits.
func (s *Store) allocPieces(owner ref, size int, now uint32, far reach) (first ref, ok bool) {
	var last chunk
	for size > 0 {
		n := min(size, s.cfg.SlabChunkMax-pieceHeaderSize)
		r := s.takeChunk(n+pieceHeaderSize, now, far)
		if r == 0 {
			s.freePieces(first)
			return 0, false
		}
		c := s.at(r)
		c.setNext(0)
		c.setOwner(owner)
		c.setPieceLen(n)
		c.state().Store(kindPiece)
		if first == 0 {
			first = r
		} else {
			last.setNext(r)
		}
		last = c
		size -= n
	}
	return first, true
}

// SizeGap is how many bytes more memcached reckons for an item than it takes here: its header, the zero behind the key, the line end
// behind the value. Figures that are told to memcached's clients have it added.
const SizeGap = itemOverhead - headerSize + 1 + 2

// fits says whether an item is within ItemSizeMax as memcached reckons it: its header with or without CAS id, the key
// with a terminating zero, the client flags if they are not zero, and the value with its line end.
func (s *Store) fits(keyLen int, flags uint32, size int) bool {
	total := itemOverhead + keyLen + 1 + size + 2
	if !s.cfg.NoCAS {
		total += casSize
	}
	if flags != 0 {
		total += flagsSize
	}
	return total <= s.cfg.ItemSizeMax
}
