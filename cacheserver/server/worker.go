package server

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"pagegate/internal/epoll"
)

// readSize is the size in bytes of a worker's read buffer: what one wake-up of a connection takes in.
const readSize = 64 << 10

// waitMillis bounds a wait in milliseconds, so that idle connections are looked for.
const waitMillis = 1000

// worker serves its share of the connections on an epoll of its own. Everything in it but the mailbox belongs to its
// goroutine.
type worker struct {
	srv      *Server
	poll     *epoll.Poll
	conns    connTable
	buf      []byte
	vec      []unix.Iovec
	stats    counters
	now      int64   // of the last wake-up, unix seconds
	ready    []*conn // have yielded, with bytes left to work off
	spare    []*conn // the memory of the list before
	lastKick int64

	mu    sync.Mutex
	inbox []*caller // connections that were accepted for this worker
	stop  atomic.Bool
}

// conn is one connection.
type conn struct {
	session
	fd       int
	left     []byte // what was read and not used yet
	readable bool   // the socket may hold bytes: the epoll tells of them only once
	hungUp   bool   // nothing comes behind those bytes
	writing  bool   // waits until the client has read
	waiting  bool   // has its turn later: it is among the worker's ready ones
}

// connTable finds a connection by the number of its socket.
type connTable []*conn

func (t connTable) at(fd int32) *conn {
	if int(fd) >= len(t) {
		return nil
	}
	return t[fd]
}

func (t *connTable) put(c *conn) {
	if more := c.fd + 1 - len(*t); more > 0 {
		*t = append(*t, make(connTable, more)...)
	}
	(*t)[c.fd] = c
}

func newWorker(srv *Server) (*worker, error) {
	poll, err := epoll.New()
	if err != nil {
		return nil, err
	}
	return &worker{srv: srv, poll: poll, buf: make([]byte, readSize)}, nil
}

func (w *worker) close() { w.poll.Close() }

// hand gives an accepted connection to the worker. Any goroutine may call it.
func (w *worker) hand(k *caller) {
	w.mu.Lock()
	w.inbox = append(w.inbox, k)
	w.mu.Unlock()
	w.signal()
}

// signal ends the worker's wait.
func (w *worker) signal() { w.poll.Ring() }

// run serves until the worker is told to stop.
func (w *worker) run() {
	defer w.endAll()
	events := make([]unix.EpollEvent, 256)
	for !w.stop.Load() {
		n, err := w.poll.Wait(events, waitMillis, len(w.ready) > 0)
		if err != nil {
			return
		}
		w.now = w.srv.clock()
		for i := range events[:n] {
			ev := &events[i]
			if w.poll.Rang(ev) {
				w.takeIn()
				continue
			}
			if c := w.conns.at(ev.Fd); c != nil && !w.serve(c, ev.Events) {
				w.end(c)
			}
		}
		w.turns()
		w.kickIdle()
	}
}

// takeIn begins to serve the sockets that were handed over.
func (w *worker) takeIn() {
	w.mu.Lock()
	inbox := w.inbox
	w.inbox = nil
	w.mu.Unlock()
	for _, k := range inbox {
		c := &conn{fd: k.id}
		c.srv, c.stats, c.id, c.caller = w.srv, &w.stats, k.id, k
		if err := w.poll.Add(c.fd, epoll.Events); err != nil {
			w.release(k)
			continue
		}
		w.conns.put(c)
		w.srv.events.connNew(k)
	}
}

// serve does what a connection's event allows and tells whether the connection goes on.
func (w *worker) serve(c *conn, events uint32) bool {
	c.readable = c.readable || events&(unix.EPOLLIN|epoll.Ended) != 0
	c.hungUp = c.hungUp || events&epoll.Ended != 0
	switch {
	case c.waiting:
		return true
	case c.writing:
		return events&(unix.EPOLLOUT|epoll.Ended) == 0 || w.resume(c)
	}
	return w.read(c)
}

// read takes in what the socket holds, up to a buffer full; the rest has to wait for the others' turn.
func (w *worker) read(c *conn) bool {
	if !c.readable {
		return true
	}
	n := copy(w.buf, c.left)
	if n == len(w.buf) { // a line longer than the buffer: a get with very many keys
		w.buf = append(w.buf, make([]byte, len(w.buf))...)
	}
	if c.reading && n == 0 && c.pending.Remaining() > len(w.buf) {
		return w.readValue(c)
	}
	got, more := w.receive(c, w.buf[n:])
	if got == 0 {
		return more
	}
	c.budget = w.srv.cfg.MaxRequests
	if !w.work(c, w.buf[:n+got]) {
		return false
	}
	w.readLater(c)
	return true
}

// readValue reads a large value straight into the store's memory.
func (w *worker) readValue(c *conn) bool {
	got, more := w.receive(c, c.pending.Next())
	if got == 0 {
		return more
	}
	c.pending.Advance(got)
	if c.pending.Remaining() == 0 {
		c.budget = w.srv.cfg.MaxRequests
		if !w.work(c, nil) { // nothing may come behind a value
			return false
		}
	}
	w.readLater(c)
	return true
}

// receive reads once. Nothing got means that the connection waits for more, or, without more, is over. A read that
// leaves room has emptied the socket (epoll(7)).
func (w *worker) receive(c *conn, b []byte) (got int, more bool) {
	got, err := epoll.ReadNow(c.fd, b)
	if got == 0 {
		c.readable = false
		return 0, errors.Is(err, unix.EAGAIN)
	}
	c.readable = got == len(b) || c.hungUp
	if c.caller.lastRead.Load() != w.now { // a load is cheap, a store is not
		c.caller.lastRead.Store(w.now)
	}
	w.stats.bytesRead.Add(uint64(got))
	return got, true
}

// readLater sees to it that what a socket still holds is read when the others have had their turn.
func (w *worker) readLater(c *conn) {
	if c.readable && !c.writing {
		w.enqueue(c)
	}
}

func (w *worker) enqueue(c *conn) {
	if !c.waiting {
		c.waiting = true
		w.ready = append(w.ready, c)
	}
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
			c.writing = true
			w.poll.AwaitRoom(c.fd, true)
			c.noteState()
			return true
		case c.closing:
			return false
		case c.watch != nil:
			w.handOver(c)
			return true
		case turn && (len(b) > 0 || c.busy()):
			w.yield(c, b)
			return true
		case full:
			continue
		}
		if c.left = append(c.left[:0], b...); len(c.left) == 0 {
			c.left = nil
		}
		c.noteState()
		return true
	}
}

// noteState lets others see what the connection waits for.
func (c *conn) noteState() {
	switch {
	case c.writing:
		c.caller.setState(&stateWrite)
	case c.reading:
		c.caller.setState(&stateNRead)
	case c.swallow > 0:
		c.caller.setState(&stateSwallow)
	default:
		c.caller.setState(&stateRead)
	}
}

// yield lets others have their turn before what a connection has sent is worked off.
func (w *worker) yield(c *conn, b []byte) {
	w.stats.connYields.Add(1)
	c.left = append(c.left[:0], b...)
	w.enqueue(c)
}

// turns goes on with the connections that wait for their turn.
func (w *worker) turns() {
	ready := w.ready
	w.ready = w.spare[:0]
	w.spare = ready
	for _, c := range ready {
		if w.conns.at(int32(c.fd)) != c {
			continue // has ended meanwhile
		}
		if c.waiting = false; !w.goOn(c) {
			w.end(c)
		}
	}
}

// goOn works off what was read, then reads.
func (w *worker) goOn(c *conn) bool {
	if len(c.left) > 0 || c.busy() {
		c.budget = w.srv.cfg.MaxRequests
		if !w.work(c, append(w.buf[:0], c.left...)) {
			return false
		}
	}
	return c.waiting || c.writing || w.read(c)
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
	c.writing = false
	w.poll.AwaitRoom(c.fd, false)
	c.noteState()
	return w.goOn(c)
}

// flush writes what is owed and tells whether all has gone out.
func (w *worker) flush(c *conn) (done bool, err error) {
	for !c.out.empty() {
		w.vec = c.out.vectors(w.vec[:0])
		n, err := epoll.WriteNow(c.fd, w.vec)
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

// end closes a connection.
func (w *worker) end(c *conn) {
	w.conns[c.fd] = nil
	c.session.end()
	w.srv.events.connClose(c.caller, c.reason())
	w.release(c.caller)
}

// release gives back what a connection holds besides its conversation.
func (w *worker) release(k *caller) {
	w.srv.callers.remove(k)
	unix.Close(k.id)
	w.srv.connClosed()
}

// handOver lets a connection become a watcher, with a goroutine of its own.
func (w *worker) handOver(c *conn) {
	w.conns[c.fd] = nil
	watcher := c.watch
	c.watch = nil
	c.session.end()
	_ = w.poll.Remove(c.fd)
	w.poll.Lend()
	w.srv.watching.Go(func() {
		file := os.NewFile(uintptr(c.fd), "watcher") // the socket is its own from here on
		defer func() {
			w.srv.events.remove(watcher)
			w.srv.callers.remove(c.caller)
			file.Close()
			w.srv.connClosed()
		}()
		conn, err := net.FileConn(file) // has a socket of its own for the same connection
		if err != nil {
			return
		}
		defer conn.Close()
		if w.srv.callers.add(c.caller, func() { conn.Close() }) {
			w.srv.serveWatcher(conn, c.caller, watcher)
		}
		w.srv.events.connClose(c.caller, c.reason())
	})
}

// endAll closes all, those that nobody has begun to serve too.
func (w *worker) endAll() {
	for _, c := range w.conns {
		if c != nil {
			w.end(c)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.inbox {
		w.release(k)
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
		if c != nil && w.now-c.caller.lastRead.Load() > limit {
			w.stats.idleKicks.Add(1)
			c.idled = true
			w.end(c)
		}
	}
}
