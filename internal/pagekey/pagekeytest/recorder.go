// Package pagekeytest asks a real nginx for its page keys. A Recorder is a cache server that has nothing and remembers
// what it was asked for; a Client sends raw requests to the nginx in front of it. The order of the record is what ties
// a key to its request: a client sends one request after the other on one connection, nginx serves a connection's
// requests one at a time, and a key is recorded before the miss is answered.
package pagekeytest

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"
)

// Look is one look-up that reached a recorder.
type Look struct {
	Server int    // the recorder's number
	Key    string // the wire key
}

// Record collects the look-ups of several recorders in the order of their arrival. The zero value is ready.
type Record struct {
	mu    sync.Mutex
	looks []Look
}

// Take returns what was recorded since the last call.
func (r *Record) Take() []Look {
	r.mu.Lock()
	defer r.mu.Unlock()
	looks := r.looks
	r.looks = nil
	return looks
}

func (r *Record) add(l Look) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looks = append(r.looks, l)
}

// Serve answers every `get` on the listener with a miss and records it under the recorder's number. It ends with the
// test: connections are closed and every goroutine has returned before the test's cleanup is over.
func (r *Record) Serve(tb testing.TB, server int, l net.Listener) {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		conns = make(map[net.Conn]bool)
	)
	tb.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			mu.Unlock()
			wg.Go(func() {
				r.serveConn(tb, server, c)
				mu.Lock()
				delete(conns, c)
				mu.Unlock()
				c.Close()
			})
		}
	})
}

// serveConn answers one connection until it ends.
func (r *Record) serveConn(tb testing.TB, server int, c net.Conn) {
	in := bufio.NewReader(c)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		key, isGet := strings.CutPrefix(line, "get ")
		key, isLine := strings.CutSuffix(key, "\r\n")
		if !isGet || !isLine {
			tb.Errorf("recorder %d was sent %q, which is no get", server, line)
			return
		}
		r.add(Look{server, key})
		if _, err := c.Write([]byte("END\r\n")); err != nil {
			return
		}
	}
}

// Listen listens on a free port of 127.0.0.1, or on a unix socket if path is not empty.
func Listen(tb testing.TB, path string) net.Listener {
	tb.Helper()
	network, addr := "tcp", "127.0.0.1:0"
	if path != "" {
		network, addr = "unix", path
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		tb.Fatal(err)
	}
	return l
}
