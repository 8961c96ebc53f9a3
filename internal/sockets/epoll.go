package sockets

import (
	"errors"
	"io"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// edges are what a socket is registered for: each is told once when it becomes true, so that the kernel need
	// not look again at a socket that has been dealt with. That it takes bytes is only told to who waits for it: a unix socket
	// would tell so whenever its other end has read an answer.
	edges = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	// hangUp are the events of a socket whose other end sends no more.
	hangUp = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
)

// epollSet is a Set over epoll(7).
type epollSet struct {
	pacing
	set     int
	bell    bell
	sockets table
	buf     []byte

	// The round's events.
	told  []unix.EpollEvent
	n     int // so many are there
	at    int // the next one
	round []*Socket
	again []*Socket // to be read from in the next round, without being told of
}

func newEpoll() (*epollSet, error) {
	set, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	e := &epollSet{set: set, buf: make([]byte, ReadSize), told: make([]unix.EpollEvent, 256)}
	if e.bell, err = newBell(); err != nil {
		unix.Close(set)
		return nil, err
	}
	if err := e.control(unix.EPOLL_CTL_ADD, int(e.bell), unix.EPOLLIN); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (e *epollSet) Close() {
	e.bell.close()
	unix.Close(e.set)
}

func (e *epollSet) control(op, fd int, events uint32) error {
	return unix.EpollCtl(e.set, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

func (e *epollSet) Begin() error { return nil }
func (e *epollSet) Ring()        { e.bell.ring() }

func (e *epollSet) Add(s *Socket) error {
	s.state = state{}
	e.sockets.put(s)
	return e.control(unix.EPOLL_CTL_ADD, s.FD, edges)
}

func (e *epollSet) Listen(s *Socket) error {
	s.state = state{listening: true}
	e.sockets.put(s)
	return e.control(unix.EPOLL_CTL_ADD, s.FD, unix.EPOLLIN)
}

func (e *epollSet) Remove(s *Socket) {
	e.sockets.drop(s)
	_ = e.control(unix.EPOLL_CTL_DEL, s.FD, 0)
}

// End has nothing to wait for: the epoll forgets a socket that is closed.
func (e *epollSet) End(s *Socket) bool {
	e.sockets.drop(s)
	return true
}

func (e *epollSet) Receive(s *Socket) { e.ReceiveInto(s, nil) }

func (e *epollSet) ReceiveInto(s *Socket, b []byte) {
	s.wanted, s.into = true, b
	if s.readable && !s.queued {
		s.queued = true
		e.again = append(e.again, s)
	}
}

func (e *epollSet) Send(s *Socket, v []unix.Iovec) (n int, later bool, err error) {
	n, err = writeNow(s.FD, v)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		return 0, false, err
	}
	if n == length(v) {
		e.awaitRoom(s, false)
		return n, false, nil
	}
	s.blocked = true
	e.awaitRoom(s, true)
	return n, true, nil
}

// awaitRoom has the epoll tell when a socket takes bytes, or no longer. What is true already is told again.
func (e *epollSet) awaitRoom(s *Socket, on bool) {
	if on || s.awaits {
		events := uint32(edges)
		if s.awaits = on; on {
			events |= unix.EPOLLOUT
		}
		_ = e.control(unix.EPOLL_CTL_MOD, s.FD, events) // fails only for a socket that is not there
	}
}

func length(v []unix.Iovec) (n int) {
	for i := range v {
		n += int(v[i].Len)
	}
	return n
}

func (e *epollSet) Wait(millis int, hurry bool) error {
	clear(e.round)
	e.round, e.again = e.again, e.round[:0]
	e.n, e.at = 0, 0
	return e.await(e, time.Duration(millis)*time.Millisecond, hurry || len(e.round) > 0)
}

func (e *epollSet) look() (int, error) { return e.wait(0) }

func (e *epollSet) wait(bound time.Duration) (n int, err error) {
	e.n, err = pollFor(e.set, e.told, int(bound/time.Millisecond))
	return e.n, err
}

func (e *epollSet) sleep(bound time.Duration) (n int, err error) {
	e.n, err = unix.EpollWait(e.set, e.told, int(bound/time.Millisecond))
	if err != nil { // epoll_wait's n is -1 then
		e.n = 0
	}
	if errors.Is(err, unix.EINTR) {
		err = nil
	}
	return e.n, err
}

func (e *epollSet) Next() (Event, bool) {
	for e.at < e.n {
		told := &e.told[e.at]
		e.at++
		if int(told.Fd) == int(e.bell) {
			e.bell.silence()
			return Event{Kind: Rang}, true
		}
		if s := e.sockets.at(int(told.Fd)); s != nil {
			if ev, ok := e.tell(s, told.Events); ok {
				return ev, true
			}
		}
	}
	for len(e.round) > 0 {
		s := e.round[0]
		e.round = e.round[1:]
		if s.queued = false; e.sockets.at(s.FD) != s {
			continue // has gone meanwhile
		}
		if ev, ok := e.read(s); ok {
			return ev, true
		}
	}
	return Event{}, false
}

// tell makes of what the epoll says about a socket what its user asked to be told.
func (e *epollSet) tell(s *Socket, events uint32) (Event, bool) {
	if s.listening {
		return Event{Kind: Readable, Socket: s}, true
	}
	s.readable = s.readable || events&(unix.EPOLLIN|hangUp) != 0
	s.hungUp = s.hungUp || events&hangUp != 0
	if s.blocked && events&(unix.EPOLLOUT|hangUp) != 0 {
		s.blocked = false
		if s.wanted && s.readable && !s.queued {
			s.queued = true
			e.again = append(e.again, s)
		}
		return Event{Kind: Sent, Socket: s}, true
	}
	return e.read(s)
}

// read takes in what a socket holds, if that is asked for. A read that leaves room has emptied the socket (epoll(7)).
func (e *epollSet) read(s *Socket) (Event, bool) {
	if !s.wanted || !s.readable {
		return Event{}, false
	}
	b := s.into
	if b == nil {
		b = e.buf
	}
	n, err := readNow(s.FD, b)
	if n > 0 {
		s.readable = n == len(b) || s.hungUp
	} else if s.readable = false; errors.Is(err, unix.EAGAIN) {
		return Event{}, false
	} else if err == nil {
		err = io.EOF
	}
	ev := Event{Kind: Received, Socket: s, N: n, Err: err}
	if s.into == nil {
		ev.Bytes = b[:n]
	}
	s.wanted, s.into = false, nil
	return ev, true
}
