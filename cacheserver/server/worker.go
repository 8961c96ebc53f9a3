package server

import (
	"errors"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// readSize is the size in bytes of a worker's read buffer: what one wake-up of a connection takes in.
const readSize = 64 << 10

// waitMillis bounds a wait in milliseconds, so that idle connections are looked for.
const waitMillis = 1000

// worker serves its share of the connections on one thread's epoll. Everything in it but the mailbox belongs to its
// goroutine.
type worker struct {
	srv      *Server
	epoll    int
	wake     int // an eventfd that ends a wait
	conns    map[int32]*conn
	buf      []byte
	vec      [][]byte
	stats    counters
	now      int64   // of the last wake-up, unix seconds
	ready    []*conn // have yielded, with bytes left to work off
	spare    []*conn // the memory of the list before
	lastKick int64

	mu    sync.Mutex
	inbox []int // sockets that were accepted for this worker
	stop  atomic.Bool
}

// conn is one connection.
type conn struct {
	session
	fd       int
	left     []byte // what was read and not used yet
	writing  bool   // waits to be writable, not readable
	yielded  bool   // waits for its turn
	lastRead int64  // unix seconds
}

func newWorker(srv *Server) (*worker, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epoll)
		return nil, err
	}
	w := &worker{srv: srv, epoll: epoll, wake: wake, conns: make(map[int32]*conn), buf: make([]byte, readSize)}
	if err := w.register(wake, unix.EPOLL_CTL_ADD, unix.EPOLLIN); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *worker) close() {
	unix.Close(w.wake)
	unix.Close(w.epoll)
}

func (w *worker) register(fd, op int, events uint32) error {
	return unix.EpollCtl(w.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// hand gives an accepted socket to the worker. Any goroutine may call it.
func (w *worker) hand(fd int) {
	w.mu.Lock()
	w.inbox = append(w.inbox, fd)
	w.mu.Unlock()
	w.signal()
}

// signal ends the worker's wait.
func (w *worker) signal() {
	var one = [8]byte{1}
	_, _ = unix.Write(w.wake, one[:])
}

// run serves until the worker is told to stop.
func (w *worker) run() {
	defer w.endAll()
	events := make([]unix.EpollEvent, 256)
	for !w.stop.Load() {
		n, err := w.wait(events)
		if err != nil {
			return
		}
		w.now = w.srv.clock()
		for _, ev := range events[:n] {
			if int(ev.Fd) == w.wake {
				w.takeIn()
				continue
			}
			if c := w.conns[ev.Fd]; c != nil && !w.serve(c, ev.Events) {
				w.end(c)
			}
		}
		w.turns()
		w.kickIdle()
	}
}

// wait looks first without blocking: a system call that may block costs the scheduler a hand-over that a busy worker
// does not need.
func (w *worker) wait(events []unix.EpollEvent) (int, error) {
	n, err := unix.EpollWait(w.epoll, events, 0)
	if errors.Is(err, unix.EINTR) {
		n, err = 0, nil
	}
	if n > 0 || err != nil || len(w.ready) > 0 {
		return n, err
	}
	for {
		n, err := unix.EpollWait(w.epoll, events, waitMillis)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// takeIn begins to serve the sockets that were handed over.
func (w *worker) takeIn() {
	var count [8]byte
	_, _ = unix.Read(w.wake, count[:])
	w.mu.Lock()
	inbox := w.inbox
	w.inbox = nil
	w.mu.Unlock()
	for _, fd := range inbox {
		c := &conn{fd: fd, lastRead: w.now}
		c.srv, c.stats, c.id = w.srv, &w.stats, fd
		if err := w.register(fd, unix.EPOLL_CTL_ADD, unix.EPOLLIN|unix.EPOLLRDHUP); err != nil {
			unix.Close(fd)
			w.srv.connClosed()
			continue
		}
		w.conns[int32(fd)] = c
	}
}

// serve does what a connection's event allows and tells whether the connection goes on.
func (w *worker) serve(c *conn, events uint32) bool {
	if c.writing {
		if events&(unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			return false
		}
		return w.resume(c)
	}
	n := copy(w.buf, c.left)
	if n == len(w.buf) { // a line longer than the buffer: a get with very many keys
		w.buf = append(w.buf, make([]byte, len(w.buf))...)
	}
	if c.reading && n == 0 && c.pending.Remaining() > len(w.buf) {
		return w.readValue(c)
	}
	got, err := readFD(c.fd, w.buf[n:])
	if got == 0 && errors.Is(err, unix.EAGAIN) {
		return true
	}
	if got <= 0 {
		return got == 0 && c.yielded // who says no more is answered first
	}
	w.stats.bytesRead.Add(uint64(got))
	c.lastRead = w.now
	c.budget = w.srv.cfg.MaxRequests
	return w.work(c, w.buf[:n+got])
}

// readValue reads a large value straight into the store's memory.
func (w *worker) readValue(c *conn) bool {
	got, err := readFD(c.fd, c.pending.Next())
	if got == 0 && errors.Is(err, unix.EAGAIN) {
		return true
	}
	if got <= 0 {
		return false
	}
	c.pending.Advance(got)
	w.stats.bytesRead.Add(uint64(got))
	c.lastRead = w.now
	if c.pending.Remaining() > 0 {
		return true
	}
	c.budget = w.srv.cfg.MaxRequests
	return w.work(c, nil) // nothing may come behind a value
}

// work lets the session use what was read, and writes what it answers, in turns.
func (w *worker) work(c *conn, b []byte) bool {
	for {
		b = b[c.feed(b):]
		full, turn := c.out.full(), c.budget <= 0
		done, err := w.flush(c)
		switch {
		case err != nil:
			return false
		case !done:
			c.left = append(c.left[:0], b...)
			return w.await(c, true)
		case c.closing:
			return false
		case turn && (len(b) > 0 || c.inGet):
			w.yield(c, b)
			return true
		case full:
			continue
		}
		if c.left = append(c.left[:0], b...); len(c.left) == 0 {
			c.left = nil
		}
		return w.await(c, false)
	}
}

// yield lets others have their turn before what a connection has sent is worked off.
func (w *worker) yield(c *conn, b []byte) {
	w.stats.connYields.Add(1)
	c.yielded = true
	c.left = append(c.left[:0], b...)
	c.budget = w.srv.cfg.MaxRequests
	w.ready = append(w.ready, c)
}

// turns goes on with the connections that have yielded.
func (w *worker) turns() {
	ready := w.ready
	w.ready = w.spare[:0]
	w.spare = ready
	for _, c := range ready {
		c.yielded = false
		if w.conns[int32(c.fd)] == c && !c.writing && !w.work(c, append(w.buf[:0], c.left...)) {
			w.end(c)
		}
	}
}

// resume goes on where the client had to read first.
func (w *worker) resume(c *conn) bool {
	done, err := w.flush(c)
	if err != nil || !done {
		return err == nil
	}
	if c.closing {
		return false
	}
	return w.work(c, append(w.buf[:0], c.left...))
}

// flush writes what is owed and tells whether all has gone out.
func (w *worker) flush(c *conn) (done bool, err error) {
	for !c.out.empty() {
		w.vec = c.out.vectors(w.vec[:0])
		n, err := unix.Writev(c.fd, w.vec)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		w.stats.bytesWritten.Add(uint64(n))
		c.out.wrote(n)
	}
	return true, nil
}

// await changes what the connection waits for.
func (w *worker) await(c *conn, writable bool) bool {
	if c.writing == writable {
		return true
	}
	c.writing = writable
	events := uint32(unix.EPOLLIN | unix.EPOLLRDHUP)
	if writable {
		events = unix.EPOLLOUT
	}
	return w.register(c.fd, unix.EPOLL_CTL_MOD, events) == nil
}

// end closes a connection.
func (w *worker) end(c *conn) {
	delete(w.conns, int32(c.fd))
	c.session.end()
	unix.Close(c.fd)
	w.srv.connClosed()
}

// endAll closes all, those that nobody has begun to serve too.
func (w *worker) endAll() {
	for _, c := range w.conns {
		w.end(c)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, fd := range w.inbox {
		unix.Close(fd)
		w.srv.connClosed()
	}
	w.inbox = nil
}

// kickIdle closes connections that have been silent for the idle timeout.
func (w *worker) kickIdle() {
	limit := w.srv.cfg.IdleTimeout
	if limit == 0 || w.now == w.lastKick {
		return
	}
	w.lastKick = w.now
	for _, c := range w.conns {
		if w.now-c.lastRead > limit {
			w.stats.idleKicks.Add(1)
			w.end(c)
		}
	}
}

func readFD(fd int, b []byte) (int, error) {
	for {
		n, err := unix.Read(fd, b)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
