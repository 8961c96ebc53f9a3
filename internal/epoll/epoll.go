// Package epoll lets a goroutine serve many sockets by itself: it waits for all of them at once and uses them by system
// calls that never block, so that Go's scheduler has no part in a request. That is worth it where an answer costs less
// than a switch between goroutines. Linux only.
package epoll

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Events are what a socket is registered for by default: each is told once when it becomes true, so that the kernel need
// not look again at a socket that has been dealt with, and nothing has to be registered anew.
const Events = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// Ended are the events of a socket whose other end sends no more.
const Ended = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR

// Poll is a set of sockets to wait for, and a bell that ends a wait. One goroutine waits; Add, Remove and Ring may be
// called by any.
type Poll struct {
	set, bell int
}

// New makes an empty set.
func New() (*Poll, error) {
	set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(set)
		return nil, err
	}
	p := &Poll{set: set, bell: bell}
	if err := p.Add(bell, unix.EPOLLIN); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// Close ends the set. The sockets in it stay open.
func (p *Poll) Close() {
	unix.Close(p.bell)
	unix.Close(p.set)
}

// Add registers a socket.
func (p *Poll) Add(fd int, events uint32) error {
	return unix.EpollCtl(p.set, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// Remove takes a socket out. One that is closed goes by itself.
func (p *Poll) Remove(fd int) error { return unix.EpollCtl(p.set, unix.EPOLL_CTL_DEL, fd, nil) }

// Ring ends the present wait, or the next.
func (p *Poll) Ring() {
	var one = [8]byte{1}
	_, _ = unix.Write(p.bell, one[:])
}

// Rang tells whether an event is the bell's, and makes it ready to ring again.
func (p *Poll) Rang(ev *unix.EpollEvent) bool {
	if int(ev.Fd) != p.bell {
		return false
	}
	var count [8]byte
	_, _ = unix.Read(p.bell, count[:])
	return true
}

// Wait returns events, none after millis. It looks twice without blocking before it goes to sleep, and with hurry only
// looks. Between the looks the thread lets others run: clients on the same machine ask for more meanwhile, and neither
// they nor the waiting one pay for a sleep and a wake-up.
func (p *Poll) Wait(events []unix.EpollEvent, millis int, hurry bool) (int, error) {
	for look := range 2 {
		if look > 0 {
			YieldThread()
		}
		n, err := PollNow(p.set, events)
		if n > 0 || err != nil || hurry {
			return n, err
		}
	}
	for {
		n, err := unix.EpollWait(p.set, events, millis)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
