package server

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"pagegate/internal/sockets"
)

// wholeFrom is the number of bytes of a value still to come from which on they are read straight into the store's memory.
const wholeFrom = 16 << 10

// waitMillis bounds a wait in milliseconds, so that idle connections are looked for.
const waitMillis = 1000

// endTime bounds how long a worker that stops waits for the kernel to let go of its connections' memory.
const endTime = 5 * time.Second

// worker serves its share of the connections. Everything in it but the mailbox belongs to its goroutine.
type worker struct {
	srv      *Server
	set      sockets.Set
	conns    []*conn // by the number of the socket
	buf      []byte
	vec      []unix.Iovec
	stats    counters
	now      int64   // of the last wake-up, unix seconds
	ready    []*conn // have yielded, with bytes left to work off
	spare    []*conn // the memory of the list before
	lastKick int64

	mu      sync.Mutex
	inbox   []*caller // connections that were accepted for this worker
	fetched []*conn   // connections whose values have been read from disk
	stop    atomic.Bool

	fetching sync.WaitGroup // connections that wait for values from disk, those that have ended meanwhile too
}

// conn is one connection.
type conn struct {
	session
	socket  sockets.Socket
	left    []byte // what has come and was not used yet
	asked   bool   // more is asked for
	into    bool   // and goes into the store's memory
	last    bool   // nothing more comes
	writing bool   // waits until the client has read
	waiting bool   // has its turn later: it is among the worker's ready ones
	ended   bool

	fetching bool // waits until values have been read from disk; the session is nobody's so long
}

func newWorker(srv *Server) (*worker, error) {
	set, err := sockets.New(sockets.Options{NoUring: srv.cfg.NoUring})
	if err != nil {
		return nil, err
	}
	return &worker{srv: srv, set: set}, nil
}

func (w *worker) close() { w.set.Close() }

// hand gives an accepted connection to the worker. Any goroutine may call it.
func (w *worker) hand(k *caller) {
	w.mu.Lock()
	w.inbox = append(w.inbox, k)
	w.mu.Unlock()
	w.signal()
}

// signal ends the worker's wait.
func (w *worker) signal() { w.set.Ring() }

// run serves until the worker is told to stop.
func (w *worker) run() {
	defer w.endAll()
	if w.set.Begin() != nil {
		return
	}
	for !w.stop.Load() {
		if err := w.set.Wait(waitMillis, len(w.ready) > 0); err != nil {
			return
		}
		w.now = w.srv.clock()
		for ev, ok := w.set.Next(); ok; ev, ok = w.set.Next() {
			w.take(&ev)
		}
		w.turns()
		w.kickIdle()
	}
}

// take does what an event allows.
func (w *worker) take(ev *sockets.Event) {
	if ev.Kind == sockets.Rang {
		w.takeIn()
		return
	}
	c := ev.Socket.Owner.(*conn)
	goesOn := true
	switch ev.Kind {
	case sockets.Received:
		goesOn = w.received(c, ev)
	case sockets.Sent:
		w.stats.bytesWritten.Add(uint64(ev.N))
		c.out.wrote(ev.N)
		goesOn = ev.Err == nil && w.resume(c)
	case sockets.Ended:
		w.finish(c)
	}
	if !goesOn {
		w.end(c)
	}
}

// takeIn begins to serve the sockets that were handed over.
func (w *worker) takeIn() {
	w.mu.Lock()
	inbox, fetched := w.inbox, w.fetched
	w.inbox, w.fetched = nil, nil
	w.mu.Unlock()
	for _, c := range fetched {
		if w.endFetch(c) && !w.goOnFetched(c) {
			w.end(c)
		}
	}
	for _, k := range inbox {
		c := &conn{socket: sockets.Socket{FD: k.id}}
		c.socket.Owner = c
		c.srv, c.stats, c.id, c.caller = w.srv, &w.stats, k.id, k
		if err := w.set.Add(&c.socket); err != nil {
			w.release(k)
			continue
		}
		if more := k.id + 1 - len(w.conns); more > 0 {
			w.conns = append(w.conns, make([]*conn, more)...)
		}
		w.conns[k.id] = c
		w.srv.events.connNew(k)
		w.listen(c)
	}
}

// listen asks for what the client sends next, once.
func (w *worker) listen(c *conn) {
	if c.asked || c.last {
		return
	}
	c.asked = true
	if c.into = c.reading && len(c.left) == 0 && c.pending.Remaining() > wholeFrom; c.into {
		w.set.ReceiveInto(&c.socket, c.pending.Next())
		return
	}
	w.set.Receive(&c.socket)
}

// received takes in what has come, and tells whether the connection goes on.
func (w *worker) received(c *conn, ev *sockets.Event) bool {
	c.asked = false
	if ev.Err != nil {
		// What was asked before the end is still answered.
		c.last = true
		return errors.Is(ev.Err, io.EOF) && c.elsewhere()
	}
	if c.caller.lastRead.Load() != w.now { // a load is cheap, a store is not
		c.caller.lastRead.Store(w.now)
	}
	w.stats.bytesRead.Add(uint64(ev.N))
	b := ev.Bytes
	switch {
	case c.into:
		if c.pending.Advance(ev.N); c.pending.Remaining() > 0 {
			w.listen(c)
			return true
		}
	case c.elsewhere():
		c.left = append(c.left, b...)
		return true
	case len(c.left) > 0:
		w.buf = append(append(w.buf[:0], c.left...), b...)
		b = w.buf
	}
	c.budget = w.srv.cfg.MaxRequests
	return w.work(c, b)
}

// elsewhere tells whether what comes from a connection has to wait for something else.
func (c *conn) elsewhere() bool { return c.writing || c.waiting || c.fetching }

// enqueue lets others have their turn before what a connection has sent is worked off.
func (w *worker) enqueue(c *conn) {
	if !c.waiting {
		c.waiting = true
		w.ready = append(w.ready, c)
	}
}

// work lets the session use what was read, and writes what it answers, in turns.
func (w *worker) work(c *conn, b []byte) bool {
	for more, ok := true, true; more; {
		b = b[c.feed(b):]
		if len(c.out.awaited) > 0 && !c.tryLoads() {
			w.fetch(c, b)
			return true
		}
		if more, ok = w.answer(c, b); !ok {
			return false
		}
	}
	return true
}

// answer sends what is owed, and keeps what was read and not used yet, b, for later. more tells that there is something to work off
// at once, ok that the connection goes on.
func (w *worker) answer(c *conn, b []byte) (more, ok bool) {
	full, turn := c.out.full(), c.budget <= 0 && (len(b) > 0 || c.busy())
	if turn { // whether or not what it has been answered has to go out first
		w.stats.connYields.Add(1)
	}
	done, err := w.flush(c)
	switch {
	case err != nil:
		return false, false
	case !done:
		c.left = append(c.left[:0], b...)
		c.writing = true
		if len(b) == 0 && c.atRest() { // nothing is asked for while there is something to work off
			w.listen(c)
		}
		c.noteState()
		return false, true
	case c.closing:
		return false, false
	case c.watch != nil:
		w.handOver(c)
		return false, true
	case turn:
		c.left = append(c.left[:0], b...)
		w.enqueue(c)
		return false, true
	case full, c.busy():
		return true, true
	case c.last:
		return false, false
	}
	if c.left = append(c.left[:0], b...); len(c.left) == 0 {
		c.left = nil
	}
	w.listen(c)
	c.noteState()
	return false, true
}

// atRest tells whether the conversation is between two requests.
func (c *conn) atRest() bool { return !c.closing && c.watch == nil && !c.reading && !c.busy() }

// noteState lets others see what the connection waits for.
func (c *conn) noteState() {
	switch {
	case c.fetching:
		c.caller.setState(&stateDisk)
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

// turns goes on with the connections that wait for their turn.
func (w *worker) turns() {
	ready := w.ready
	w.ready = w.spare[:0]
	w.spare = ready
	for _, c := range ready {
		c.waiting = false
		if !c.ended && !w.goOn(c) {
			w.end(c)
		}
	}
}

// goOn works off what has come already.
func (w *worker) goOn(c *conn) bool {
	c.budget = w.srv.cfg.MaxRequests
	w.buf = append(w.buf[:0], c.left...)
	return w.work(c, w.buf)
}

// resume goes on where the client had to read first.
func (w *worker) resume(c *conn) bool {
	done, err := w.flush(c)
	if err != nil || !done {
		return err == nil
	}
	c.writing = false
	switch {
	case c.closing:
		return false
	case c.watch != nil:
		w.handOver(c)
		return true
	case c.last || len(c.left) > 0 || c.busy():
		return w.goOn(c)
	}
	c.left = nil
	w.listen(c)
	c.noteState()
	return true
}

// flush sends what is owed, and tells whether all has gone out.
func (w *worker) flush(c *conn) (done bool, err error) {
	for !c.out.empty() {
		w.vec = c.out.vectors(w.vec[:0])
		n, later, err := w.set.Send(&c.socket, w.vec)
		if err != nil {
			return false, err
		}
		w.stats.bytesWritten.Add(uint64(n))
		c.out.wrote(n)
		if later {
			return false, nil
		}
	}
	return true, nil
}

// end breaks a connection off.
func (w *worker) end(c *conn) {
	if c.ended {
		return
	}
	c.ended = true
	if w.set.End(&c.socket) {
		w.finish(c)
	}
}

// finish closes a connection that nothing is under way for.
func (w *worker) finish(c *conn) {
	w.conns[c.socket.FD] = nil
	if !c.fetching { // else endFetch does it
		c.session.end()
	}
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
	w.conns[c.socket.FD] = nil
	watcher := c.watch
	c.watch, c.ended = nil, true
	c.session.end()
	w.set.Remove(&c.socket)
	w.set.Lend()
	w.srv.watching.Go(func() {
		file := os.NewFile(uintptr(c.socket.FD), "watcher") // the socket is its own from here on
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
	w.letGo()
	w.fetching.Wait()
	for _, c := range w.fetched {
		w.endFetch(c)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.inbox {
		w.release(k)
	}
	w.inbox = nil
}

// letGo waits until the kernel has let go of the memory of connections that were broken off, which it does at once.
func (w *worker) letGo() {
	end := time.Now().Add(endTime)
	for slices.ContainsFunc(w.conns, func(c *conn) bool { return c != nil }) && time.Now().Before(end) {
		if w.set.Wait(waitMillis, false) != nil {
			return
		}
		for ev, ok := w.set.Next(); ok; ev, ok = w.set.Next() {
			if ev.Kind == sockets.Ended {
				w.finish(ev.Socket.Owner.(*conn))
			}
		}
	}
}

// kickIdle closes connections that have been silent for the idle timeout.
func (w *worker) kickIdle() {
	limit := w.srv.cfg.IdleTimeout
	if limit == 0 || w.now == w.lastKick {
		return
	}
	w.lastKick = w.now
	for _, c := range w.conns {
		if c != nil && !c.ended && w.now-c.caller.lastRead.Load() > limit {
			w.stats.idleKicks.Add(1)
			c.idled = true
			w.end(c)
		}
	}
}
