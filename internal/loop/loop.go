// Package loop serves HTTP connections from a few goroutines of its own, each with a set of sockets (package sockets): whatever can be answered
// without a wait is answered there, from the bytes that came to the bytes that go, without Go's scheduler in between. Any
// other request takes its connection along to a goroutine and fasthttp's server, and comes back with it once that is done.
//
// The parser is fasthttp's in both places. A request that is only half there, that has content, that wants its connection
// closed, or that is odd in any way is never looked at twice here: it goes to the server.
package loop

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"

	"pagegate/internal/page"
	"pagegate/internal/sockets"
)

// Fast answers a request if that takes no wait, and otherwise does nothing; now is when the request was found. It returns
// dst with the answer's head behind it, and the body to be sent after it, which stays as it is until done is released, at a time
// when r may be answering somebody else already. With done nil it stays for good.
type Fast func(r *Request, now time.Time, dst []byte) (head, body []byte, done page.Releaser, ok bool)

// Options say how connections are served.
type Options struct {
	Fast Fast
	// Server answers what Fast does not. Its handler is wrapped; it must not listen by itself.
	Server *fasthttp.Server
	// Patient bounds each write to a slow client, as the listener's own connections do (internal/listen).
	Patient func(net.Conn) net.Conn
	// IdleTimeout is how long a connection may be silent between two requests.
	IdleTimeout time.Duration
	// Linger is how long a connection stays with the server behind an answer that took a wait, for the next one; the way to
	// the server and back costs more than many an answer. A handler says that one took none by its connection's Quick.
	Linger time.Duration
	// MaxConns bounds the connections; a further one is told so and closed. 0 for no bound.
	MaxConns int
	// NoUring has the workers wait by epoll where io_uring could be had.
	NoUring bool
	// Workers is how many goroutines answer; default one for each processor.
	Workers int
}

// Server is a loop. Serve and Shutdown are called once each.
type Server struct {
	o        Options
	workers  []*worker
	conns    atomic.Int64 // open ones
	draining atomic.Bool
	ended    chan struct{} // closed when all workers have ended
	listener atomic.Pointer[Listener]

	slow struct {
		sync.Mutex
		conns map[*slowConn]struct{}
		all   sync.WaitGroup
	}
}

// Listener is what a loop can serve: a listener with a socket.
type Listener interface {
	net.Listener
	SyscallConn() (syscall.RawConn, error)
}

// New makes a loop.
func New(o Options) (*Server, error) {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	s := &Server{o: o, ended: make(chan struct{})}
	s.slow.conns = make(map[*slowConn]struct{})
	inner := o.Server.Handler
	o.Server.Handler = func(ctx *fasthttp.RequestCtx) { s.handle(ctx, inner) }
	for range o.Workers {
		w, err := newWorker(s)
		if err != nil {
			for _, w := range s.workers {
				w.set.Close()
			}
			return nil, err
		}
		s.workers = append(s.workers, w)
	}
	return s, nil
}

// Serve serves the connections of a listener until Shutdown is called, whereupon it returns nil.
func (s *Server) Serve(l Listener) error {
	fd, err := descriptor(l)
	if err != nil {
		return err
	}
	s.listener.Store(&l)
	first := s.workers[0]
	first.door = &acceptor{srv: s, socket: sockets.Socket{FD: fd}}
	if err := first.door.open(first); err != nil {
		return err
	}
	var running sync.WaitGroup
	errs := make([]error, len(s.workers))
	for i, w := range s.workers {
		running.Go(func() {
			if errs[i] = w.run(); errs[i] != nil {
				s.drain() // the others are not to go on by themselves
			}
		})
	}
	running.Wait()
	close(s.ended)
	return errors.Join(errs...)
}

// descriptor copies a listener's descriptor: the listener may be closed while it is in use.
func descriptor(l Listener) (fd int, err error) {
	socket, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	var inner error
	err = socket.Control(func(of uintptr) { fd, inner = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	if err == nil {
		err = inner
	}
	return fd, err
}

const tooMany = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 46\r\nConnection: close\r\n\r\n503 Service Unavailable\nToo many connections.\n"

// admit gives a connection to a worker.
func (s *Server) admit(fd int, peer unix.Sockaddr, w *worker) {
	if n := s.conns.Add(1); s.o.MaxConns > 0 && n > int64(s.o.MaxConns) {
		_, _ = unix.Write(fd, []byte(tooMany))
		s.gone(fd)
		return
	}
	if _, isUnix := peer.(*unix.SockaddrUnix); !isUnix {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	}
	w.hand(fd, address(peer))
}

// gone closes a connection's socket.
func (s *Server) gone(fd int) {
	unix.Close(fd)
	s.conns.Add(-1)
}

// handle answers a request of a connection that is with the server.
func (s *Server) handle(ctx *fasthttp.RequestCtx, inner fasthttp.RequestHandler) {
	c, ok := ctx.Conn().(interface{ slow() *slowConn })
	if !ok {
		inner(ctx)
		return
	}
	c.slow().begin(ctx)
	inner(ctx)
	if s.draining.Load() {
		ctx.SetConnectionClose()
	}
	c.slow().end()
}

// ShutdownWithContext closes the listener, lets requests under way end, up to ctx's end, and closes every connection. Its
// error is ctx's, if some had not ended.
func (s *Server) ShutdownWithContext(ctx context.Context) error {
	if l := s.listener.Load(); l != nil {
		(*l).Close()
	}
	s.drain()
	done := make(chan struct{})
	go func() {
		s.slow.all.Wait()
		<-s.ended
		close(done)
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		s.endIdleSlow()
		select {
		case <-done:
			for _, w := range s.workers {
				w.close()
			}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// drain has the workers end when their last connection has gone.
func (s *Server) drain() {
	s.draining.Store(true)
	for _, w := range s.workers {
		w.set.Ring()
	}
}

// endIdleSlow ends the waits of connections that are with the server and between two requests.
func (s *Server) endIdleSlow() {
	s.slow.Lock()
	defer s.slow.Unlock()
	for c := range s.slow.conns {
		if c.idle.Load() {
			_ = c.SetReadDeadline(time.Now())
		}
	}
}

// address is a peer's as package net has it.
func address(peer unix.Sockaddr) net.Addr {
	switch a := peer.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port}
	case *unix.SockaddrInet6:
		return &net.TCPAddr{IP: a.Addr[:], Port: a.Port}
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Name: a.Name, Net: "unix"}
	}
	return &net.UnixAddr{Net: "unix"}
}
