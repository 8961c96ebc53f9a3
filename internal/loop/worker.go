package loop

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pagegate/internal/epoll"
)

const (
	// readSize is the size in bytes of a worker's read buffer, and so of the largest head that is answered here.
	readSize = 32 << 10
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
	poll  *epoll.Poll
	door  *acceptor // the first worker's; nil for the others
	conns map[int32]*conn
	in    []byte
	out   []byte // answers that have not been sent
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
	fd   int
	peer net.Addr
	last int64  // when something came or went, unix seconds
	rest []byte // of an answer, that the client has not taken yet
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
	poll, err := epoll.New()
	if err != nil {
		return nil, err
	}
	w := &worker{srv: s, poll: poll, conns: make(map[int32]*conn), in: make([]byte, readSize), known: newKnown()}
	w.br = bufio.NewReaderSize(&w.head, readSize)
	w.fresh.Ctx.Init2(&w.peer, nil, false)
	return w, nil
}

// close closes what the worker has used, and connections that came too late to be served.
func (w *worker) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.inbox {
		w.srv.gone(c.fd)
	}
	w.inbox = nil
	w.poll.Close()
}

// hand gives a connection to the worker. Any goroutine may call it.
func (w *worker) hand(c *conn) {
	w.mu.Lock()
	w.inbox = append(w.inbox, c)
	w.mu.Unlock()
	w.poll.Ring()
}

// run answers until the server drains and the last connection has gone.
func (w *worker) run() {
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := w.poll.Wait(events, waitMillis, false)
		if err != nil {
			return // the set is gone
		}
		w.now = w.poll.Now().Unix()
		for i := range events[:n] {
			ev := &events[i]
			if w.poll.Rang(ev) {
				w.takeIn()
			} else if w.door != nil && int(ev.Fd) == w.door.fd {
				w.door.accept(w)
			} else if c := w.conns[ev.Fd]; c != nil && !w.serve(c, ev.Events) {
				w.end(c)
			}
		}
		w.sweep()
		if w.srv.draining.Load() {
			if w.door != nil {
				w.door.end(w)
			}
			if w.over() {
				return
			}
		}
	}
}

// over ends what is silent, and tells whether nothing is left that could come back.
func (w *worker) over() bool {
	for _, c := range w.conns {
		if len(c.rest) == 0 {
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
		if err := w.poll.Add(c.fd, epoll.Events); err != nil {
			w.srv.gone(c.fd)
			continue
		}
		c.last = w.now
		w.conns[int32(c.fd)] = c
	}
}

// end closes a connection.
func (w *worker) end(c *conn) {
	delete(w.conns, int32(c.fd))
	w.srv.gone(c.fd)
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
	for _, c := range w.conns {
		if bound := idle; w.now-c.last > bound || len(c.rest) > 0 && w.now-c.last > writeIdle {
			w.end(c)
		}
	}
}

// writeIdle is how many seconds a client may take nothing of an answer.
const writeIdle = 30

// serve does what an event allows and tells whether the connection stays here or has gone on to the server.
func (w *worker) serve(c *conn, events uint32) bool {
	if len(c.rest) > 0 {
		if events&(unix.EPOLLOUT|epoll.Ended) != 0 && !w.goOn(c) {
			return false
		}
		if len(c.rest) > 0 {
			return true // what it asks meanwhile is read afterwards
		}
	} else if events&(unix.EPOLLIN|epoll.Ended) == 0 {
		return true // the socket takes bytes, and there are none
	}
	n, err := epoll.ReadNow(c.fd, w.in)
	switch {
	case n > 0:
		c.last = w.now
		if !w.answer(c, w.in[:n]) {
			return false
		}
		// The end that came with the last bytes is not told again. What is still owed, or with the server, ends later.
		return events&epoll.Ended == 0 || len(c.rest) > 0 || w.conns[int32(c.fd)] != c
	case errors.Is(err, unix.EAGAIN):
		return events&(unix.EPOLLHUP|unix.EPOLLERR) == 0
	}
	return false
}

// answer works off what came. The first request that takes more than a look goes, with all behind it, to the server.
func (w *worker) answer(c *conn, in []byte) bool {
	// A read that filled the buffer may have left something, of which the epoll does not tell again.
	more := len(in) == len(w.in)
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
		if in = in[end:]; len(c.rest) > 0 && (len(in) > 0 || more) {
			return w.leave(c, in)
		}
	}
	if !w.flush(c, nil) {
		return false
	}
	if more {
		return w.leave(c, nil)
	}
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
	head, body, done, ok := w.srv.o.Fast(r, w.poll.Now(), w.out)
	if !ok {
		return false, true
	}
	w.out, sent = head, true
	if len(body) <= copyUpTo {
		if w.out = append(w.out, body...); len(w.out) >= writeSize {
			sent = w.flush(c, nil)
		}
	} else {
		sent = w.flush(c, body)
	}
	if done != nil {
		done.Release()
	}
	r.Ctx.Response.ResetBody() // may be the page's, or a copy that is not worth keeping
	return true, sent
}

// flush sends the answers that were collected, and body behind them. What the client does not take becomes c.rest. It is
// false when the connection has broken.
func (w *worker) flush(c *conn, body []byte) bool {
	if len(c.rest) > 0 { // first things first
		c.rest = append(append(c.rest, w.out...), body...)
		w.out = w.out[:0]
		return true
	}
	w.vec = w.vec[:0]
	for _, b := range [][]byte{w.out, body} {
		if len(b) > 0 {
			w.vec = append(w.vec, iovec(b))
		}
	}
	if len(w.vec) == 0 {
		return true
	}
	n, err := epoll.WriteNow(c.fd, w.vec)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		w.out = w.out[:0]
		return false
	}
	c.last = w.now
	if n < len(w.out) {
		c.rest = append(append(c.rest, w.out[n:]...), body...)
	} else if n -= len(w.out); n < len(body) {
		c.rest = append(c.rest, body[n:]...)
	}
	w.out = w.out[:0]
	if len(c.rest) > 0 {
		w.poll.AwaitRoom(c.fd, true)
	}
	return true
}

func iovec(b []byte) unix.Iovec {
	v := unix.Iovec{Base: &b[0]}
	v.SetLen(len(b))
	return v
}

// goOn sends more of what a client owes to take. It is false when the connection has broken.
func (w *worker) goOn(c *conn) bool {
	for len(c.rest) > 0 {
		w.vec = append(w.vec[:0], iovec(c.rest))
		n, err := epoll.WriteNow(c.fd, w.vec)
		if errors.Is(err, unix.EAGAIN) {
			return true
		}
		if err != nil {
			return false
		}
		c.rest, c.last = c.rest[n:], w.now
	}
	c.rest = nil
	w.poll.AwaitRoom(c.fd, false)
	return true
}

// leave hands a connection to the server, with what came of it and was not answered.
func (w *worker) leave(c *conn, in []byte) bool {
	if !w.flush(c, nil) {
		return false
	}
	delete(w.conns, int32(c.fd))
	_ = w.poll.Remove(c.fd)
	w.srv.serveSlowly(w, c, bytes.Clone(in))
	w.poll.Lend()
	return true
}
