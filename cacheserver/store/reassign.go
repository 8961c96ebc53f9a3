package store

// ReassignStatus is the outcome of Reassign (protocol.txt, "Slabs Reassign").
type ReassignStatus uint8

// Outcomes of Reassign.
const (
	Reassigned       ReassignStatus = iota // the page is free for the other class
	ReassignBadClass                       // there is no such class
	ReassignNoSpare                        // the class has no page to spare
	ReassignSame                           // it is the same class
	ReassignBusy                           // another page is moving
)

// Reassign begins to move a page of the class src, the one with its least recently used item, to dst; MoveStep does the rest. src -1 is
// any class with two pages at least. 0 stands for the pages that no class holds, on either side.
func (s *Store) Reassign(src, dst int) ReassignStatus {
	switch {
	case src == dst:
		return ReassignSame
	case dst < 0 || dst >= len(s.classes) || src < -1 || src >= len(s.classes):
		return ReassignBadClass
	case s.MoveStats().Running:
		return ReassignBusy
	case src == -1:
		if src = s.anyClassBut(dst); src < 0 {
			return ReassignBadClass // as memcached, which then has no class to name
		}
	case src == 0:
		if s.Stats().FreePages == 0 {
			return ReassignNoSpare
		}
		s.grant(&s.classes[dst], false)
		return Reassigned
	}
	if k := &s.classes[src]; k.pages.Load() > 1 && s.moving.start(s, s.pageToMove(k), k, &s.classes[dst], false) {
		return Reassigned
	}
	return ReassignNoSpare
}

// anyClassBut returns the number of a class with two pages, not counting id, or -1 if there is none: each time the next in turn.
func (s *Store) anyClassBut(id int) int {
	m := &s.moving
	m.mu.Lock()
	defer m.mu.Unlock()
	for range s.classes[1:] {
		if m.lastAny++; m.lastAny >= len(s.classes) {
			m.lastAny = 1
		}
		if m.lastAny != id && s.classes[m.lastAny].pages.Load() > 1 {
			return m.lastAny
		}
	}
	return -1
}

// pageToMove returns the page of a class with its least recently used item, or, if it has no items, an empty one.
func (s *Store) pageToMove(k *class) uint32 {
	if n := s.oldestPage(k, false); n != 0 {
		return n
	}
	return s.keptPageOf(k)
}
