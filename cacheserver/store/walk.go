package store

import (
	"maps"
	"slices"
)

// ItemInfo is what Walk tells about an item besides its key.
type ItemInfo struct {
	Flags      uint32
	Exptime    int64 // unix seconds; 0 is never
	LastAccess int64 // unix seconds, exact to a minute
	CAS        uint64
	Len        int  // bytes of the value
	Size       int  // bytes of header, key and value, wherever that is
	Class      int  // number of the slab class
	Fetched    bool // read since it was stored
	BinaryKey  bool // see Pending.SetBinaryKey
	OnDisk     bool
	DiskPage   uint32 // where the value is if it is on disk
	DiskOffset uint32
}

// walkStep is after how many buckets and items a walk lets others at the stripe.
const walkStep = 128

// walked is an item that a walk has copied out of its stripe: its key ends at keyEnd of the walk's buffer.
type walked struct {
	info   ItemInfo
	keyEnd int
}

// Scanner walks over the items of a store step by step. The zero Scanner stands at the beginning. It is used by one
// goroutine at a time.
type Scanner struct {
	stripe uint32
	at     cursor
	items  []walked
	keys   []byte
}

// Scan calls fn for some live items, a few hundred at most, and tells whether there are more to come by a next call. No lock
// is held during the calls, and none for long: an item that is there all the while is shown exactly once, one that comes or goes
// meanwhile at most once. key is valid only during the call.
func (s *Store) Scan(sc *Scanner, fn func(key []byte, it ItemInfo)) (more bool) {
	if sc.stripe >= stripes {
		return false
	}
	sc.items, sc.keys, sc.at = s.walkSome(sc.stripe, sc.at, sc.items[:0], sc.keys[:0])
	if sc.at == 0 {
		sc.stripe++
	}
	start := 0
	for _, it := range sc.items {
		fn(sc.keys[start:it.keyEnd], it.info)
		start = it.keyEnd
	}
	return sc.stripe < stripes
}

// Walk calls fn for each live item until fn returns false. See Scan.
func (s *Store) Walk(fn func(key []byte, it ItemInfo) bool) {
	var sc Scanner
	for going, more := true, true; going && more; {
		more = s.Scan(&sc, func(key []byte, it ItemInfo) { going = going && fn(key, it) })
	}
}

// walkSome copies the live items of some buckets of a stripe, from a cursor on, and returns the cursor behind them.
func (s *Store) walkSome(number uint32, at cursor, items []walked, keys []byte) ([]walked, []byte, cursor) {
	now := s.now()
	st := &s.index.stripes[number]
	st.mu.Lock()
	defer st.mu.Unlock()
	for looked := 0; ; looked++ {
		var b uint32
		b, at = st.visit(at)
		for r := ref(s.index.buckets[uint64(b)<<stripeBits|uint64(number)]); r != 0; {
			c := s.at(r)
			if s.conditionOf(c, now) == alive && !s.lost(c) {
				keys = append(keys, c.key()...)
				items = append(items, walked{s.info(r, c), len(keys)})
			}
			r = c.next()
			looked++
		}
		if at == 0 || looked >= walkStep {
			return items, keys, at
		}
	}
}

// info describes a linked item. The caller holds its stripe.
func (s *Store) info(r ref, c chunk) ItemInfo {
	info := ItemInfo{
		Flags: c.flags(), Exptime: int64(c.exptime()), LastAccess: int64(c.access()), CAS: c.cas(),
		Len: c.valueLen(), Size: c.itemSize(), Class: s.classOf(r).id, Fetched: c.fetched(),
		BinaryKey: c.binaryKey(),
	}
	if c.onDisk() {
		at := c.place(c.state().Load())
		info.OnDisk, info.DiskPage, info.DiskOffset = true, at.Page, at.Offset
		info.Size += info.Len - placeSize
	}
	return info
}

// SizeHistogram counts the live items by size as memcached reckons it, in ascending order. It walks over all items: the cost is theirs.
func (s *Store) SizeHistogram() []SizeBucket {
	const width = 32
	counts := make(map[int]uint64)
	s.Walk(func(_ []byte, it ItemInfo) bool {
		counts[(it.Size+SizeGap+width-1)/width*width]++
		return true
	})
	all := make([]SizeBucket, 0, len(counts))
	for _, size := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, SizeBucket{Size: size, Count: counts[size]})
	}
	return all
}
