package store

// findStale is find for a plain look-up: within the stale window it also returns an item that is no longer current, but for
// the one look-up in each interval that is elected to miss. The caller holds the stripe.
func (s *Store) findStale(st *stripe, hash uint64, key []byte, now uint32) (r ref, c chunk, current bool) {
	r, c = s.lookup(st, hash, key)
	if r == 0 {
		return 0, c, false
	}
	switch s.conditionOf(c, now) {
	case alive:
		return r, c, true
	case outdated:
		if s.elect(c, now) {
			st.elected++
			return 0, c, false
		}
		st.staleHits++
		return r, c, false
	}
	r, c = s.find(st, hash, key, now) // counts and removes it
	return r, c, true
}

// elect decides whether a look-up of an outdated item is the one that misses. The time of the last election is kept where the
// time of the last bump was: an outdated item is not bumped. The caller holds the stripe.
func (s *Store) elect(c chunk, now uint32) bool {
	if last := c.access(); last >= c.exptime() && now-last < s.cfg.StaleRetry {
		return false
	}
	c.setAccess(now)
	return true
}
