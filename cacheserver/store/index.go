package store

import (
	"math/bits"
	"sync"
)

const (
	stripeBits = 10
	stripes    = 1 << stripeBits
	// firstLevel makes an empty index as large as memcached's, 2^16 buckets.
	firstLevel = 16 - stripeBits
)

// index finds an item by its key. Each stripe is a hash table of its own, chained through the items and grown by linear
// hashing: whenever its items outgrow its buckets, it splits one bucket in two, the next in turn. So the index never
// moves more than a few items at a time, and no operation ever waits for a resize. It does not shrink.
//
// The lower bits of a hash choose the stripe, the bits above them the bucket. Bucket b of stripe i is word
// b*stripes+i of the region, which thus fills from its beginning as the stripes grow.
type index struct {
	region  *region
	buckets []uint32 // refs
	stripes [stripes]stripe
}

// stripe is one part of the index and the lock over the items in it. It has cache lines of its own.
type stripe struct {
	mu         sync.Mutex
	level      uint32 // the buckets number 1<<level + split
	split      uint32 // the next bucket to split, less than 1<<level
	items      uint32
	bucketsMax uint32
	getExpired uint64
	getFlushed uint64
	staleHits  uint64
	elected    uint64
	_          [8]byte
}

// init reserves an index for a store of so many pages: enough for one bucket per smallest chunk. It begins with 2^power buckets.
func (x *index) init(pages, power int) error {
	perStripe := max(pages*(chunksMax+1)/stripes, 1<<max(firstLevel, power-stripeBits))
	region, err := reserveRegion(perStripe * stripes * 4)
	if err != nil {
		return err
	}
	x.region = region
	x.buckets = region.words()
	for i := range x.stripes {
		x.stripes[i].level = firstLevel
		x.stripes[i].bucketsMax = uint32(perStripe)
	}
	x.presize(0, power)
	return nil
}

// presize makes room for so many items at once, and 2^power buckets at least, while there are none.
func (x *index) presize(items uint64, power int) {
	wanted := max(items/stripes*4/3, 1<<min(max(power-stripeBits, 0), 40))
	for i := range x.stripes {
		st := &x.stripes[i]
		for uint64(2)<<st.level <= min(wanted, uint64(st.bucketsMax)) {
			st.level++
		}
	}
}

// power returns the binary logarithm of the number of buckets.
func (x *index) power() int {
	buckets := uint64(0)
	for i := range x.stripes {
		st := &x.stripes[i]
		st.mu.Lock()
		buckets += uint64(1<<st.level + st.split)
		st.mu.Unlock()
	}
	return bits.Len64(buckets) - 1
}

func (x *index) stripe(hash uint64) *stripe { return &x.stripes[hash&(stripes-1)] }

// bucket returns the chain that a hash belongs to. The caller holds the stripe.
func (x *index) bucket(st *stripe, hash uint64) *uint32 {
	b := uint32(hash>>stripeBits) & (1<<st.level - 1)
	if b < st.split {
		b = uint32(hash>>stripeBits) & (2<<st.level - 1)
	}
	return &x.buckets[uint64(b)<<stripeBits|hash&(stripes-1)]
}

// lookup returns the item of a key, dead or alive, or 0. The caller holds the stripe.
func (s *Store) lookup(st *stripe, hash uint64, key []byte) (ref, chunk) {
	r := ref(*s.index.bucket(st, hash))
	for r != 0 {
		c := s.at(r)
		if c.hasKey(key) {
			return r, c
		}
		r = c.next()
	}
	return 0, chunk{}
}

// insert puts an item that has no equal there into the index. The caller holds the stripe.
func (s *Store) insert(st *stripe, hash uint64, r ref, c chunk) {
	b := s.index.bucket(st, hash)
	c.setNext(ref(*b))
	*b = uint32(r)
	st.items++
	// Three items for four buckets keep the chains short; the index then takes at most about 6 bytes per item.
	for buckets := 1<<st.level + st.split; uint64(st.items)*4 > uint64(buckets)*3 && buckets < st.bucketsMax; buckets++ {
		s.splitBucket(st, uint32(hash&(stripes-1)))
	}
}

// remove takes an item out of the index. The caller holds the stripe.
func (s *Store) remove(st *stripe, hash uint64, r ref, c chunk) {
	b := s.index.bucket(st, hash)
	if ref(*b) == r {
		*b = uint32(c.next())
	} else {
		prev := s.at(ref(*b))
		for prev.next() != r {
			prev = s.at(prev.next())
		}
		prev.setNext(c.next())
	}
	st.items--
}

// splitBucket distributes the items of the next bucket in turn over it and its new sibling.
func (s *Store) splitBucket(st *stripe, number uint32) {
	low := &s.index.buckets[uint64(st.split)<<stripeBits|uint64(number)]
	high := &s.index.buckets[uint64(st.split|1<<st.level)<<stripeBits|uint64(number)]
	r := ref(*low)
	*low, *high = 0, 0
	for r != 0 {
		c := s.at(r)
		next := c.next()
		to := low
		if s.hash(c.key())>>stripeBits&(1<<st.level) != 0 {
			to = high
		}
		c.setNext(ref(*to))
		*to = uint32(r)
		r = next
	}
	if st.split++; st.split == 1<<st.level {
		st.level++
		st.split = 0
	}
}

// cursor is a position in a stripe that a walk has reached: it counts through the bucket numbers with their bits
// reversed. In this order a bucket and those that it will be split into are neighbours, so growth in the midst of a walk
// neither hides an item nor shows it twice.
type cursor uint32

// visit returns the bucket at a cursor and the cursor behind it; 0 is the end. The caller holds the stripe.
func (st *stripe) visit(at cursor) (bucket uint32, next cursor) {
	width := st.level
	bucket = uint32(at) & (1<<width - 1)
	if bucket < st.split {
		width++
		bucket = uint32(at) & (1<<width - 1)
	}
	reversed := bits.Reverse32(uint32(at)|^(1<<width-1)) + 1
	return bucket, cursor(bits.Reverse32(reversed))
}
