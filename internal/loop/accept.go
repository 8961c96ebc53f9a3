package loop

import (
	"errors"

	"golang.org/x/sys/unix"

	"pagegate/internal/sockets"
)

// acceptor lets connections in and deals them to the workers in turn. It is the first worker's.
type acceptor struct {
	srv    *Server
	socket sockets.Socket
	next   int
	closed bool // is not waited for
	over   bool
}

// acceptAtOnce bounds the connections that are let in before requests have their turn again.
const acceptAtOnce = 64

func (a *acceptor) open(w *worker) error { return w.set.Listen(&a.socket) }

// accept lets in who waits.
func (a *acceptor) accept(w *worker) {
	for range acceptAtOnce {
		fd, peer, err := unix.Accept4(a.socket.FD, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case err == nil:
			a.srv.admit(fd, peer, a.srv.workers[a.next%len(a.srv.workers)])
			a.next++
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED), errors.Is(err, unix.EPROTO):
			// that one has gone
		case errors.Is(err, unix.EAGAIN):
			return
		default:
			// No descriptors or no memory: neither comes back sooner by asking. The next sweep opens again.
			w.set.Remove(&a.socket)
			a.closed = true
			return
		}
	}
}

// sweep opens again after a pause.
func (a *acceptor) sweep(w *worker) {
	if a.closed && !a.over {
		a.closed = a.open(w) != nil
	}
}

// end lets nobody in any more.
func (a *acceptor) end(w *worker) {
	if !a.over {
		a.over = true
		w.set.Remove(&a.socket) // it goes by itself only with the last copy of the descriptor
		unix.Close(a.socket.FD)
	}
}
