package store

// Crawl is a walk over the whole index that removes what is dead, so that memory which nobody asks for comes back before
// it is needed. The zero Crawl stands at the beginning. It is used by one goroutine at a time.
type Crawl struct {
	Only      map[int]bool // numbers of the slab classes that it is about; nil is all
	Checked   uint64       // items looked at so far
	Reclaimed uint64       // of these, dead ones that were removed
	ByClass   [ClassesMax + 1]struct{ Checked, Reclaimed uint64 }
	stripe    uint32
	at        cursor
}

// CrawlStep looks at some items, a few hundred at most, and tells whether there are more to come.
func (s *Store) CrawlStep(c *Crawl) (more bool) {
	if c.stripe >= stripes {
		return false
	}
	now := s.now()
	st := &s.index.stripes[c.stripe]
	st.mu.Lock()
	defer st.mu.Unlock()
	for looked := 0; looked < walkStep; looked++ {
		var b uint32
		b, c.at = st.visit(c.at)
		r := ref(s.index.buckets[uint64(b)<<stripeBits|uint64(c.stripe)])
		for r != 0 {
			item := s.at(r)
			next := item.next()
			if class := s.classOf(r).id; c.Only == nil || c.Only[class] {
				c.look(class, s.reclaim(st, r, item, now))
			}
			r = next
			looked++
		}
		if c.at == 0 {
			c.stripe++
			break
		}
	}
	return c.stripe < stripes
}

// look notes that an item of a class has been looked at.
func (c *Crawl) look(class int, reclaimed bool) {
	c.Checked++
	c.ByClass[class].Checked++
	if reclaimed {
		c.Reclaimed++
		c.ByClass[class].Reclaimed++
	}
}

// reclaim removes a linked item if it is dead, or if its value is lost. The caller holds its stripe.
func (s *Store) reclaim(st *stripe, r ref, c chunk, now uint32) bool {
	if !s.conditionOf(c, now).dead() && !s.lost(c) {
		return false
	}
	s.unlink(st, s.hash(c.key()), r, c)
	return true
}
