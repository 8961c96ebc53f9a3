package uring

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// BufferSize is how many bytes one Receive brings at most.
	BufferSize = 16 << 10
	// bufferCount is how many buffers the kernel may fill before the first is given back; a power of two. The kernel works off
	// some twenty arrivals in one call, so that more would hardly ever be used.
	bufferCount = 128
)

// buffers are the memory for what comes. The kernel takes them in the order in which they were given to it.
type buffers struct {
	ring   []bufferRef // the places that the kernel reads
	given  uint16      // how many the kernel has been given, which is the ring's tail
	memory []byte
}

// bufferRef is the kernel's struct io_uring_buf.
type bufferRef struct {
	addr uint64
	len  uint32
	id   uint16
	tail uint16 // of the ring, in the first place; nothing in the others
}

// bufferReg is the kernel's struct io_uring_buf_reg.
type bufferReg struct {
	addr    uint64
	entries uint32
	group   uint16
	_       uint16
	_       [3]uint64
}

// lend gives the kernel the buffers. It is outside of Go's heap, whose owner would clear and scan it.
func (r *Ring) lend() error {
	const places = bufferCount * int(unsafe.Sizeof(bufferRef{}))
	all, err := unix.Mmap(-1, 0, places+bufferCount*BufferSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	r.memory = append(r.memory, all)
	b := &r.buffers
	b.ring = unsafe.Slice((*bufferRef)(unsafe.Pointer(&all[0])), bufferCount)
	b.memory = all[places:]
	reg := bufferReg{addr: address(&all[0]), entries: bufferCount}
	if err := r.register(registerBufferRing, unsafe.Pointer(&reg), 1); err != nil {
		return err
	}
	for id := range uint16(bufferCount) {
		b.give(id)
	}
	return nil
}

// of returns the first n bytes of a buffer.
func (b *buffers) of(id uint16, n int) []byte {
	from := int(id) * BufferSize
	return b.memory[from : from+n : from+BufferSize]
}

// give lets the kernel have a buffer.
func (b *buffers) give(id uint16) {
	place := &b.ring[b.given&(bufferCount-1)]
	place.addr, place.len, place.id = address(&b.memory[int(id)*BufferSize]), BufferSize, id
	b.given++
	// The kernel reads the places up to the tail, which it must not see before they are written. The tail is half a word, which
	// package atomic does not store by itself; its other half is the first place's id.
	first := &b.ring[0]
	var word [4]byte
	binary.NativeEndian.PutUint16(word[:], first.id)
	binary.NativeEndian.PutUint16(word[2:], b.given)
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&first.id)), binary.NativeEndian.Uint32(word[:]))
}

// Recycle gives back what a completion has brought. It is not looked at afterwards.
func (r *Ring) Recycle(b []byte) {
	offset := uintptr(unsafe.Pointer(unsafe.SliceData(b))) - uintptr(unsafe.Pointer(&r.buffers.memory[0]))
	r.buffers.give(uint16(offset / BufferSize))
}
