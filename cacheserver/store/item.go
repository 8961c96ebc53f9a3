package store

// Item is a found item and a reference to it. Until Release its value stays valid and unchanged, though the key is
// deleted, evicted or set anew meanwhile. It is a small value, meant to be kept on the stack or in a connection's state;
// copies share one reference, so exactly one of them is released. The zero Item is not valid.
type Item struct{ e *entry }

// Flags returns the client's flags.
func (it Item) Flags() uint32 { return it.e.flags }

// CAS returns the item's CAS id as it was at the look-up; 0 if the store keeps none.
func (it Item) CAS() uint64 { return it.e.cas }

// Len returns the length of the value in bytes.
func (it Item) Len() int { return len(it.e.value) }

// Exptime returns when the item expires, in unix seconds, as it was at the look-up; 0 is never.
func (it Item) Exptime() int64 { return it.e.exptime }

// Class returns the number of the slab class that the item counts in, from 1, for counters by class.
func (it Item) Class() int { return 1 }

// Bytes returns the value without copying it when it lies in one piece, and false when it is a chain of pieces. The
// bytes must not be written to and must not be used after Release.
func (it Item) Bytes() ([]byte, bool) { return it.e.value, true }

// Segments appends the pieces of the value, in order, to dst and returns it. The rules of Bytes hold for each piece. An
// empty value has no pieces.
func (it Item) Segments(dst [][]byte) [][]byte {
	if len(it.e.value) == 0 {
		return dst
	}
	return append(dst, it.e.value)
}

// Release gives the reference back. It is called once per Item, from any goroutine.
func (it Item) Release() {}
