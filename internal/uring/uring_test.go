package uring

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func open(t *testing.T) (r *Ring, ours, theirs int) {
	t.Helper()
	if err := Usable(); err != nil {
		t.Skipf("no io_uring here: %v", err)
	}
	r, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	if err := r.Begin(); err != nil {
		t.Fatal(err)
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(fds[0])
		unix.Close(fds[1])
	})
	return r, fds[0], fds[1]
}

// next waits for a completion.
func next(t *testing.T, r *Ring) Completion {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if c, ok := r.Next(); ok {
			return c
		}
		if err := r.EnterFor(100 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("no completion")
	return Completion{}
}

// More requests than the ring has places for are handed over on the way, and each is answered under its number.
func TestMoreThanFits(t *testing.T) {
	r, ours, _ := open(t)
	const n = 3*entries + 1
	for i := range n {
		if err := r.Poll(ours, unix.POLLOUT, uint64(i)); err != nil {
			t.Fatal(err)
		}
	}
	seen := make(map[uint64]bool)
	for range n {
		if c := next(t, r); c.N != unix.POLLOUT || seen[c.User] {
			t.Fatalf("%+v, or twice", c)
		} else {
			seen[c.User] = true
		}
	}
}

// A send that goes out whole has no completion; one that does not has one, with as much as has gone, or an error.
func TestSend(t *testing.T) {
	r, ours, theirs := open(t)
	much := make([]byte, 4<<20)
	send := func(b []byte) {
		t.Helper()
		if err := r.Send(ours, []unix.Iovec{{Base: &b[0], Len: uint64(len(b))}}, 1); err != nil {
			t.Fatal(err)
		}
	}
	send([]byte("x"))
	if err := r.Enter(); err != nil || r.Ready() > 0 || !r.Handed() {
		t.Fatal(err, r.Ready(), r.Handed())
	}
	send(much)
	part := next(t, r)
	if part.N <= 0 || part.N >= len(much) || part.User != 1 {
		t.Fatalf("%+v of %d", part, len(much))
	}
	send(much)
	if c := next(t, r); c.N != -int(unix.EAGAIN) {
		t.Fatalf("%+v with a socket that is full", c)
	}
	if _, err := io.ReadFull(fdReader(theirs), make([]byte, 1+part.N)); err != nil {
		t.Fatal(err)
	}
	unix.Shutdown(theirs, unix.SHUT_RDWR)
	send(much)
	if c := next(t, r); c.N != -int(unix.EPIPE) {
		t.Fatalf("%+v to an end that has gone", c)
	}
}

type fdReader int

func (fd fdReader) Read(b []byte) (int, error) { return unix.Read(int(fd), b) }

// All buffers can be in use at once; then a receive fails, until one is given back. Each has what came in its turn.
func TestBuffers(t *testing.T) {
	r, ours, theirs := open(t)
	piece := bytes.Repeat([]byte{'a'}, BufferSize)
	receive := func() Completion {
		t.Helper()
		if err := r.Receive(ours, 7); err != nil {
			t.Fatal(err)
		}
		return next(t, r)
	}
	var held [][]byte
	for i := range bufferCount {
		piece[0] = byte(i)
		if _, err := unix.Write(theirs, piece); err != nil {
			t.Fatal(err)
		}
		c := receive()
		if c.N != BufferSize || c.User != 7 {
			t.Fatalf("%d bytes", c.N)
		}
		held = append(held, c.Bytes)
	}
	if _, err := unix.Write(theirs, piece[:1]); err != nil {
		t.Fatal(err)
	}
	if c := receive(); c.N != -int(unix.ENOBUFS) {
		t.Fatalf("%d with all buffers in use", c.N)
	}
	for i, b := range held {
		if len(b) != BufferSize || b[0] != byte(i) || !bytes.Equal(b[1:], piece[1:]) {
			t.Fatalf("buffer %d was not left alone", i)
		}
	}
	r.Recycle(held[50])
	if c := receive(); c.N != 1 || len(c.Bytes) != 1 {
		t.Fatalf("%+v behind a buffer that was given back", c)
	}
}

// What is taken back fails, and what was taken back is not waited for any more.
func TestCancel(t *testing.T) {
	r, ours, _ := open(t)
	if err := errors.Join(r.Poll(ours, unix.POLLIN, 1), r.Enter(), r.Cancel(1, 2)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		switch c := next(t, r); {
		case c.User == 1 && c.N != -int(unix.ECANCELED), c.User == 2 && c.N != 0:
			t.Errorf("%+v", c)
		}
	}
}

// A wait ends at its bound, with either kind of system call.
func TestBound(t *testing.T) {
	r, _, _ := open(t)
	for _, wait := range []func(time.Duration) error{r.EnterFor, r.EnterAsleep} {
		if err := wait(time.Millisecond); err != nil || r.Ready() > 0 {
			t.Error(err, r.Ready())
		}
	}
}
