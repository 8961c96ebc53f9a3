package store

import (
	"math"
	"strconv"
)

// numberMax is the length of the longest result, 2^64-1.
const numberMax = 20

// Delta adds delta to the decimal number that the value is, or subtracts it. Adding wraps at 2^64, subtracting stops
// at 0. A result that is shorter than the old value is padded with spaces behind it: the value never gets shorter.
// Flags and expiry stay, the CAS id is new. If cas is not 0 the item must have that CAS id. It returns the result and
// the new CAS id with Stored, or NotFound, Exists, NonNumeric, NoMemory.
func (s *Store) Delta(key []byte, delta uint64, decr bool, cas uint64) (value, newCAS uint64, status Status) {
	return s.DeltaTo(key, delta, decr, cas, 0)
}

// DeltaTo is Delta with a CAS id of the caller's choice for the item; 0 is the next one.
func (s *Store) DeltaTo(key []byte, delta uint64, decr bool, cas, chosen uint64) (value, newCAS uint64, status Status) {
	for {
		value, newCAS, status, changed := s.tryDelta(key, delta, decr, cas, chosen)
		if !changed {
			return value, newCAS, status
		}
	}
}

// tryDelta does what Delta says; changed tells that another writer came in between.
func (s *Store) tryDelta(key []byte, delta uint64, decr bool, cas, chosen uint64) (value, newCAS uint64, status Status, changed bool) {
	now, hash := s.now(), s.hash(key)
	st := s.index.stripe(hash)
	st.mu.Lock()
	old, c := s.find(st, hash, key, now)
	status = s.mayDelta(old, c, cas)
	if status == Stored {
		value, status = s.count(old, c, delta, decr)
	}
	if status != Stored {
		st.mu.Unlock()
		return 0, 0, status, false
	}
	hits := &s.classOf(old).hits
	var buf [numberMax]byte
	text := strconv.AppendUint(buf[:0], value, 10)
	if len(text) <= c.valueLen() && c.state().Load()&refMask == 1 {
		// No reader holds the item, and none can come while the stripe is held.
		pad(c.headBytes(s.chunkSize(old)), text)
		newCAS = s.casOr(chosen)
		c.setCAS(newCAS)
		s.update(old, c, now)
		st.mu.Unlock()
		hits.countDelta(decr)
		return value, newCAS, Stored, false
	}
	pinned := c.tryPin()
	st.mu.Unlock()
	if !pinned {
		return 0, 0, NoMemory, false
	}
	defer s.unref(old, c)
	newCAS, status, changed = s.replaceValue(hash, old, c, text, now, chosen)
	if status == Stored && !changed {
		hits.countDelta(decr)
	}
	return value, newCAS, status, changed
}

// mayDelta decides whether an item is there, may be a number, and has the CAS id asked for. As in memcached, nothing at all,
// a chain of chunks and what is on disk are no numbers, whatever the id.
func (s *Store) mayDelta(old ref, c chunk, cas uint64) Status {
	switch {
	case old == 0:
		return NotFound
	case c.valueLen() == 0 || c.firstPiece() != 0 || c.onDisk():
		return NonNumeric
	case cas != 0 && c.cas() != cas:
		return Exists
	}
	return Stored
}

// count computes the new number.
func (s *Store) count(r ref, c chunk, delta uint64, decr bool) (value uint64, status Status) {
	old, ok := parseNumber(c.headBytes(s.chunkSize(r)))
	switch {
	case !ok:
		return 0, NonNumeric
	case !decr:
		return old + delta, Stored
	case delta > old:
		return 0, Stored
	}
	return old - delta, Stored
}

// pad writes a number and fills the rest with spaces.
func pad(value, text []byte) {
	for i := copy(value, text); i < len(value); i++ {
		value[i] = ' '
	}
}

// replaceValue puts a new item with the same key, flags and expiry in the place of old, which the caller has pinned.
func (s *Store) replaceValue(hash uint64, old ref, c chunk, text []byte, now uint32, chosen uint64) (cas uint64, status Status, changed bool) {
	r, rc := s.allocItem(c.key(), c.flags(), 0, max(len(text), c.valueLen()), now)
	if r == 0 {
		return 0, NoMemory, false
	}
	pad(rc.headBytes(s.chunkSize(r)), text)
	cas, ok := s.replace(hash, old, c, r, rc, now, chosen)
	return cas, Stored, !ok
}

func (h *opCounters) countDelta(decr bool) {
	if decr {
		h.decrs.Add(1)
	} else {
		h.incrs.Add(1)
	}
}

// parseNumber reads a number as memcached does, whose rule is strtoull's: blanks, a sign, digits, and then the end or a blank,
// whatever follows. A negative number counts if it wraps to less than 2^63.
func parseNumber(b []byte) (n uint64, ok bool) {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	negative := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative, b = b[0] == '-', b[1:]
	}
	digits := 0
	for ; digits < len(b) && b[digits] >= '0' && b[digits] <= '9'; digits++ {
		d := uint64(b[digits] - '0')
		if n > (math.MaxUint64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	if digits == 0 || (digits < len(b) && !isBlank(b[digits])) {
		return 0, false
	}
	if negative {
		n = -n
		return n, n <= math.MaxInt64
	}
	return n, true
}

func isBlank(c byte) bool { return c == ' ' || (c >= '\t' && c <= '\r') }
