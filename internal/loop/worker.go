package loop

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pagegate/internal/page"
	"pagegate/internal/sockets"
)

const (
	// readSize is the size in bytes of the largest head that is answered here.
	readSize = sockets.ReadSize
	// writeSize is how many bytes of answers are collected before they are sent.
	writeSize = 64 << 10
	// copyUpTo is the size in bytes up to which a body is copied behind its head rather than sent from where it lies.
	copyUpTo = 4 << 10
	// waitMillis bounds a wait, so that silent connections are looked for.
	waitMillis = 1000
)

// worker answers on its share of the connections. All but the mailbox is its goroutine's.
type worker struct {
	srv   *Server
	set   sockets.Set
	door  *acceptor // the first worker's; nil for the others
	conns map[*conn]struct{}
	out   []byte   // answers that have not been sent
	outs  [][]byte // memory for more of them
	vec   []unix.Iovec
	now   int64 // unix seconds of the last wake-up
	swept int64

	known *known
	fresh Request // one whose head is not known
	head  bytes.Reader
	br    *bufio.Reader
	peer  peerConn

	mu    sync.Mutex
	inbox []*conn // that come here for the first time, or back
}

// conn is a connection that waits for requests.
type conn struct {
	socket  sockets.Socket
	peer    net.Addr
	last    int64  // when something came or went, unix seconds
	left    []byte // what has come and was not worked off
	asked   bool   // more is asked for
	eof     bool   // nothing more comes
	leaving bool   // goes to the server when all is sent
	ended   bool

	// Answers that are being sent.
	sending bool
	head    []byte
	body    []byte
	done    page.Releaser // whose body is; may be nil
	gone    int           // bytes of both that have been sent
}

// peerConn is what a request's context knows of its connection: the other end.
type peerConn struct {
	net.Conn // nil: nobody but the worker reads or writes
	addr     net.Addr
	head     []byte // of the present request
}

// LastRead returns the present request as it came.
func (p *peerConn) LastRead() []byte { return p.head }

func (p *peerConn) RemoteAddr() net.Addr { return p.addr }
func (p *peerConn) LocalAddr() net.Addr  { return p.addr }

func newWorker(s *Server) (*worker, error) {
	set, err := sockets.New(sockets.Options{NoUring: s.o.NoUring})
	if err != nil {
		return nil, err
	}
	w := &worker{srv: s, set: set, conns: make(map[*conn]struct{}), known: newKnown()}
	w.br = bufio.NewReaderSize(&w.head, readSize)
	w.fresh.Ctx.Init2(&w.peer, nil, false)
	return w, nil
}

// close closes what the worker has used, and connections that came too late to be served.
func (w *worker) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.inbox {
		w.srv.gone(c.socket.FD)
	}
	w.inbox = nil
	w.set.Close()
}

// hand gives a connection to the worker. Any goroutine may call it.
func (w *worker) hand(fd int, peer net.Addr) {
	c := &conn{socket: sockets.Socket{FD: fd}, peer: peer}
	c.socket.Owner = c
	w.mu.Lock()
	w.inbox = append(w.inbox, c)
	w.mu.Unlock()
	w.set.Ring()
}

// run answers until the server drains and the last connection has gone.
func (w *worker) run() error {
	if err := w.set.Begin(); err != nil {
		return err
	}
	for {
		if err := w.set.Wait(waitMillis, false); err != nil {
			return err
		}
		w.now = w.set.Now().Unix()
		for ev, ok := w.set.Next(); ok; ev, ok = w.set.Next() {
			w.take(&ev)
		}
		w.sweep()
		if w.srv.draining.Load() {
			if w.door != nil {
				w.door.end(w)
			}
			if w.over() {
				return nil
			}
		}
	}
}

// take does what an event allows.
func (w *worker) take(ev *sockets.Event) {
	switch ev.Kind {
	case sockets.Rang:
		w.takeIn()
		return
	case sockets.Readable:
		w.door.accept(w)
		return
	}
	c := ev.Socket.Owner.(*conn)
	stays := true
	switch ev.Kind {
	case sockets.Received:
		stays = w.received(c, ev)
	case sockets.Sent:
		stays = w.sent(c, ev)
	case sockets.Ended:
		w.finish(c)
	}
	if !stays {
		w.end(c)
	}
}

// over ends what is silent, and tells whether nothing is left that could come back.
func (w *worker) over() bool {
	for c := range w.conns {
		if !c.sending {
			w.end(c)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.conns) == 0 && len(w.inbox) == 0 && !w.srv.anySlow()
}

// takeIn begins to serve the connections in the mailbox.
func (w *worker) takeIn() {
	w.mu.Lock()
	inbox := w.inbox
	w.inbox = nil
	w.mu.Unlock()
	for _, c := range inbox {
		if err := w.set.Add(&c.socket); err != nil {
			w.srv.gone(c.socket.FD)
			continue
		}
		c.last = w.now
		w.conns[c] = struct{}{}
		w.listen(c)
	}
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
	w.release(c)
	delete(w.conns, c)
	w.srv.gone(c.socket.FD)
}

// sweep ends the connections that have been silent for too long, or have taken nothing of their answer.
func (w *worker) sweep() {
	if w.now == w.swept {
		return
	}
	w.swept = w.now
	if w.door != nil {
		w.door.sweep(w)
	}
	idle := int64(w.srv.o.IdleTimeout / time.Second)
	for c := range w.conns {
		if w.now-c.last > idle || c.sending && w.now-c.last > writeIdle {
			w.end(c)
		}
	}
}

// writeIdle is how many seconds a client may take nothing of an answer.
const writeIdle = 30

// listen asks for what the client sends next, once.
func (w *worker) listen(c *conn) {
	if !c.asked {
		c.asked = true
		w.set.Receive(&c.socket)
	}
}

// received takes in what has come, and tells whether the connection stays. What comes while an answer is being sent waits.
func (w *worker) received(c *conn, ev *sockets.Event) bool {
	c.asked = false
	if ev.Err != nil {
		c.eof = true
		return c.sending && errors.Is(ev.Err, io.EOF)
	}
	c.last = w.now
	if c.sending {
		c.left = append(c.left, ev.Bytes...)
		return true
	}
	return w.answer(c, ev.Bytes)
}

// answer works off what came, and tells whether the connection stays. The first request that takes more than a look goes,
// with all behind it, to the server.
func (w *worker) answer(c *conn, in []byte) bool {
	for len(in) > 0 {
		r, end := w.request(c, in)
		if r == nil {
			return w.leave(c, in)
		}
		ok, sent := w.reply(c, r)
		if !sent {
			return false
		}
		if !ok {
			return w.leave(c, in)
		}
		if in = in[end:]; c.sending && len(in) > 0 {
			c.left = append(c.left[:0], in...)
			return true
		}
	}
	if !w.flush(c, nil, nil) {
		return false
	}
	w.listen(c)
	return true
}

var headEnd = []byte("\r\n\r\n")

// request returns the first request of what came, and where its head ends; nil for one that is not to be answered here.
func (w *worker) request(c *conn, in []byte) (r *Request, end int) {
	if w.srv.draining.Load() {
		return nil, 0
	}
	w.peer.addr, w.peer.head = c.peer, in
	r, hash := w.known.find(in) // most often one head has come and no more
	if r != nil {
		return r, len(in)
	}
	end = bytes.Index(in, headEnd) + len(headEnd)
	if end < len(headEnd) {
		return nil, 0
	}
	head := in[:end]
	w.peer.head = head
	if end < len(in) {
		if r, hash = w.known.find(head); r != nil {
			return r, end
		}
	}
	place := w.known.place(head, hash)
	if r = &w.fresh; place != nil {
		r = &place.Request
		r.Ctx.Init2(&w.peer, nil, false)
	}
	if !w.parse(r, head) {
		return nil, 0
	}
	if place != nil {
		place.keep(head, hash)
	}
	return r, end
}

// parse reads a head, and tells whether the request may be answered here.
func (w *worker) parse(r *Request, head []byte) bool {
	w.head.Reset(head)
	w.br.Reset(&w.head)
	r.Ctx.Request.Reset()
	h := &r.Ctx.Request.Header
	return h.Read(w.br) == nil && w.br.Buffered() == 0 && h.IsHTTP11() && !h.ConnectionClose() && !r.Ctx.Request.MayContinue()
}

// reply answers a request if that takes no wait. sent is false when the connection has broken.
func (w *worker) reply(c *conn, r *Request) (ok, sent bool) {
	head, body, done, ok := w.srv.o.Fast(r, w.set.Now(), w.out)
	if !ok {
		return false, true
	}
	w.out, sent = head, true
	if len(body) > copyUpTo {
		return true, w.flush(c, body, done)
	}
	w.out = append(w.out, body...)
	if done != nil {
		done.Release()
	}
	if len(w.out) >= writeSize {
		sent = w.flush(c, nil, nil)
	}
	return true, sent
}

// flush sends the answers that were collected, and body behind them, which is done's. It is false when the connection has
// broken.
func (w *worker) flush(c *conn, body []byte, done page.Releaser) bool {
	if len(w.out) == 0 && len(body) == 0 {
		return true
	}
	c.head, c.body, c.done, c.gone = w.out, body, done, 0
	w.out = nil
	if n := len(w.outs); n > 0 {
		w.out, w.outs = w.outs[n-1], w.outs[:n-1]
	}
	c.sending = true
	return w.push(c)
}

// push sends on. It is false when the connection has broken.
func (w *worker) push(c *conn) bool {
	w.vec = w.vec[:0]
	skip := c.gone
	for _, b := range [][]byte{c.head, c.body} {
		if skip < len(b) {
			w.vec = append(w.vec, iovec(b[skip:]))
		}
		skip = max(0, skip-len(b))
	}
	n, later, err := w.set.Send(&c.socket, w.vec)
	if err != nil {
		return false
	}
	c.last = w.now
	c.gone += n
	if !later {
		w.release(c)
	}
	return true
}

func iovec(b []byte) unix.Iovec {
	v := unix.Iovec{Base: &b[0]}
	v.SetLen(len(b))
	return v
}

// sent goes on where the socket has taken something, and tells whether the connection stays.
func (w *worker) sent(c *conn, ev *sockets.Event) bool {
	if ev.Err != nil {
		return false
	}
	c.last = w.now
	if c.gone += ev.N; c.gone < len(c.head)+len(c.body) {
		if !w.push(c) {
			return false
		}
	} else {
		w.release(c)
	}
	switch {
	case c.sending:
	case c.leaving:
		w.leaveNow(c)
	case len(c.left) > 0:
		in := c.left
		c.left = nil
		return w.answer(c, in)
	case c.eof:
		return false
	default:
		w.listen(c)
	}
	return true
}

// keptOuts bounds the memory that is kept for answers, in pieces.
const keptOuts = 64

// release gives back what a send has used.
func (w *worker) release(c *conn) {
	if c.done != nil {
		c.done.Release()
	}
	if c.head != nil && cap(c.head) <= 2*writeSize && len(w.outs) < keptOuts {
		w.outs = append(w.outs, c.head[:0])
	}
	c.sending, c.head, c.body, c.done = false, nil, nil, nil
}

// leave hands a connection to the server, with what came of it and was not answered, when its answers have gone out.
func (w *worker) leave(c *conn, in []byte) bool {
	c.left, c.leaving = bytes.Clone(in), true
	if !w.flush(c, nil, nil) {
		return false
	}
	if !c.sending {
		w.leaveNow(c)
	}
	return true
}

func (w *worker) leaveNow(c *conn) {
	delete(w.conns, c)
	c.ended = true
	w.set.Remove(&c.socket)
	w.srv.serveSlowly(w, c)
	w.set.Lend()
}
