package extstore

import (
	"encoding/binary"
	"hash/crc32"
)

// Policy says when a page is worth compacting.
type Policy struct {
	CompactUnder int     // free pages; with fewer a page of which less than MaxFrag is wanted is compacted
	DropUnder    int     // free pages; with fewer, and no such page, the oldest is, if that can free anything: see Plan
	MaxFrag      float64 // of a page
	DropUnread   bool    // values that are not used are dropped rather than written again
}

// Plan is a page to be compacted, and how.
type Plan struct {
	Page    uint32
	Version uint32
	Cold    bool // there are pages of ColdCompact's own: values that are not used go there
	Old     bool // the rest goes to Old, not to Compact
	Drop    bool // values that are not used are dropped
}

// homes are the pages of one home, for a decision about them.
type homes struct {
	total, free    int
	oldest         *page
	oldestVersion  uint32
	emptiest       *page
	emptiestBytes  int64
	emptiestNumber uint32
}

// Plan chooses a page to be compacted; false if none is worth it. In the pages of ColdCompact and Old nothing is written again to make
// room: where none of them is free the oldest is given up at once.
func (l *Log) Plan(how Policy) (Plan, bool) {
	all := l.survey(int64(how.MaxFrag * float64(l.cfg.PageSize)))
	plan := Plan{Cold: all[ColdCompact].total > 0}
	hasOld := all[Old].total > 0
	for _, b := range []Bucket{ColdCompact, Old} {
		if h := &all[b]; h.total > 0 && h.free == 0 && h.oldest != nil {
			l.evict(h.oldest, h.oldestVersion)
			return Plan{}, false
		}
	}
	for b := range Buckets {
		h := &all[b]
		if h.total == 0 || b == LowTTL || h.free >= how.CompactUnder {
			continue // what soon expires is not worth writing again
		}
		if h.emptiest != nil {
			plan.Page, plan.Version = h.emptiest.id, h.emptiestNumber
			return plan, true
		}
		frees := how.DropUnread || plan.Cold || hasOld
		if h.free < how.DropUnder && h.oldest != nil && b != ColdCompact && b != Old && frees {
			plan.Page, plan.Version = h.oldest.id, h.oldestVersion
			plan.Drop, plan.Old = how.DropUnread, hasOld
			return plan, true
		}
	}
	return Plan{}, false
}

// survey looks at all pages. One with less than limit bytes is thinly used.
func (l *Log) survey(limit int64) (all [Buckets]homes) {
	for i := range l.pages {
		p := &l.pages[i]
		h := &all[p.home]
		h.total++
		p.mu.Lock()
		version, active, bytes := p.version, p.active, p.bytes
		p.mu.Unlock()
		if version == 0 {
			h.free++
			continue
		}
		if active {
			continue
		}
		if h.oldest == nil || version < h.oldestVersion {
			h.oldest, h.oldestVersion = p, version
		}
		if bytes < limit && (h.emptiest == nil || bytes < h.emptiestBytes) {
			h.emptiest, h.emptiestNumber, h.emptiestBytes = p, version, bytes
		}
	}
	return all
}

// Scan reads one buffer's worth of a page, from an offset on, and calls fn for each record in it; what it is given is valid during the
// call only, and not checked against anything but Place.Sum, which is of the value as it was read. It returns the offset at which the next
// Scan goes on, 0 behind the end of the page. It fails with ErrGone when the use of the page has ended.
func (l *Log) Scan(plan Plan, from int64, buf []byte, fn func(at Place, key, value []byte)) (next int64, err error) {
	p := &l.pages[plan.Page]
	buf = buf[:l.cfg.BufferSize]
	if _, err := l.read(Place{Page: plan.Page, Version: plan.Version, Offset: uint32(from)}, [][]byte{buf}, false); err != nil {
		return 0, err
	}
	l.counts.objectsRead.Add(1)
	l.counts.bytesRead.Add(uint64(len(buf)))
	for off := 0; off+recordHeader <= len(buf); {
		rec := buf[off:]
		keyLen := int(binary.LittleEndian.Uint16(rec[offKeyLen:]))
		size := RecordSize(keyLen, int(binary.LittleEndian.Uint32(rec[offValueLen:])))
		// Zeros are the end. Behind damage nobody knows where the next record is: what comes there is given up.
		if keyLen == 0 || size > len(rec) ||
			crc32.Checksum(rec[offValueLen:recordHeader+keyLen], castagnoli) != binary.LittleEndian.Uint32(rec[offSum:]) {
			break
		}
		key, value := rec[recordHeader:recordHeader+keyLen], rec[recordHeader+keyLen:size]
		at := Place{Page: p.id, Version: plan.Version, Offset: uint32(from) + uint32(off+recordHeader+keyLen)}
		at.Sum = crc32.Checksum(value, castagnoli)
		fn(at, key, value)
		off += size
	}
	if next = from + int64(l.cfg.BufferSize); next >= l.cfg.PageSize {
		return 0, nil
	}
	return next, nil
}

// Finish ends the use of a page of which all that is wanted was written again.
func (l *Log) Finish(plan Plan) {
	p := &l.pages[plan.Page]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.is(Place{Version: plan.Version}) && !p.active {
		l.release(p)
	}
}
