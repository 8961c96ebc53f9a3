// Package epoll lets a goroutine serve many sockets by itself: it waits for all of them at once and uses them by system
// calls that never block, so that Go's scheduler has no part in a request. That is worth it where an answer costs less
// than a switch between goroutines. Linux only.
package epoll

import (
	"errors"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Events are what a socket is registered for by default: each is told once when it becomes true, so that the kernel need
// not look again at a socket that has been dealt with. That it takes bytes is only told to who waits for it: a unix socket
// would tell so whenever its other end has read an answer.
const Events = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET

// Ended are the events of a socket whose other end sends no more.
const Ended = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR

// Poll is a set of sockets to wait for, and a bell that ends a wait. One goroutine waits; Add, Remove and Ring may be
// called by any.
type Poll struct {
	set, bell int

	// The waiting goroutine's.
	now       time.Time // of the last wait's end
	scheduled time.Time // when it last went through the scheduler
	busy      int       // there is much to do, for so many waits more
	lend      bool      // it has started goroutines since the last wait
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

// AwaitRoom lets a socket that is registered for Events tell, besides, when it takes bytes; with on false no longer. What is
// true already is told again.
func (p *Poll) AwaitRoom(fd int, on bool) {
	e := unix.EpollEvent{Events: Events, Fd: int32(fd)}
	if on {
		e.Events |= unix.EPOLLOUT
	}
	_ = unix.EpollCtl(p.set, unix.EPOLL_CTL_MOD, fd, &e) // fails only for a socket that is not there
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

const (
	// briefMillis is how long a wait keeps the place that Go's scheduler has given the goroutine. A wait that the
	// scheduler is told of costs little by itself; but it keeps the runtime's monitor awake, which then looks every 20 us
	// whether the place could be taken away, and that costs as much as a request.
	briefMillis = 5
	// schedule is how long a goroutine goes without the scheduler. The monitor takes one that has kept its place for 10 ms for
	// one that hangs, and sends its thread a signal.
	schedule = 8 * time.Millisecond
	// stayBusy is after how many waits with one event at most there is no longer much to do.
	stayBusy = 16
)

// Wait returns events, none after millis; with hurry it only looks for them. Where there was much to do a moment ago it
// lets other threads run before it goes to sleep: clients on the same machine ask for more meanwhile, and neither they nor
// the waiting one pay for a sleep and a wake-up.
func (p *Poll) Wait(events []unix.EpollEvent, millis int, hurry bool) (n int, err error) {
	if p.now.Sub(p.scheduled) >= schedule {
		runtime.Gosched()
		p.scheduled = p.now
	}
	n, err = p.wait(events, millis, hurry)
	p.now = time.Now()
	if n > 1 {
		p.busy = stayBusy
	} else if p.busy > 0 {
		p.busy--
	}
	return n, err
}

// Lend lets goroutines that the waiting one has just started run in its place while it waits, if they find no other.
func (p *Poll) Lend() { p.lend = true }

// Now is when the last wait ended.
func (p *Poll) Now() time.Time { return p.now }

func (p *Poll) wait(events []unix.EpollEvent, millis int, hurry bool) (int, error) {
	if p.busy > 0 || hurry {
		if n, err := PollFor(p.set, events, 0); n > 0 || err != nil || hurry {
			return n, err
		}
		YieldThread()
	}
	if !p.lend {
		if n, err := PollFor(p.set, events, min(briefMillis, millis)); n > 0 || err != nil {
			return n, err
		}
	}
	p.lend = false
	for {
		n, err := unix.EpollWait(p.set, events, millis)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
