package store

// Crawl is a walk over the whole index that removes what is dead, so that memory which nobody asks for comes back before
// it is needed. The zero Crawl stands at the beginning. It is used by one goroutine at a time.
type Crawl struct {
	stripe    uint32
	at        cursor
	Checked   uint64 // items looked at so far
	Reclaimed uint64 // of these, dead ones that were removed
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
			c.Checked++
			if s.conditionOf(item, now).dead() {
				s.unlink(st, s.hash(item.key()), r, item)
				c.Reclaimed++
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
