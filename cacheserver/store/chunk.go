package store

import (
	"sync/atomic"
	"unsafe"
)

// This file is the only one that uses package unsafe. It turns numbers into addresses inside a region and reads and
// writes the fields of a chunk there. What makes it sound: a region lives as long as the Store; every chunk lies within one page and
// starts at a multiple of 8 bytes, so each field is aligned; nothing in a chunk is a Go pointer, so the collector need
// not look; and the pointers made here are derived from the region's own start by unsafe.Add.

// ref names a chunk: the number of its page, from 1, and its number within the page in the lower idxBits bits. 0 is none.
type ref uint32

const (
	idxBits   = 14
	chunksMax = 1<<idxBits - 1 // in a page
	maxPages  = 1<<(32-idxBits) - 1

	// smallestChunk keeps a page at chunksMax chunks.
	smallestChunk = 64
)

func makeRef(page uint32, idx uint16) ref { return ref(page<<idxBits | uint32(idx)) }

func (r ref) page() uint32 { return uint32(r) >> idxBits }

func (r ref) idx() uint16 { return uint16(r & (1<<idxBits - 1)) }

// The fields of an item's first chunk, its header. A piece of a chain and a free chunk have other uses for
// some of them, but the state is at the same place in all.
const (
	offNext     = 0  // uint32: next item of the bucket (ref); free chunk: next free one of the page; piece: next piece
	offState    = 4  // uint32: kind, bits, references
	offPrev     = 8  // uint32: LRU neighbour towards the head (ref); piece: the head chunk of its item
	offLRUNext  = 12 // uint32: LRU neighbour towards the tail (ref); piece: bytes in use
	offAccess   = 16 // uint32: unix time of the last bump; written under the stripe, read under the class too, hence atomic
	offExptime  = 20 // uint32: unix time of expiry; 0 never
	offValueLen = 24 // uint32: bytes of the value, pieces included
	offKeyLen   = 28 // uint16: bytes of the key, and keyIsBinary
	offEpoch    = 30 // uint16: lower bits of the store's epoch at the Commit
	offCAS      = 32 // uint64, absent if the store keeps none
	// then: uint32 client flags if bitFlags; uint32 first piece (ref) if bitChained; key; value

	headerSize      = 32
	casSize         = 8
	flagsSize       = 4
	chainSize       = 4
	headerMax       = headerSize + casSize + flagsSize + chainSize
	pieceHeaderSize = 16

	keyIsBinary = 1 << 15 // whoever stored the item sent its key encoded: see Pending.SetBinaryKey
)

// The state word. 19 bits count references, two tell the kind.
const (
	refMask   = 1<<19 - 1
	bitOnDisk = 1 << 19 // the value is on disk; in its stead there is its place: see onDisk
	kindMask  = 3 << 20
	kindFree  = 0 << 20 // also: taken from the free chunks, not yet an item
	kindItem  = 1 << 20
	kindPiece = 2 << 20

	bitLinked  = 1 << 22 // in the index and in the LRU list; counts as one reference
	bitFetched = 1 << 23 // read since it was stored
	bitFlags   = 1 << 24 // the client flags are not 0 and are kept
	bitChained = 1 << 25 // the value goes on in pieces
	bitNoCAS   = 1 << 26 // the header has no CAS id
	bitStale   = 1 << 27 // marked as in need of a refresh (meta commands)
	bitWon     = 1 << 28 // a client has been told to refresh it (meta commands)
	bitActive  = 1 << 29 // read again since it was first read, or since it last changed its segment

	// The last two bits are the segment. They change under the class's lock.
	segShift = 30
	segMask  = 3 << segShift
)

// chunk is the address of a chunk.
type chunk struct{ p unsafe.Pointer }

// chunkSize returns the bytes of a chunk that is in use.
func (s *Store) chunkSize(r ref) int { return int(s.sizes[r.page()].Load()) }

// at returns the address of a chunk. r must name a chunk that is in use or on a list, else its page may have been cut anew.
func (s *Store) at(r ref) chunk {
	page := r.page()
	off := uintptr(page)<<pageShift + uintptr(r.idx())*uintptr(s.sizes[page].Load())
	return chunk{unsafe.Add(unsafe.Pointer(unsafe.SliceData(s.slabs.mem)), off)}
}

func (c chunk) u32(off uintptr) *uint32 { return (*uint32)(unsafe.Add(c.p, off)) }

func (c chunk) u16(off uintptr) *uint16 { return (*uint16)(unsafe.Add(c.p, off)) }

func (c chunk) state() *atomic.Uint32 { return (*atomic.Uint32)(unsafe.Add(c.p, offState)) }

func (c chunk) bytes(off, n int) []byte { return unsafe.Slice((*byte)(unsafe.Add(c.p, off)), n) }

func (c chunk) next() ref           { return ref(*c.u32(offNext)) }
func (c chunk) setNext(r ref)       { *c.u32(offNext) = uint32(r) }
func (c chunk) lruPrev() ref        { return ref(*c.u32(offPrev)) }
func (c chunk) setLRUPrev(r ref)    { *c.u32(offPrev) = uint32(r) }
func (c chunk) lruNext() ref        { return ref(*c.u32(offLRUNext)) }
func (c chunk) setLRUNext(r ref)    { *c.u32(offLRUNext) = uint32(r) }
func (c chunk) access() uint32      { return atomic.LoadUint32(c.u32(offAccess)) }
func (c chunk) setAccess(t uint32)  { atomic.StoreUint32(c.u32(offAccess), t) }
func (c chunk) exptime() uint32     { return *c.u32(offExptime) }
func (c chunk) setExptime(t uint32) { *c.u32(offExptime) = t }
func (c chunk) epoch() uint16       { return *c.u16(offEpoch) }
func (c chunk) setEpoch(e uint16)   { *c.u16(offEpoch) = e }
func (c chunk) keyLen() int         { return int(*c.u16(offKeyLen) &^ keyIsBinary) }
func (c chunk) setKeyLen(n int)     { *c.u16(offKeyLen) = uint16(n) }
func (c chunk) binaryKey() bool     { return *c.u16(offKeyLen)&keyIsBinary != 0 }
func (c chunk) setBinaryKey()       { *c.u16(offKeyLen) |= keyIsBinary }
func (c chunk) valueLen() int       { return int(*c.u32(offValueLen)) }
func (c chunk) setValueLen(n int)   { *c.u32(offValueLen) = uint32(n) }

// casAt is the place of the CAS id; only headers without bitNoCAS have one.
func (c chunk) casAt() *uint64 { return (*uint64)(unsafe.Add(c.p, offCAS)) }

// The fields of a piece.
func (c chunk) owner() ref         { return ref(*c.u32(offPrev)) }
func (c chunk) setOwner(r ref)     { *c.u32(offPrev) = uint32(r) }
func (c chunk) pieceLen() int      { return int(*c.u32(offLRUNext)) }
func (c chunk) setPieceLen(n int)  { *c.u32(offLRUNext) = uint32(n) }
func (c chunk) pieceBytes() []byte { return c.bytes(pieceHeaderSize, c.pieceLen()) }

// alignment returns the first offset in b at which the address is a multiple of n.
func alignment(b []byte, n uintptr) int {
	return int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (n - 1))
}

// words views a region as 32-bit numbers.
func (r *region) words() []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(r.mem))), len(r.mem)/4)
}
