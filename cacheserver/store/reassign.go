package store

// ReassignStatus is the outcome of Reassign (protocol.txt, "Slabs Reassign").
type ReassignStatus uint8

// Outcomes of Reassign.
const (
	Reassigned       ReassignStatus = iota // the page is free for the other class
	ReassignBadClass                       // there is no such class
	ReassignNoSpare                        // the class has no page to spare
	ReassignSame                           // it is the same class
)

// Reassign empties a page of the class src, the one with its least recently used item, for dst, which takes it when it next
// needs one. src -1 is the class with the most pages. What lives in the page is evicted.
func (s *Store) Reassign(src, dst int) ReassignStatus {
	switch {
	case src == dst:
		return ReassignSame
	case dst < 1 || dst >= len(s.classes) || src != -1 && (src < 1 || src >= len(s.classes)):
		return ReassignBadClass
	}
	var n uint32
	if src == -1 {
		n = s.donorPage()
	} else if k := &s.classes[src]; k.pages.Load() > 1 {
		n = s.oldestPage(k)
	}
	if n == 0 {
		return ReassignNoSpare
	}
	s.drain(n, s.now())
	return Reassigned
}
