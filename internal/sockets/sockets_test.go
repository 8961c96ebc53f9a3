package sockets

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// kinds runs a test over each kind of set. One that this machine has no way to make is left out, with a word.
func kinds(t *testing.T, test func(t *testing.T, open func() Set)) {
	for name, o := range map[string]Options{"epoll": {NoUring: true}, "uring": {}} {
		t.Run(name, func(t *testing.T) {
			test(t, func() Set {
				s, err := New(o)
				if err != nil {
					t.Fatal(err)
				}
				if _, isEpoll := s.(*epollSet); isEpoll && !o.NoUring {
					s.Close()
					_, err := newUring()
					t.Skipf("no io_uring here: %v", err)
				}
				t.Cleanup(s.Close)
				if err := s.Begin(); err != nil {
					t.Fatal(err)
				}
				return s
			})
		})
	}
}

// pair makes a socket in the set and its other end.
func pair(t *testing.T, set Set) (ours *Socket, theirs int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(fds[0])
		unix.Close(fds[1])
	})
	ours = &Socket{FD: fds[0]}
	if err := set.Add(ours); err != nil {
		t.Fatal(err)
	}
	return ours, fds[1]
}

// expect waits for an event, which has to be of that kind.
func expect(t *testing.T, set Set, want Kind) Event {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if ev, ok := set.Next(); ok {
			if ev.Kind != want {
				t.Fatalf("event %+v, want one of kind %d", ev, want)
			}
			return ev
		}
		if err := set.Wait(100, false); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("no event of kind %d", want)
	return Event{}
}

// quiet expects that nothing is told.
func quiet(t *testing.T, set Set) {
	t.Helper()
	for range 2 {
		if err := set.Wait(1, true); err != nil {
			t.Fatal(err)
		}
		if ev, ok := set.Next(); ok {
			t.Fatalf("event %+v, want none", ev)
		}
	}
}

func write(t *testing.T, fd int, s string) {
	t.Helper()
	if _, err := unix.Write(fd, []byte(s)); err != nil {
		t.Fatal(err)
	}
}

func vectors(parts ...[]byte) (v []unix.Iovec) {
	for _, b := range parts {
		v = append(v, unix.Iovec{Base: &b[0]})
		v[len(v)-1].SetLen(len(b))
	}
	return v
}

// A receive brings what comes once, whether it comes before or after; what comes unasked waits.
func TestReceive(t *testing.T) {
	kinds(t, func(t *testing.T, open func() Set) {
		set := open()
		s, theirs := pair(t, set)
		set.Receive(s)
		quiet(t, set)
		write(t, theirs, "one")
		if ev := expect(t, set, Received); string(ev.Bytes) != "one" || ev.N != 3 || ev.Socket != s || ev.Err != nil {
			t.Fatalf("%+v", ev)
		}
		write(t, theirs, "two")
		quiet(t, set)
		set.Receive(s)
		if ev := expect(t, set, Received); string(ev.Bytes) != "two" {
			t.Fatalf("%+v", ev)
		}
		write(t, theirs, "three")
		b := make([]byte, 2)
		set.ReceiveInto(s, b)
		if ev := expect(t, set, Received); ev.N != 2 || string(b) != "th" || ev.Bytes != nil {
			t.Fatalf("%+v, %q", ev, b)
		}
		set.Receive(s)
		if ev := expect(t, set, Received); string(ev.Bytes) != "ree" {
			t.Fatalf("%+v", ev)
		}
		write(t, theirs, "last")
		unix.Shutdown(theirs, unix.SHUT_WR)
		set.Receive(s)
		if ev := expect(t, set, Received); string(ev.Bytes) != "last" {
			t.Fatalf("%+v", ev)
		}
		set.Receive(s)
		if ev := expect(t, set, Received); !errors.Is(ev.Err, io.EOF) {
			t.Fatalf("%+v, want the end", ev)
		}
	})
}

// More than one event brings comes in several, and nothing is lost or doubled however many sockets there are.
func TestReceiveMuch(t *testing.T) {
	kinds(t, func(t *testing.T, open func() Set) {
		set := open()
		const sockets, size = 200, 3*ReadSize + 5 // more sockets than there are buffers
		got := make(map[*Socket][]byte)
		want := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
		for range sockets {
			s, theirs := pair(t, set)
			got[s] = nil
			write(t, theirs, string(want))
			set.Receive(s)
		}
		for missing := sockets; missing > 0; {
			ev := expect(t, set, Received)
			b := append(got[ev.Socket], ev.Bytes...)
			if got[ev.Socket] = b; len(b) == size {
				missing--
				continue
			}
			set.Receive(ev.Socket)
		}
		for _, b := range got {
			if !bytes.Equal(b, want) {
				t.Fatal("not what was sent")
			}
		}
	})
}

// What is sent goes out in order, in one piece or in many, and what the other end does not take is told of later.
func TestSend(t *testing.T) {
	kinds(t, func(t *testing.T, open func() Set) {
		set := open()
		s, theirs := pair(t, set)
		body := bytes.Repeat([]byte("abcdefg"), 200_000) // more than the sockets hold
		for _, parts := range [][][]byte{{[]byte("x")}, {[]byte("head "), []byte("body "), []byte("tail")}, {[]byte("h"), body}, {body}} {
			want := bytes.Join(parts, nil)
			var got []byte
			rest := want
			send := func() (done bool) {
				v := vectors(parts...)
				if len(rest) < len(want) {
					v = vectors(rest)
				}
				n, later, err := set.Send(s, v)
				if err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
				return !later
			}
			take := func() {
				b := make([]byte, 100_000)
				for {
					n, err := unix.Read(theirs, b)
					if n <= 0 {
						if err != unix.EAGAIN {
							t.Fatal(n, err)
						}
						return
					}
					got = append(got, b[:n]...)
				}
			}
			done := send()
			for end := time.Now().Add(10 * time.Second); !done; {
				if time.Now().After(end) {
					t.Fatal("not sent")
				}
				if err := set.Wait(10, false); err != nil {
					t.Fatal(err)
				}
				take()
				if ev, ok := set.Next(); ok {
					if ev.Kind != Sent || ev.Err != nil {
						t.Fatalf("%+v", ev)
					}
					if rest = rest[ev.N:]; len(rest) == 0 {
						done = true
					} else {
						done = send()
					}
				}
			}
			if take(); !bytes.Equal(got, want) {
				t.Fatalf("%d bytes came, want %d, or others", len(got), len(want))
			}
		}
		quiet(t, set)
	})
}

// A send to a connection that has gone fails, and does not signal the process.
func TestSendBroken(t *testing.T) {
	kinds(t, func(t *testing.T, open func() Set) {
		set := open()
		s, theirs := pair(t, set)
		unix.Shutdown(theirs, unix.SHUT_RDWR)
		_, later, err := set.Send(s, vectors([]byte("x")))
		if later {
			err = expect(t, set, Sent).Err
		}
		if !errors.Is(err, unix.EPIPE) {
			t.Fatalf("error %v, want EPIPE", err)
		}
	})
}

// fillUp sends until the other end would have to read.
func fillUp(t *testing.T, set Set, s *Socket) {
	t.Helper()
	for much := make([]byte, 4<<20); ; {
		if _, later, err := set.Send(s, vectors(much)); !later || err != nil {
			t.Fatal(later, err)
		}
		if err := set.Wait(1, true); err != nil {
			t.Fatal(err)
		}
		if ev, ok := set.Next(); !ok {
			return
		} else if ev.Kind != Sent || ev.Err != nil {
			t.Fatalf("%+v", ev)
		}
	}
}

// A connection that is broken off while something is under way gives back memory first, and tells of nothing else.
func TestEnd(t *testing.T) {
	kinds(t, func(t *testing.T, open func() Set) {
		set := open()
		for _, sending := range []bool{false, true} {
			s, theirs := pair(t, set)
			set.Receive(s)
			if sending {
				fillUp(t, set, s)
			}
			quiet(t, set)
			write(t, theirs, "not told of")
			if !set.End(s) {
				if ev := expect(t, set, Ended); ev.Socket != s {
					t.Fatalf("%+v", ev)
				}
			}
			quiet(t, set)
		}
		s, _ := pair(t, set)
		if !set.End(s) {
			t.Error("nothing is under way, and yet it is waited for")
		}
	})
}

// A listening socket tells of callers again and again, until it is removed; and may come back.
func TestListen(t *testing.T) {
	kinds(t, func(t *testing.T, open func() Set) {
		set := open()
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		at := &unix.SockaddrUnix{Name: t.TempDir() + "/l"}
		if err := errors.Join(unix.Bind(fd, at), unix.Listen(fd, 10)); err != nil {
			t.Fatal(err)
		}
		call := func() {
			t.Helper()
			c, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Close(c) })
			if err := unix.Connect(c, at); err != nil {
				t.Fatal(err)
			}
		}
		accept := func() {
			t.Helper()
			c, _, err := unix.Accept(fd)
			if err != nil {
				t.Fatal(err)
			}
			unix.Close(c)
		}
		l := &Socket{FD: fd}
		for range 2 {
			if err := set.Listen(l); err != nil {
				t.Fatal(err)
			}
			quiet(t, set)
			call()
			call()
			for range 2 { // one at a time: the other is told of again
				if ev := expect(t, set, Readable); ev.Socket != l {
					t.Fatalf("%+v", ev)
				}
				accept()
			}
			set.Remove(l)
			call()
			quiet(t, set)
			accept()
		}
	})
}

// The bell ends a wait of either kind; without an event a wait ends by itself.
func TestWait(t *testing.T) {
	kinds(t, func(t *testing.T, open func() Set) {
		set := open()
		quiet(t, set)
		set.Ring()
		expect(t, set, Rang)
		set.Lend()
		set.Ring()
		expect(t, set, Rang)
		for _, late := range []time.Duration{0, 3 * brief} { // in the brief wait, and behind it
			timer := time.AfterFunc(late, set.Ring)
			for ok := false; !ok; {
				if err := set.Wait(10_000, false); err != nil {
					t.Fatal(err)
				}
				_, ok = set.Next()
			}
			timer.Stop()
		}
		if since := time.Since(set.Now()); since < 0 || since > time.Minute {
			t.Errorf("the last wait ended %v ago", since)
		}
		quiet(t, set)
	})
}

// A wait keeps its place with the scheduler, and yet the garbage collector, which stops all goroutines, ends.
func TestWaitDoesNotHoldUpTheCollector(t *testing.T) {
	for name, o := range map[string]Options{"epoll": {NoUring: true}, "uring": {}} {
		t.Run(name, func(t *testing.T) {
			set, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			stop, ended := make(chan struct{}), make(chan error)
			go func() {
				err := set.Begin()
				for err == nil {
					select {
					case <-stop:
						ended <- nil
						return
					default:
						_, err = set.(source).wait(time.Minute) // longer than Wait ever does
						for _, ok := set.Next(); ok; _, ok = set.Next() {
						}
					}
				}
				ended <- err
			}()
			for range 20 {
				runtime.GC()
			}
			close(stop)
			set.Ring()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			set.Close()
		})
	}
}
