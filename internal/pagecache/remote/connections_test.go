package remote

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pagegate/internal/page"
	"pagegate/internal/pagecache"
)

// slowServer is a memcached server that has nothing, and answers when so many requests are there at once.
type slowServer struct {
	addr   string
	dialed atomic.Int64

	mu      sync.Mutex
	waiting int
	all     chan struct{} // closed when they are there
}

func startSlowServer(t *testing.T, atOnce int) *slowServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &slowServer{addr: l.Addr().String(), all: make(chan struct{})}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.dialed.Add(1)
			conns.Go(func() {
				defer c.Close()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					s.wait(atOnce)
					if _, err := io.WriteString(c, "END\r\n"); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { // after the cache has closed its connections
		l.Close()
		conns.Wait()
	})
	return s
}

func (s *slowServer) wait(atOnce int) {
	s.mu.Lock()
	all := s.all
	if s.waiting++; s.waiting == atOnce {
		s.waiting, s.all = 0, make(chan struct{})
		close(all)
	}
	s.mu.Unlock()
	<-all
}

// As many look-ups as there were at once find a connection each: none is dialled twice.
func TestAsManyConnectionsAsAtOnce(t *testing.T) {
	const atOnce = 200
	s := startSlowServer(t, atOnce)
	c := open(t, Options{Timeout: time.Minute}, s.addr)
	for range 3 {
		var all sync.WaitGroup
		for range atOnce {
			all.Go(func() {
				if err := c.Get(bg, []byte("/a?"), new(page.Page)); !errors.Is(err, pagecache.ErrMiss) {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	if n := s.dialed.Load(); n != atOnce {
		t.Errorf("%d connections for %d look-ups at once", n, atOnce)
	}
}
