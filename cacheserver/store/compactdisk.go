package store

import (
	"errors"

	"pagegate/cacheserver/extstore"
)

// compaction is the page on disk that is being compacted. It belongs to the disk's mu.
type compaction struct {
	plan    extstore.Plan
	from    int64
	running bool
	buf     []byte
}

// CompactDisk does one step of compacting pages on disk: it looks for one that is worth it, or reads a part of that and writes the values that are
// still wanted to other pages. It tells whether it is to be called again at once.
func (s *Store) CompactDisk() (more bool) {
	d := s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &d.compacted
	if !c.running {
		p := d.policy.Load()
		d.tell(DiskEvent{Kind: CompactLooked, MaxFrag: p.MaxFrag, Limit: int64(p.MaxFrag * float64(d.log.PageSize()))})
		if c.plan, c.running = d.log.Plan(p.Policy); c.running {
			c.from = 0
			d.tell(DiskEvent{Kind: CompactStarted, Plan: c.plan})
		}
		return c.running
	}
	s.compactPart(c)
	return true
}

// compactPart does one buffer's worth of a page.
func (s *Store) compactPart(c *compaction) {
	d := s.disk
	if c.buf == nil {
		c.buf = make([]byte, d.log.BufferSize())
	}
	d.tell(DiskEvent{Kind: CompactRead, Plan: c.plan, Offset: c.from})
	var found Rescued
	next, err := d.log.Scan(c.plan, c.from, c.buf, func(at extstore.Place, key, value []byte) {
		s.rescueValue(c.plan, at, key, value, &found)
	})
	if errors.Is(err, extstore.ErrGone) {
		c.running = false
		d.tell(DiskEvent{Kind: CompactAborted, Plan: c.plan})
		return
	}
	d.counts.rescues.Add(found.Rescues)
	d.counts.lost.Add(found.Lost)
	d.counts.skipped.Add(found.Skipped)
	d.tell(DiskEvent{Kind: CompactWritten, Plan: c.plan, Offset: c.from, Found: found})
	if err != nil { // what cannot be read here is lost with the page
		next = c.from + int64(len(c.buf))
		if next >= d.log.PageSize() {
			next = 0
		}
	}
	if c.from = next; next == 0 {
		d.log.Finish(c.plan)
		c.running = false
		d.tell(DiskEvent{Kind: CompactEnded, Plan: c.plan})
	}
}

// rescueValue writes a value to another page if there is still an item that has it.
func (s *Store) rescueValue(plan extstore.Plan, at extstore.Place, key, value []byte, found *Rescued) {
	hash, now := s.hash(key), s.now()
	st := s.index.stripe(hash)
	st.mu.Lock()
	r, c := s.owner(st, hash, key, at, now)
	if r == 0 {
		st.mu.Unlock()
		return
	}
	state := c.state().Load()
	if c.place(state) != at { // its checksum is another one
		found.Lost++
		s.unlink(st, hash, r, c)
		st.mu.Unlock()
		return
	}
	bucket, unused := extstore.Compact, c.segment() == cold
	switch {
	case unused && plan.Cold:
		bucket = extstore.ColdCompact
	case unused && plan.Drop:
		found.Skipped++
		s.unlink(st, hash, r, c)
		st.mu.Unlock()
		return
	case plan.Old:
		bucket = extstore.Old
	}
	s.forget(c, state) // first: if it was the last of its page that one is free for what is written
	c.setPlace(moving)
	st.mu.Unlock()

	to, ok := s.disk.log.Write(bucket, key, value) // may wait for the disk: no stripe is held
	st.mu.Lock()
	defer st.mu.Unlock()
	r, c = s.owner(st, hash, key, moving, now)
	switch {
	case !ok && r != 0:
		found.Lost++
		s.unlink(st, hash, r, c)
	case !ok:
	case r == 0:
		s.disk.log.Forget(to, extstore.RecordSize(len(key), len(value)))
	default:
		c.setPlace(to)
		found.count(s.disk, bucket, c.state().Load()&refMask > 1)
	}
}

func (f *Rescued) count(d *disk, bucket extstore.Bucket, inUse bool) {
	f.Rescues++
	if inUse {
		f.InUse++
	}
	switch bucket {
	case extstore.ColdCompact:
		d.counts.rescuedCold.Add(1)
	case extstore.Old:
		d.counts.rescuedOld.Add(1)
	}
}

// owner returns the live item of a key whose value is at a place, whatever its checksum, or 0. The caller holds the stripe.
func (s *Store) owner(st *stripe, hash uint64, key []byte, at extstore.Place, now uint32) (ref, chunk) {
	r, c := s.lookup(st, hash, key)
	if r == 0 || !c.onDisk() || s.conditionOf(c, now) != alive {
		return 0, c
	}
	if has := c.place(c.state().Load()); has.Page != at.Page || has.Version != at.Version || has.Offset != at.Offset {
		return 0, c
	}
	return r, c
}
