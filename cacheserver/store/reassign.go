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
// the class with the most pages, two at least. 0 stands for the pages that no class holds, on either side.
func (s *Store) Reassign(src, dst int) ReassignStatus {
	switch {
	case src == dst:
		return ReassignSame
	case dst < 0 || dst >= len(s.classes) || src < -1 || src >= len(s.classes):
		return ReassignBadClass
	case s.MoveStats().Running:
		return ReassignBusy
	case src == -1:
		if src = s.largestClassBut(dst); src < 0 {
			return ReassignBadClass // as memcached, which then has no class to name
		}
	case src == 0:
		if s.Stats().FreePages == 0 {
			return ReassignNoSpare
		}
		s.grant(&s.classes[dst], false)
		return Reassigned
	}
	if k := &s.classes[src]; k.pages.Load() > 1 && s.moving.start(s, s.oldestPage(k, false), k, &s.classes[dst], false) {
		return Reassigned
	}
	return ReassignNoSpare
}

// largestClassBut returns the number of the class with the most pages, not counting id, or -1 if none has two.
func (s *Store) largestClassBut(id int) int {
	best, most := -1, int64(1)
	for i := 1; i < len(s.classes); i++ {
		if n := int64(s.classes[i].pages.Load()); i != id && n > most {
			best, most = i, n
		}
	}
	return best
}
