package epoll

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func open(t *testing.T) (p *Poll, ours, theirs int) {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Close()
		unix.Close(pair[0])
		unix.Close(pair[1])
	})
	if err := p.Add(pair[0], Events); err != nil {
		t.Fatal(err)
	}
	return p, pair[0], pair[1]
}

// An event ends a wait of either kind, and so does the bell; without one a wait ends by itself.
func TestWait(t *testing.T) {
	p, ours, theirs := open(t)
	events := make([]unix.EpollEvent, 8)
	wait := func(millis int, hurry bool, want int) {
		t.Helper()
		// A signal may end a wait early, and the first event is that the socket takes bytes.
		for {
			n, err := p.Wait(events, millis, hurry)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events[:n] {
				if int(e.Fd) == want && (want != ours || e.Events&unix.EPOLLIN != 0) {
					return
				}
			}
			if n == 0 && want == -1 {
				return
			}
			if n == 0 && hurry {
				t.Fatalf("no event of %d", want)
			}
		}
	}
	wait(1, false, -1)
	wait(0, true, -1)
	for _, hurry := range []bool{false, true} {
		if _, err := unix.Write(theirs, []byte("x")); err != nil {
			t.Fatal(err)
		}
		wait(10_000, hurry, ours)
	}
	p.Lend()
	p.Ring()
	wait(10_000, false, p.bell)
	for _, late := range []time.Duration{0, 3 * briefMillis * time.Millisecond} { // in the brief wait, and behind it
		p.Rang(&unix.EpollEvent{Fd: int32(p.bell)})
		timer := time.AfterFunc(late, p.Ring)
		wait(10_000, false, p.bell)
		timer.Stop()
	}
	if since := time.Since(p.Now()); since < 0 || since > time.Minute {
		t.Errorf("the last wait ended %v ago", since)
	}
}

// A wait keeps its place with the scheduler, and yet the garbage collector, which stops all goroutines, ends.
func TestWaitDoesNotHoldUpTheCollector(t *testing.T) {
	p, _, _ := open(t)
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		events := make([]unix.EpollEvent, 8)
		for {
			select {
			case <-stop:
				return
			default:
				_, _ = PollFor(p.set, events, 60_000) // longer than Wait ever does
			}
		}
	}()
	for range 20 {
		runtime.GC()
	}
	close(stop)
	p.Ring()
	<-ended
}

// A socket tells that it takes bytes to who waits for that, and to nobody else: not when the other end has read.
func TestRoom(t *testing.T) {
	p, ours, theirs := open(t)
	events := make([]unix.EpollEvent, 8)
	buf := make([]byte, 1<<20)
	fill := func() {
		t.Helper()
		for {
			if _, err := unix.Write(ours, buf); err == unix.EAGAIN {
				return
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
	empty := func() {
		for {
			if _, err := unix.Read(theirs, buf); err != nil {
				return
			}
		}
	}
	fill()
	empty()
	if n, err := p.Wait(events, 0, true); n != 0 || err != nil {
		t.Errorf("%d events, %v: nobody waits for room", n, err)
	}
	fill()
	p.AwaitRoom(ours, true)
	empty()
	if n, err := p.Wait(events, 10_000, true); n != 1 || err != nil || events[0].Events&unix.EPOLLOUT == 0 {
		t.Errorf("%d events, %v: there is room", n, err)
	}
	p.AwaitRoom(ours, false)
	fill()
	empty()
	if n, err := p.Wait(events, 0, true); n != 0 || err != nil {
		t.Errorf("%d events, %v: nobody waits for room any more", n, err)
	}
}
