// Package uring is the little of Linux's io_uring (io_uring(7)) that serving sockets takes: requests to send and to receive
// are written to a ring that the kernel reads, their outcomes are read from one that it writes, and a single system call
// for a whole round of requests hands over the ones and waits for the others. What is to be received has no memory of its
// own while it is waited for: the kernel takes a buffer of the ring's when something has come.
//
// The ring works its completions off in the thread that enters the kernel, and in no other (IORING_SETUP_SINGLE_ISSUER,
// IORING_SETUP_DEFER_TASKRUN): Linux 6.1. New fails where the kernel is older, or where io_uring is forbidden, as it is in
// most containers.
package uring

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is a pair of rings with the kernel. New may be called by any goroutine; all the rest belongs to the one that has
// called Begin.
//
// Memory that is named in a request belongs to the kernel from the next Enter on until the request's completion: the
// caller keeps it reachable, and does not change it. Arrays of vectors are read at once, by that Enter.
type Ring struct {
	fd     int
	memory [][]byte // what is mapped, to be given back

	// Requests. tail is as far as they are written here; the kernel is told by Enter.
	requests       []sqe
	tail           uint32
	sqHead, sqTail *uint32
	sqFlags        *uint32

	// Completions.
	completions    []cqe
	head           uint32
	cqHead, cqTail *uint32

	frames  []unix.Msghdr // one for each place among the requests
	buffers buffers
	timeout unix.Timespec
	wait    waitArg
}

// sqe is the kernel's struct io_uring_sqe.
type sqe struct {
	opcode  uint8
	flags   uint8
	ioprio  uint16
	fd      int32
	off     uint64
	addr    uint64
	len     uint32
	opFlags uint32
	user    uint64
	group   uint16
	_       [3]uint16
	_       [2]uint64
}

// cqe is the kernel's struct io_uring_cqe.
type cqe struct {
	user  uint64
	res   int32
	flags uint32
}

// params is the kernel's struct io_uring_params.
type params struct {
	sqEntries, cqEntries, flags, cpu, idle, features, wqFD uint32
	_                                                      [3]uint32
	sq                                                     struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	cq struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

// waitArg is the kernel's struct io_uring_getevents_arg.
type waitArg struct {
	sigmask uint64
	size    uint32
	_       uint32
	ts      uint64
}

// The kernel's numbers, of linux/io_uring.h.
const (
	setupCQSize       = 1 << 3
	setupRDisabled    = 1 << 6
	setupSubmitAll    = 1 << 7
	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13

	featSingleMmap   = 1 << 0
	featNoDrop       = 1 << 1
	featSubmitStable = 1 << 2
	featExtArg       = 1 << 8
	featCQESkip      = 1 << 11
	needed           = featSingleMmap | featNoDrop | featSubmitStable | featExtArg | featCQESkip

	offsetRings    = 0
	offsetRequests = 0x10000000

	enterGetEvents = 1 << 0
	enterExtArg    = 1 << 3

	registerEnableRings = 12
	registerBufferRing  = 22

	opPollAdd     = 6
	opSendMsg     = 9
	opAsyncCancel = 14
	opRead        = 22
	opSend        = 26
	opRecv        = 27

	flagBufferSelect = 1 << 5
	flagSkipSuccess  = 1 << 6
	sqOverflow       = 1 << 1
	recvPollFirst    = 1 << 0
	cqeBuffer        = 1 << 0
	cqeBufferShift   = 16
)

const (
	entries  = 512  // requests that fit between two calls of Enter; one more enters by itself
	outcomes = 4096 // completions that fit; the kernel keeps what is beyond
)

// New makes a ring that is not in use yet. Its error says what the kernel lacks or forbids.
func New() (*Ring, error) {
	p := params{cqEntries: outcomes,
		flags: setupCQSize | setupRDisabled | setupSubmitAll | setupSingleIssuer | setupDeferTaskrun}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, entries, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, fmt.Errorf("io_uring_setup: %w", errno)
	}
	unix.CloseOnExec(int(fd))
	r := &Ring{fd: int(fd), frames: make([]unix.Msghdr, entries)}
	if p.features&needed != needed {
		r.Close()
		return nil, errors.New("io_uring: this kernel is too old")
	}
	if err := r.mapRings(&p); err != nil {
		r.Close()
		return nil, fmt.Errorf("io_uring: mmap: %w", err)
	}
	if err := r.lend(); err != nil {
		r.Close()
		return nil, fmt.Errorf("io_uring: buffers: %w", err)
	}
	r.wait = waitArg{ts: uint64(uintptr(unsafe.Pointer(&r.timeout)))}
	return r, nil
}

// mapRings maps what is shared with the kernel. Both rings are in one stretch of memory (IORING_FEAT_SINGLE_MMAP).
func (r *Ring) mapRings(p *params) error {
	size := max(int(p.sq.array+p.sqEntries*4), int(p.cq.cqes+p.cqEntries*uint32(unsafe.Sizeof(cqe{}))))
	rings, err := r.mmap(offsetRings, size)
	if err != nil {
		return err
	}
	requests, err := r.mmap(offsetRequests, int(p.sqEntries)*int(unsafe.Sizeof(sqe{})))
	if err != nil {
		return err
	}
	at := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&rings[offset])) }
	r.sqHead, r.sqTail, r.sqFlags = at(p.sq.head), at(p.sq.tail), at(p.sq.flags)
	r.cqHead, r.cqTail = at(p.cq.head), at(p.cq.tail)
	r.requests = unsafe.Slice((*sqe)(unsafe.Pointer(&requests[0])), p.sqEntries)
	r.completions = unsafe.Slice((*cqe)(unsafe.Pointer(&rings[p.cq.cqes])), p.cqEntries)
	order := unsafe.Slice(at(p.sq.array), p.sqEntries)
	for i := range order {
		order[i] = uint32(i) // requests are handed over in the order of their places
	}
	return nil
}

func (r *Ring) mmap(offset int64, size int) ([]byte, error) {
	b, err := unix.Mmap(r.fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err == nil {
		r.memory = append(r.memory, b)
	}
	return b, err
}

// Close ends the ring. Requests that are under way are given up by the kernel, at a time of its own: memory that they name
// must not be given back, so they are better brought to an end before.
func (r *Ring) Close() {
	unix.Close(r.fd)
	for _, b := range r.memory {
		_ = unix.Munmap(b)
	}
	r.memory = nil
}

// Begin takes the ring into use by this goroutine, and ties that to its thread.
func (r *Ring) Begin() error {
	runtime.LockOSThread()
	return r.register(registerEnableRings, nil, 0)
}

func (r *Ring) register(what uintptr, arg unsafe.Pointer, n uintptr) error {
	if _, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), what, uintptr(arg), n, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// next is the place for one more request.
func (r *Ring) next() (*sqe, uint32, error) {
	if r.tail-atomic.LoadUint32(r.sqHead) == uint32(len(r.requests)) {
		if err := r.enter(0, 0, nil, 0, unix.RawSyscall6); err != nil {
			return nil, 0, err
		}
	}
	place := r.tail & uint32(len(r.requests)-1)
	r.tail++
	return &r.requests[place], place, nil
}

// Receive asks for what comes next from a socket, once it is there; its completion's Bytes are it.
func (r *Ring) Receive(fd int, user uint64) error {
	q, _, err := r.next()
	if err == nil {
		// It is hardly ever there already, so that the kernel need not look before it waits.
		*q = sqe{opcode: opRecv, flags: flagBufferSelect, ioprio: recvPollFirst, fd: int32(fd), len: BufferSize, user: user}
	}
	return err
}

// ReceiveInto asks for what comes next from a socket, to be put into b, which is not empty.
func (r *Ring) ReceiveInto(fd int, b []byte, user uint64) error {
	q, _, err := r.next()
	if err == nil {
		*q = sqe{opcode: opRecv, fd: int32(fd), addr: address(unsafe.SliceData(b)), len: uint32(len(b)), user: user}
	}
	return err
}

// Send sends the vectors, as far as the socket takes them at once. It is done with when the Enter that hands it over has returned
// (Handed), and has a completion only if not all has gone: with how much has, or an error, EAGAIN if nothing has. There is at least one
// vector, at most IOV_MAX, and none is empty. The array stays as it is until then.
func (r *Ring) Send(fd int, v []unix.Iovec, user uint64) error {
	// MSG_WAITALL has the kernel take it for a failure when not all has gone, and tell of it.
	return r.send(fd, v, user, flagSkipSuccess, unix.MSG_DONTWAIT|unix.MSG_WAITALL)
}

// SendSome sends the vectors, as far as the socket takes them once it takes any, and its completion tells how much that was.
func (r *Ring) SendSome(fd int, v []unix.Iovec, user uint64) error { return r.send(fd, v, user, 0, 0) }

func (r *Ring) send(fd int, v []unix.Iovec, user uint64, flags uint8, how uint32) error {
	q, place, err := r.next()
	if err != nil {
		return err
	}
	*q = sqe{opcode: opSend, flags: flags, fd: int32(fd), addr: address(v[0].Base), len: uint32(v[0].Len),
		opFlags: unix.MSG_NOSIGNAL | how, user: user}
	if len(v) > 1 {
		m := &r.frames[place]
		m.Iov = unsafe.SliceData(v)
		m.SetIovlen(len(v))
		q.opcode, q.addr, q.len = opSendMsg, address(m), 1
	}
	return nil
}

// Handed tells whether the kernel has all requests, and completions are told in full: then each Send without one has succeeded.
func (r *Ring) Handed() bool {
	return atomic.LoadUint32(r.sqHead) == r.tail && atomic.LoadUint32(r.sqFlags)&sqOverflow == 0
}

// Read asks for the next bytes of a file that is waited for as a socket is: an eventfd. b is not empty.
func (r *Ring) Read(fd int, b []byte, user uint64) error {
	q, _, err := r.next()
	if err == nil {
		*q = sqe{opcode: opRead, fd: int32(fd), addr: address(unsafe.SliceData(b)), len: uint32(len(b)), user: user}
	}
	return err
}

// Poll asks to be told, once, when one of the events (poll(2)) is true of a file.
func (r *Ring) Poll(fd int, events uint32, user uint64) error {
	q, _, err := r.next()
	if err == nil {
		*q = sqe{opcode: opPollAdd, fd: int32(fd), opFlags: events, user: user}
	}
	return err
}

// Cancel takes back the request that was made with that number, which then fails with ECANCELED; user is this request's own.
func (r *Ring) Cancel(of, user uint64) error {
	q, _, err := r.next()
	if err == nil {
		*q = sqe{opcode: opAsyncCancel, fd: -1, addr: of, user: user}
	}
	return err
}

func address[T any](p *T) uint64 { return uint64(uintptr(unsafe.Pointer(p))) }

// Enter hands the requests over, and has the kernel work off what has come, without a wait.
func (r *Ring) Enter() error {
	return r.enter(0, enterGetEvents, nil, 0, unix.RawSyscall6)
}

// EnterFor is Enter with a wait for a completion, as long as the bound. Go's scheduler is not told of it, so it had better be
// short.
func (r *Ring) EnterFor(bound time.Duration) error {
	return r.waiting(bound, unix.RawSyscall6)
}

// EnterAsleep is EnterFor for a longer wait: others run meanwhile in this goroutine's place.
func (r *Ring) EnterAsleep(bound time.Duration) error {
	return r.waiting(bound, unix.Syscall6)
}

type syscall6 func(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err syscall.Errno)

func (r *Ring) waiting(bound time.Duration, call syscall6) error {
	r.timeout = unix.NsecToTimespec(int64(bound))
	return r.enter(1, enterGetEvents|enterExtArg, &r.wait, unsafe.Sizeof(r.wait), call)
}

// enter hands over what is written. A signal or the end of the bound is no error: the caller looks for completions anyway.
func (r *Ring) enter(wait, flags uintptr, arg *waitArg, size uintptr, call syscall6) error {
	atomic.StoreUint32(r.sqTail, r.tail)
	n := r.tail - atomic.LoadUint32(r.sqHead)
	_, _, errno := call(unix.SYS_IO_URING_ENTER, uintptr(r.fd), uintptr(n), wait, flags, uintptr(unsafe.Pointer(arg)), size)
	switch errno {
	case 0, unix.EINTR, unix.ETIME, unix.EAGAIN, unix.EBUSY: // the last two: the kernel is short of memory, or of room for completions
		return nil
	}
	return fmt.Errorf("io_uring_enter: %w", errno)
}

// Ready is how many completions are there.
func (r *Ring) Ready() int { return int(atomic.LoadUint32(r.cqTail) - r.head) }

// Completion is the outcome of a request.
type Completion struct {
	User uint64 // as it was given with the request
	// N is how many bytes have gone or come, or, of a Poll, the events; below 0 the error's number with its sign changed.
	N int
	// Bytes are what a Receive has brought; they are to be given back to Recycle.
	Bytes []byte
}

// Waiting returns the number of the i-th completion that is there, below Ready.
func (r *Ring) Waiting(i int) uint64 {
	return r.completions[(r.head+uint32(i))&uint32(len(r.completions)-1)].user
}

// Next takes the next completion; false when there is none.
func (r *Ring) Next() (Completion, bool) {
	if r.head == atomic.LoadUint32(r.cqTail) {
		return Completion{}, false
	}
	q := &r.completions[r.head&uint32(len(r.completions)-1)]
	c := Completion{User: q.user, N: int(q.res)}
	if q.flags&cqeBuffer != 0 {
		c.Bytes = r.buffers.of(uint16(q.flags>>cqeBufferShift), max(c.N, 0))
	}
	r.head++
	atomic.StoreUint32(r.cqHead, r.head)
	return c, true
}
