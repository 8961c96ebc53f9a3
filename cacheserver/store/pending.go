package store

// Pending is memory for an item that is being written: Alloc takes it, the caller fills it, and exactly one of Commit
// and Abort ends it. It is used by one goroutine at a time. Other goroutines don't see the item before Commit.
type Pending struct {
	s   *Store
	e   *entry
	off int
}

// Remaining returns how many bytes of the value are still to be written.
func (p *Pending) Remaining() int { return len(p.e.value) - p.off }

// Next returns the next piece of memory to be filled: empty when nothing remains, else at least one byte, and often all
// that remains. What the caller has written there counts after Advance.
func (p *Pending) Next() []byte { return p.e.value[p.off:] }

// Advance says that the first n bytes of Next are written. It panics if n is more than Next has.
func (p *Pending) Advance(n int) {
	if n < 0 || n > p.Remaining() {
		panic("store: Advance beyond the piece")
	}
	p.off += n
}

// Write copies as much of b as still fits and returns how much that was.
func (p *Pending) Write(b []byte) int {
	n := copy(p.Next(), b)
	p.Advance(n)
	return n
}

// Class returns the number of the slab class that the item counts in, from 1, for counters by class.
func (p *Pending) Class() int { return 1 }

// Commit stores the item as mode says and returns the item's new CAS id (0 if not stored, or if the store keeps none).
// The whole value must have been written: Remaining is 0. cas is looked at in mode CAS only. Whatever the Status, p is
// spent.
//
// The statuses: Set: Stored. Add: Stored, NotStored. Replace: Stored, NotStored. CAS: Stored, Exists, NotFound. Append
// and Prepend join the data to the present item, whose flags and expiry stay: Stored, NotStored, TooLarge, NoMemory.
func (p *Pending) Commit(mode Mode, cas uint64) (Status, uint64) { return p.s.commit(p.e, mode, cas) }

// Abort gives the memory back; nothing is stored, and the present item, if any, stays.
func (p *Pending) Abort() {}
