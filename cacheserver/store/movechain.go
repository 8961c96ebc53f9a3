package store

// A chained item that nobody else holds moves chunk by chunk. What its readers hold cannot: they go from chunk to chunk. If they take long
// the whole item is copied instead, and the page waits for those that are there, not for all that come meanwhile.

// copyAfter is after how many seconds a move copies chained items that are held.
const copyAfter = 5

// copyChain puts a copy of a chained item that others hold in its place; false if there is no memory for one, or the item has gone. The
// caller has a pin, and no lock but the move's.
func (s *Store) copyChain(m *pageMove, r ref, c chunk, now uint32) bool {
	to, nc := s.allocItem(c.key(), c.flags(), 0, c.valueLen(), now)
	if to == 0 {
		m.stats.BusyNoMemory++
		return false
	}
	hash := s.hash(c.key())
	copied := s.pendingFor(to, nc, hash)
	s.copyValue(&copied, r)
	st := s.index.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	if c.state().Load()&bitLinked == 0 || s.conditionOf(c, now).dead() {
		s.unref(to, nc)
		return false
	}
	s.swapChain(r, c, to, nc)
	s.reindex(st, hash, r, c, to, nc)
	s.unref(r, c)
	m.stats.ChunkRescues++
	return true
}

// swapChain gives a copied item all that may have changed since it was stored, and its place in the LRU list. The reference of its
// allocation becomes that of being linked. The caller holds the stripe.
func (s *Store) swapChain(r ref, c chunk, to ref, nc chunk) {
	nc.setExptime(c.exptime())
	nc.setCAS(c.cas())
	nc.setEpoch(c.epoch())
	nc.setAccess(c.access())
	epoch := s.epoch.Load()
	k := s.classOf(r) // and the copy's: heads of chains are in the class of the largest chunks
	k.mu.Lock()
	nc.state().Or(c.state().Load() & (bitLinked | bitFetched | bitActive | bitStale | bitWon | segMask))
	k.lists[c.segment()].substitute(s, c, nc, to)
	c.state().And(^uint32(bitLinked))
	s.settle(k, to, epoch, nc.exptime())
	k.mu.Unlock()
	s.settlePieces(nc, epoch)
}
