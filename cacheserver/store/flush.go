package store

// purgeEvery is after how many flushes the items of past epochs are removed for good. A header keeps the lower 16 bits
// of its epoch: this keeps an item from coming to life again when those have gone round.
const purgeEvery = 1 << 15

// FlushAll makes all items that are there at a point in time invisible from then on: at, in unix seconds, if that is
// still to come, else now. What is stored after that is not touched, even in the same second. A later call replaces an
// earlier one that is still to come. The memory of the items is used again before anything alive is evicted.
func (s *Store) FlushAll(at int64) {
	now := s.now() // also lets an earlier flush that is due take effect before it is replaced
	s.flush.mu.Lock()
	defer s.flush.mu.Unlock()
	if at > int64(now) {
		s.flush.at.Store(at)
		return
	}
	s.flush.at.Store(0)
	s.nextEpoch(now)
}

// flushDue lets the flush planned for a time that has come take effect, once.
func (s *Store) flushDue(at int64) {
	s.flush.mu.Lock()
	defer s.flush.mu.Unlock()
	if s.flush.at.Load() != at {
		return
	}
	s.flush.at.Store(0)
	s.nextEpoch(clampTime(at))
}

// nextEpoch makes all items dead. The caller holds flush.mu.
func (s *Store) nextEpoch(now uint32) {
	if s.epoch.Add(1)%purgeEvery == 0 {
		s.purge(now)
	}
}

// purge removes all dead items from the index, stripe by stripe.
func (s *Store) purge(now uint32) {
	for i := range s.index.stripes {
		st := &s.index.stripes[i]
		st.mu.Lock()
		for b := range 1<<st.level + st.split {
			r := ref(s.index.buckets[uint64(b)<<stripeBits|uint64(i)])
			for r != 0 {
				c := s.at(r)
				next := c.next()
				if s.conditionOf(c, now).dead() {
					s.unlink(st, s.hash(c.key()), r, c)
				}
				r = next
			}
		}
		st.mu.Unlock()
	}
}
