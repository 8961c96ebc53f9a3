package store

// bumpInterval is for how many seconds after its last bump an item keeps its place in the LRU list however often it is
// read, as in memcached: reads would else meet at the class's lock.
const bumpInterval = 60

// lru is a list of linked items, the most recently used first. It belongs to the class's lock.
type lru struct {
	head, tail ref
	count      uint64
}

func (l *lru) push(s *Store, r ref, c chunk) {
	c.setLRUPrev(0)
	c.setLRUNext(l.head)
	if l.head != 0 {
		s.at(l.head).setLRUPrev(r)
	} else {
		l.tail = r
	}
	l.head = r
	l.count++
}

func (l *lru) remove(s *Store, c chunk) {
	prev, next := c.lruPrev(), c.lruNext()
	if prev != 0 {
		s.at(prev).setLRUNext(next)
	} else {
		l.head = next
	}
	if next != 0 {
		s.at(next).setLRUPrev(prev)
	} else {
		l.tail = prev
	}
	l.count--
}

// bump moves a linked item to the front of its list unless that was done within the last minute. The caller holds the
// item's stripe.
func (s *Store) bump(r ref, c chunk, now uint32) {
	if now-c.access() < bumpInterval {
		return
	}
	k := s.classOf(r)
	k.mu.Lock()
	c.setAccess(now)
	if k.list.head != r {
		k.list.remove(s, c)
		k.list.push(s, r, c)
	}
	k.mu.Unlock()
}

// classOf returns the class that owns the page of a chunk in use.
func (s *Store) classOf(r ref) *class { return &s.classes[s.pages[r.page()].owner.Load()] }
