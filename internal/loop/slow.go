package loop

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"
)

// errParked ends the server's reading of a connection that goes back to its worker.
var errParked = errors.New("loop: the connection waits elsewhere")

// slowConn is a connection that is with the server. It sees, by what it reads and which requests are handled, when the
// client owes the next request and the server nothing, and then goes back: at once behind an answer that took no wait, else
// when the next request is not there soon, since one that took a wait is often followed by another.
type slowConn struct {
	net.Conn // the socket, by way of Go's poller
	srv      *Server
	w        *worker
	fd       int // the worker's
	peer     net.Addr
	unread   []byte // what the worker had read

	heads   int  // heads of requests in what was read last
	ends    bool // that ended where a head did
	handled int  // requests since
	plain   bool // none of them had content, or could have become another protocol
	begun   bool // something has been read
	quick   bool // the last answer took no wait: the worker's loop would have made it
	parked  bool

	handling bool        // the handler runs
	idle     atomic.Bool // the server waits for the next request
}

// serveSlowly lets the server have a connection in a goroutine of its own.
func (s *Server) serveSlowly(w *worker, c *conn) {
	s.slow.all.Go(func() {
		sc := &slowConn{srv: s, w: w, fd: c.socket.FD, peer: c.peer, unread: c.left}
		if err := sc.open(); err != nil {
			s.gone(sc.fd)
			return
		}
		s.slow.Lock()
		s.slow.conns[sc] = struct{}{}
		s.slow.Unlock()
		defer s.forgetSlow(sc)
		_ = s.o.Server.ServeConn(&patientConn{Conn: s.o.Patient(sc), sc: sc})
	})
}

func (s *Server) forgetSlow(sc *slowConn) {
	s.slow.Lock()
	delete(s.slow.conns, sc)
	none := len(s.slow.conns) == 0
	s.slow.Unlock()
	if none && s.draining.Load() {
		for _, w := range s.workers {
			w.set.Ring()
		}
	}
}

func (s *Server) anySlow() bool {
	s.slow.Lock()
	defer s.slow.Unlock()
	return len(s.slow.conns) > 0
}

// patientConn is what the server gets: the connection with its bounds for writes, and still known as ours.
type patientConn struct {
	net.Conn
	sc *slowConn
}

func (p *patientConn) slow() *slowConn { return p.sc }

// Quick says of the request that is being handled that it is answered without a wait, so that the connection had better go
// back to its worker.
func (p *patientConn) Quick() { p.sc.quick = true }

// NothingOwed tells whether the client has been sent every answer to the requests before the present one.
func (p *patientConn) NothingOwed() bool { return p.sc.ends && p.sc.heads == 1 }

// LastRead returns what the server has been given last.
func (p *patientConn) LastRead() []byte {
	if c, ok := p.Conn.(interface{ LastRead() []byte }); ok {
		return c.LastRead()
	}
	return nil
}

// open puts a copy of the socket's descriptor under Go's poller, which cannot be made to forget the worker's own without
// closing it.
func (sc *slowConn) open() error {
	fd, err := unix.FcntlInt(uintptr(sc.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err == nil {
		sc.Conn = &socket{File: os.NewFile(uintptr(fd), "connection"), peer: sc.peer}
	}
	return err
}

// Read gives the server what the client sent. Where the server can only be waiting for the next request, it ends.
func (sc *slowConn) Read(b []byte) (n int, err error) {
	if len(sc.unread) > 0 {
		n = copy(b, sc.unread)
		sc.unread = sc.unread[n:]
	} else {
		between := sc.handled > 0 && sc.plain && sc.ends && sc.handled == sc.heads
		if between && (sc.quick || sc.srv.o.Linger <= 0) {
			return 0, sc.park()
		}
		if between {
			_ = sc.Conn.SetReadDeadline(time.Now().Add(sc.srv.o.Linger))
		}
		sc.idle.Store(!sc.handling && (sc.handled > 0 || !sc.begun))
		n, err = sc.Conn.Read(b)
		sc.idle.Store(false)
		if between && n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, sc.park()
		}
	}
	sc.begun = true
	sc.heads, sc.ends = bytes.Count(b[:n], headEnd), bytes.HasSuffix(b[:n], headEnd)
	sc.handled, sc.plain = 0, true
	return n, err
}

// park has the server end with the connection, which goes back.
func (sc *slowConn) park() error {
	sc.parked = true
	return errParked
}

// begin and end bracket the handling of a request.
func (sc *slowConn) begin(ctx *fasthttp.RequestCtx) {
	sc.handled++
	sc.handling, sc.quick = true, false
	h := &ctx.Request.Header
	if h.ContentLength() > 0 || h.ContentLength() == -1 || !(ctx.IsGet() || ctx.IsHead()) || ctx.Request.MayContinue() || h.ConnectionUpgrade() {
		sc.plain = false
	}
}

func (sc *slowConn) end() { sc.handling = false }

// Close gives the socket back to the worker, or closes it.
func (sc *slowConn) Close() error {
	err := sc.Conn.Close() // the copy
	if sc.parked && !sc.srv.draining.Load() {
		sc.w.hand(sc.fd, sc.peer)
	} else {
		sc.srv.gone(sc.fd)
	}
	return err
}

// socket is a connected socket under Go's poller.
type socket struct {
	*os.File
	peer net.Addr
}

func (s *socket) LocalAddr() net.Addr  { return s.peer }
func (s *socket) RemoteAddr() net.Addr { return s.peer }
