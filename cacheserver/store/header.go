package store

import "bytes"

// What a header's variable part looks like follows from the bits of its state word, which don't change while the item
// exists.

// casLen returns the bytes that the CAS id takes.
func casLen(state uint32) int {
	if state&bitNoCAS != 0 {
		return 0
	}
	return casSize
}

// keyOffset returns where the key starts in a head chunk with this state.
func keyOffset(state uint32) int {
	off := headerSize + casLen(state)
	if state&bitFlags != 0 {
		off += flagsSize
	}
	if state&bitChained != 0 {
		off += chainSize
	}
	return off
}

func (c chunk) key() []byte { return c.bytes(keyOffset(c.state().Load()), c.keyLen()) }

func (c chunk) hasKey(key []byte) bool {
	return c.keyLen() == len(key) && bytes.Equal(c.key(), key)
}

// cas returns the CAS id, 0 if the item has none.
func (c chunk) cas() uint64 {
	if c.state().Load()&bitNoCAS != 0 {
		return 0
	}
	return *c.casAt()
}

func (c chunk) setCAS(id uint64) {
	if c.state().Load()&bitNoCAS == 0 {
		*c.casAt() = id
	}
}

// flags returns the client flags.
func (c chunk) flags() uint32 {
	state := c.state().Load()
	if state&bitFlags == 0 {
		return 0
	}
	return *c.u32(uintptr(headerSize + casLen(state)))
}

// firstPiece returns where a chained value goes on after the head chunk, 0 for a value in one piece.
func (c chunk) firstPiece() ref {
	state := c.state().Load()
	if state&bitChained == 0 {
		return 0
	}
	return ref(*c.u32(uintptr(keyOffset(state) - chainSize)))
}

// setFirstPiece changes where a chained value goes on.
func (c chunk) setFirstPiece(r ref) {
	*c.u32(uintptr(keyOffset(c.state().Load()) - chainSize)) = uint32(r)
}

// itemSize returns the bytes that header, key and value, or its place on disk, take, without those of the pieces' headers.
func (c chunk) itemSize() int { return c.itemSizeAs(c.state().Load()) }

// itemSizeAs is itemSize for an item with this state.
func (c chunk) itemSizeAs(state uint32) int {
	if state&bitOnDisk != 0 {
		return keyOffset(state) + c.keyLen() + placeSize
	}
	return keyOffset(state) + c.keyLen() + c.valueLen()
}

// headBytes returns the part of the value that lies in the head chunk, which has chunkSize bytes.
func (c chunk) headBytes(chunkSize int) []byte {
	off := keyOffset(c.state().Load()) + c.keyLen()
	return c.bytes(off, min(c.valueLen(), chunkSize-off))
}

// fetched says whether the item was read since it was stored.
func (c chunk) fetched() bool { return c.state().Load()&bitFetched != 0 }

// tryPin adds a reference to an item unless it is on its way out or has as many as can be counted.
func (c chunk) tryPin() bool {
	for {
		state := c.state().Load()
		refs := state & refMask
		if state&kindMask != kindItem || refs == 0 || refs == refMask {
			return false
		}
		if c.state().CompareAndSwap(state, state+1) {
			return true
		}
	}
}

// tryPinRead is tryPin for a reader, who leaves a mark that the item was read. before is the state until then.
func (c chunk) tryPinRead() (before uint32, ok bool) {
	for {
		state := c.state().Load()
		if state&refMask == refMask {
			return state, false
		}
		if c.state().CompareAndSwap(state, markedRead(state)+1) {
			return state, true
		}
	}
}

// markRead leaves the mark without taking a reference.
func (c chunk) markRead() (before uint32) {
	for {
		state := c.state().Load()
		if c.state().CompareAndSwap(state, markedRead(state)) {
			return state
		}
	}
}

// markedRead is a state word after one more read: the first read makes the item fetched, a further one active.
func markedRead(state uint32) uint32 {
	return state | bitFetched | state&bitFetched*(bitActive/bitFetched)
}

func (c chunk) segment() segment { return segment(c.state().Load() >> segShift) }

// setSegment changes the segment; the item is no longer active then. The caller holds the class's lock.
func (c chunk) setSegment(to segment) {
	for {
		state := c.state().Load()
		if c.state().CompareAndSwap(state, state&^(segMask|bitActive)|uint32(to)<<segShift) {
			return
		}
	}
}
