package idle

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// conn is a connection that knows when it was closed.
type conn struct {
	begun time.Time
	mu    sync.Mutex
	ends  []time.Duration // since it began, of each Close
}

func newConn() *conn { return &conn{begun: time.Now()} }

func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends = append(c.ends, time.Since(c.begun))
	return nil
}

// closed tells how often it was closed, and when at first.
func (c *conn) closed() (times int, after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ends) > 0 {
		after = c.ends[0]
	}
	return len(c.ends), after
}

// wantClosed wants a connection to have been closed once, so long after it began.
func wantClosed(t *testing.T, c *conn, after time.Duration) {
	t.Helper()
	if times, at := c.closed(); times != 1 || at != after {
		t.Errorf("closed %d times, at first after %v; want %v", times, at, after)
	}
}

// The last that was put back is taken first, and each is closed when it has been idle for long enough.
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Pool[*conn]{Keep: 10 * time.Second}
		defer p.Close()
		a := newConn()
		p.Put(a)
		time.Sleep(time.Second)
		b := newConn()
		p.Put(b)
		time.Sleep(time.Second)
		c := newConn()
		p.Put(c)
		for range 20 { // in 20 seconds
			got, ok := p.Take()
			if !ok || got != c {
				t.Fatalf("%v, not the one that was used last", got)
			}
			p.Put(got)
			time.Sleep(time.Second)
		}
		wantClosed(t, a, 10*time.Second)
		wantClosed(t, b, 10*time.Second)
		if times, _ := c.closed(); times != 0 {
			t.Error("the one in use was closed")
		}
		time.Sleep(10 * time.Second)
		if _, ok := p.Take(); ok {
			t.Error("the last is still there")
		}
		wantClosed(t, c, 29*time.Second)
		d := newConn() // the clock starts again
		p.Put(d)
		time.Sleep(11 * time.Second)
		wantClosed(t, d, 10*time.Second)
	})
}

// What is dropped is gone, and others are kept; what comes back after the end is closed.
func TestDropAndClose(t *testing.T) {
	p := Pool[*conn]{Keep: time.Hour}
	a, b, c := newConn(), newConn(), newConn()
	p.Put(a)
	p.Drop()
	if times, _ := a.closed(); times != 1 {
		t.Error("it was not dropped")
	}
	if _, ok := p.Take(); ok {
		t.Error("something is left of a drop")
	}
	p.Put(b)
	if got, ok := p.Take(); !ok || got != b {
		t.Error("nothing is kept after a drop")
	}
	p.Put(b)
	p.Close()
	p.Put(c)
	for _, closed := range []*conn{b, c} {
		if times, _ := closed.closed(); times != 1 {
			t.Error("it is open after the end")
		}
	}
	if _, ok := p.Take(); ok {
		t.Error("something is kept after the end")
	}
}
