// Package sockets lets a goroutine serve many sockets by itself: it waits for all of them at once and uses them by system
// calls that never block, so that Go's scheduler has no part in a request. That is worth it where an answer costs less
// than a switch between goroutines. Linux only.
//
// A Set takes requests, to receive from a socket and to send to it, and tells of their outcomes as events. Two kinds of it
// do so: over io_uring (package uring), where all requests of a round, and the wait for the next events, are a single system
// call; and over epoll, with a call for each, where the kernel has no io_uring to give.
package sockets

import (
	"time"

	"golang.org/x/sys/unix"

	"pagegate/internal/uring"
)

// ReadSize is how many bytes of a socket's one event brings at most, where the set's user gives no memory for it.
const ReadSize = uring.BufferSize

// Set is a set of sockets to serve, and a bell that ends a wait. One goroutine calls Begin, and from then on all the rest;
// Ring may be called by any, Listen by who has made the set before it is in use, and Close when nobody uses it any more.
//
// A round is a call of Wait, and of Next until that has no more.
type Set interface {
	// Begin is called once, before anything else, by the goroutine that serves. It is not moved to another thread from then on.
	Begin() error
	// Add takes in a socket that does not block.
	Add(s *Socket) error
	// Remove lets go of a socket for which nothing is under way; it may be added again, or used otherwise.
	Remove(s *Socket)
	// Listen takes in a listening socket. A Readable event tells, again and again, that somebody may wait to be accepted.
	Listen(s *Socket) error

	// Receive asks for what comes next, once: a Received event brings it.
	Receive(s *Socket)
	// ReceiveInto is Receive into b, which is not empty and belongs to the set until the event.
	ReceiveInto(s *Socket, b []byte)
	// Send sends the vectors; there is at least one, at most IOV_MAX, and none is empty. It returns how many bytes the socket has taken
	// at once. With later a Sent event follows, up to which the memory that they point to is the set's, and the caller keeps it
	// reachable: then it is known how many more it has taken, and the rest is to be sent. v itself is the caller's again at once.
	Send(s *Socket, v []unix.Iovec) (n int, later bool, err error)
	// End breaks a connection off. With true the socket may be closed; with false something is under way still, and an Ended event
	// tells when it may be, and when memory that was lent is free. No other event of the socket comes after End.
	End(s *Socket) bool

	// Wait ends the round before, and waits for events; it returns without any after millis, and at once with hurry.
	Wait(millis int, hurry bool) error
	// Next returns the round's next event.
	Next() (Event, bool)
	// Ring ends the present wait, or the next, with a Rang event.
	Ring()
	// Lend lets goroutines that the serving one has just started run in its place while it waits, if they find no other.
	Lend()
	// Now is when the last wait ended.
	Now() time.Time
	// Close ends the set. The sockets in it stay open.
	Close()
}

// Socket is a socket in a set.
type Socket struct {
	FD    int
	Owner any // whatever the set's user knows it by

	state
}

// state is what a set keeps with a socket.
type state struct {
	listening bool

	// Over epoll.
	readable bool   // it may hold bytes: the epoll tells of them only once
	hungUp   bool   // nothing comes behind those bytes
	wanted   bool   // they are asked for
	queued   bool   // it is among those to be read from without having been told of
	blocked  bool   // a send waits for room
	awaits   bool   // the epoll tells of room
	into     []byte // where to receive; nil is the set's own memory

	// Over io_uring.
	pending int8 // requests whose outcome is not known
	asked   bool // a receive is one of them
	ending  bool
	listed  bool // a send of it is among those of which it is not known whether they have gone out
	failed  bool // that one has not, or not whole
	length  int  // of the present send, in bytes
	gone    int  // of it, where the socket has taken a part
}

// Kind says what an event tells.
type Kind uint8

const (
	// Received tells that a receive has ended.
	Received Kind = iota
	// Sent tells that a send that was to be told of later has ended, or can go on.
	Sent
	// Readable tells that a listening socket may have connections to accept.
	Readable
	// Ended tells that a socket for which End was called may be closed.
	Ended
	// Rang tells that Ring was called since the last time.
	Rang
)

// Event is something that has happened.
type Event struct {
	Kind   Kind
	Socket *Socket // nil of Rang
	// N is how many bytes were received, or sent since. It may be 0 without an error: then all is as before, and more is to be
	// asked for.
	N int
	// Bytes are what was received, where the caller has given no memory for it, up to the next call of Next or Wait.
	Bytes []byte
	// Err is why nothing was received (io.EOF at the end of what comes) or sent.
	Err error
}

// Options choose between the kinds of sets.
type Options struct {
	NoUring bool // epoll, whatever the kernel has
}

// New makes a set: over io_uring where that is there and may be used, and otherwise over epoll.
func New(o Options) (Set, error) {
	if !o.NoUring && uring.Usable() == nil {
		if u, err := newUring(); err == nil {
			return u, nil
		}
	}
	return newEpoll()
}
