package sockets

import (
	"io"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pagegate/internal/uring"
)

// uringSet is a Set over io_uring. What is asked for in a round is handed over by the wait that ends it.
type uringSet struct {
	pacing
	ring    *uring.Ring
	bell    bell
	rung    [8]byte
	sockets table
	vectors []unix.Iovec // of the round's sends
	sends   []*Socket    // sockets that something is sent to since the last wait, in order
	sent    []*Socket    // the same before that wait: those that are to be told of
	at      int          // the next of them
	lent    []byte       // the bytes of the last event, to be given back
	err     error        // why a request could not be made
}

// What a request is for; it is told by the lowest byte of a completion's number, with the descriptor above.
const (
	forReceive = iota
	forReceiveInto
	forSend
	forSendSome
	forRoom
	forListen
	forBell
	forNothing
)

func user(fd, what int) uint64 { return uint64(fd)<<8 | uint64(what) }

func newUring() (*uringSet, error) {
	ring, err := uring.New()
	if err != nil {
		return nil, err
	}
	u := &uringSet{ring: ring}
	if u.bell, err = newBell(); err != nil {
		ring.Close()
		return nil, err
	}
	return u, nil
}

func (u *uringSet) Close() {
	u.ring.Close()
	u.bell.close()
}

func (u *uringSet) Begin() error {
	if err := u.ring.Begin(); err != nil {
		return err
	}
	return u.awaitBell()
}

func (u *uringSet) Ring() { u.bell.ring() }

func (u *uringSet) awaitBell() error {
	return u.ring.Read(int(u.bell), u.rung[:], user(int(u.bell), forBell))
}

func (u *uringSet) Add(s *Socket) error {
	s.state = state{}
	u.sockets.put(s)
	return nil
}

func (u *uringSet) Listen(s *Socket) error {
	s.state = state{listening: true}
	u.sockets.put(s)
	return u.awaitCaller(s)
}

func (u *uringSet) awaitCaller(s *Socket) error {
	return u.ring.Poll(s.FD, unix.POLLIN, user(s.FD, forListen))
}

// Remove takes back what waits for callers at once: it would keep the listening socket open.
func (u *uringSet) Remove(s *Socket) {
	u.sockets.drop(s)
	if s.listening {
		u.note(u.ring.Cancel(user(s.FD, forListen), user(s.FD, forNothing)))
		u.note(u.ring.Enter())
	}
}

// End breaks the connection off in both directions, which ends all that waits for it.
func (u *uringSet) End(s *Socket) bool {
	if s.pending == 0 {
		u.sockets.drop(s)
		return true
	}
	s.ending = true
	_ = unix.Shutdown(s.FD, unix.SHUT_RDWR) // fails if it is broken off already
	return false
}

// note keeps an error for the next wait, where it ends the service.
func (u *uringSet) note(err error) {
	if err != nil && u.err == nil {
		u.err = err
	}
}

func (u *uringSet) Receive(s *Socket) {
	s.pending++
	s.asked = true
	u.note(u.ring.Receive(s.FD, user(s.FD, forReceive)))
}

func (u *uringSet) ReceiveInto(s *Socket, b []byte) {
	s.pending++
	s.asked = true
	u.note(u.ring.ReceiveInto(s.FD, b, user(s.FD, forReceiveInto)))
}

// atOnce is the number of bytes up to which a socket most often takes all at once, so that the kernel need not tell of it.
const atOnce = 48 << 10

func (u *uringSet) Send(s *Socket, v []unix.Iovec) (n int, later bool, err error) {
	if len(v) > 1 {
		from := len(u.vectors)
		u.vectors = append(u.vectors, v...)
		v = u.vectors[from:]
	}
	s.pending++
	s.length = length(v)
	if s.length > atOnce {
		u.note(u.ring.SendSome(s.FD, v, user(s.FD, forSendSome)))
		return 0, true, nil
	}
	s.listed = true
	u.sends = append(u.sends, s)
	u.note(u.ring.Send(s.FD, v, user(s.FD, forSend)))
	return 0, true, nil
}

func (u *uringSet) Wait(millis int, hurry bool) error {
	u.recycle()
	if u.err == nil {
		u.err = u.await(u, time.Duration(millis)*time.Millisecond, hurry || u.ring.Ready() > 0 || u.urgent())
	}
	u.settle()
	return u.err
}

// urgent tells whether a socket's user waits for nothing but to hear that something has been sent. Elsewhere there is time for that
// until something comes.
func (u *uringSet) urgent() bool {
	return slices.ContainsFunc(u.sends, func(s *Socket) bool { return !s.asked })
}

// settle finds out which sends have not gone out whole: of the others the kernel does not tell.
func (u *uringSet) settle() {
	u.sent, u.at = u.sent[:0], 0
	if !u.ring.Handed() {
		return
	}
	u.vectors = u.vectors[:0]
	if u.sent, u.sends = u.sends, u.sent; len(u.sent) == 0 {
		return
	}
	for i := range u.ring.Ready() {
		if of := u.ring.Waiting(i); of&0xff == forSend {
			u.sockets.at(int(of >> 8)).failed = true
		}
	}
}

func (u *uringSet) look() (int, error)                    { return u.ready(u.ring.Enter()) }
func (u *uringSet) wait(bound time.Duration) (int, error) { return u.ready(u.ring.EnterFor(bound)) }

// sleep does not sleep for long on what its user could be told of: memory that was sent from.
func (u *uringSet) sleep(bound time.Duration) (int, error) {
	if len(u.sends) > 0 {
		bound = min(bound, brief)
	}
	return u.ready(u.ring.EnterAsleep(bound))
}

func (u *uringSet) ready(err error) (int, error) { return u.ring.Ready(), err }

func (u *uringSet) recycle() {
	if u.lent != nil {
		u.ring.Recycle(u.lent)
		u.lent = nil
	}
}

// Next tells of what was sent first: who has got it may be asking for more already.
func (u *uringSet) Next() (Event, bool) {
	u.recycle()
	for u.at < len(u.sent) {
		s := u.sent[u.at]
		u.at++
		failed := s.failed
		if s.listed, s.failed = false, false; failed {
			continue // the kernel tells of it
		}
		if ev, ok := u.ended(s); ok {
			return ev, true
		} else if !s.ending {
			return Event{Kind: Sent, Socket: s, N: s.length}, true
		}
	}
	for {
		c, ok := u.ring.Next()
		if !ok {
			return Event{}, false
		}
		u.lent = c.Bytes
		if ev, ok := u.tell(c); ok {
			return ev, true
		}
		u.recycle()
	}
}

// ended notes that one of a socket's requests has ended, and tells of the socket's end if it was the last one before that.
func (u *uringSet) ended(s *Socket) (Event, bool) {
	s.pending--
	if !s.ending || s.pending > 0 {
		return Event{}, false
	}
	u.sockets.drop(s)
	return Event{Kind: Ended, Socket: s}, true
}

// tell makes an event of a completion, if it is one that the set's user is to be told of.
func (u *uringSet) tell(c uring.Completion) (Event, bool) {
	fd, what := int(c.User>>8), int(c.User&0xff)
	switch what {
	case forBell:
		u.note(u.awaitBell())
		return Event{Kind: Rang}, true
	case forNothing:
		return Event{}, false
	}
	s := u.sockets.at(fd)
	if what == forListen {
		if s == nil || !s.listening || c.N < 0 {
			return Event{}, false // taken back
		}
		u.note(u.awaitCaller(s))
		return Event{Kind: Readable, Socket: s}, true
	}
	if what == forSend {
		s.failed = s.listed
	}
	if what == forSend && !s.ending && failure(c.N) == nil {
		s.gone = max(c.N, 0)
		u.note(u.ring.Poll(s.FD, unix.POLLOUT, user(s.FD, forRoom)))
		return Event{}, false
	}
	if ev, ok := u.ended(s); ok || s.ending {
		return ev, ok
	}
	switch what {
	case forSend, forSendSome:
		return Event{Kind: Sent, Socket: s, N: max(c.N, 0), Err: failure(c.N)}, true
	case forRoom:
		return Event{Kind: Sent, Socket: s, N: s.gone}, true
	}
	s.asked = false
	return u.received(s, c, what)
}

// failure is the error that a completion tells of; nil for one that is gone when one tries again.
func failure(n int) error {
	switch err := syscall.Errno(-n); {
	case n >= 0, err == unix.EAGAIN, err == unix.EINTR, err == unix.ENOBUFS:
		return nil
	default:
		return err
	}
}

func (u *uringSet) received(s *Socket, c uring.Completion, what int) (Event, bool) {
	ev := Event{Kind: Received, Socket: s, N: max(c.N, 0), Bytes: c.Bytes, Err: failure(c.N)}
	switch {
	case c.N == 0:
		ev.Err = io.EOF
	case c.N < 0 && ev.Err == nil && what == forReceive: // all buffers are in use; they come back in this round
		u.Receive(s)
		return Event{}, false
	}
	return ev, true
}
