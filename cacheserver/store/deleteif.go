package store

// DeleteIf removes an item that has the CAS id given; 0 is any. It returns Stored, Exists when the id is another one, or NotFound.
func (s *Store) DeleteIf(key []byte, cas uint64) Status {
	now, hash := s.now(), s.hash(key)
	st := s.index.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	r, c := s.find(st, hash, key, now)
	switch {
	case r == 0:
		return NotFound
	case cas != 0 && c.cas() != cas:
		return Exists
	}
	s.classOf(r).hits.deletes.Add(1)
	s.unlink(st, hash, r, c)
	return Stored
}
