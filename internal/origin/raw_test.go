package origin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rawServer is a TCP server whose answers a test writes byte by byte.
type rawServer struct {
	url string

	mu    sync.Mutex
	heads []string // the heads of the requests, in the order of their arrival
	conns int
}

// talk is one connection of a rawServer.
type talk struct {
	net.Conn
	*bufio.Reader
	s *rawServer
	n int // which connection it is, from 1
}

// head reads and records one request's head, CR LF CR LF included; "" at the end of the connection.
func (c *talk) head() string {
	var b strings.Builder
	for !strings.HasSuffix(b.String(), "\r\n\r\n") {
		line, err := c.ReadString('\n')
		if err != nil {
			return ""
		}
		b.WriteString(line)
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.heads = append(c.s.heads, b.String())
	return b.String()
}

// say writes s. That nobody reads it any more is the test's affair.
func (c *talk) say(s string) { _, _ = io.WriteString(c.Conn, s) }

func (c *talk) Read(p []byte) (int, error) { return c.Reader.Read(p) }

// serveRaw starts a server that has each connection handled by talks, and closed when it returns.
func serveRaw(t *testing.T, talks func(*talk)) *rawServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveListener(t, ln, talks)
}

func serveListener(t *testing.T, ln net.Listener, talks func(*talk)) *rawServer {
	s := &rawServer{url: "http://" + ln.Addr().String()}
	var wg sync.WaitGroup
	var open sync.Map
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns++
			c := &talk{Conn: conn, Reader: bufio.NewReader(conn), s: s, n: s.conns}
			s.mu.Unlock()
			open.Store(conn, true)
			wg.Go(func() {
				defer conn.Close()
				talks(c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		open.Range(func(conn, _ any) bool { conn.(net.Conn).Close(); return true })
		wg.Wait()
	})
	return s
}

// answers is a server that gives the same answer to each request, which may have no body.
func answers(answer string) func(*talk) {
	return func(c *talk) {
		for c.head() != "" {
			c.say(answer)
		}
	}
}

// lastHead returns the last request's head.
func (s *rawServer) lastHead() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.heads) == 0 {
		return ""
	}
	return s.heads[len(s.heads)-1]
}

func (s *rawServer) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

const emptyOK = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// open opens a backend for one test.
func open(t *testing.T, url string, o Options) Origin {
	t.Helper()
	from, err := Open(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { from.Close() })
	return from
}

// get is a plain GET.
func get(target string) *Request {
	return &Request{Method: http.MethodGet, Target: target, Host: "site.example"}
}

// fetchAll fetches and reads all of the body.
func fetchAll(from Origin, r *Request) (*Response, string, error) {
	resp, err := from.Fetch(context.Background(), r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, string(b), err
}

// mustFetch is fetchAll for what has to work.
func mustFetch(t *testing.T, from Origin, r *Request) (*Response, string) {
	t.Helper()
	resp, body, err := fetchAll(from, r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.Target, err)
	}
	return resp, body
}

// wantKind fails the test unless err is an *Error of that kind.
func wantKind(t *testing.T, err error, kind Kind) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("got error %v, want one of kind %q", err, kind)
	}
	return e
}

// chunk is s as one chunk (RFC 9112, section 7.1).
func chunk(s string) string { return strconv.FormatInt(int64(len(s)), 16) + "\r\n" + s + "\r\n" }

// awaitReader waits until the other side has closed the connection, or said more.
func (c *talk) awaitReader() { _, _ = c.Reader.Peek(1) }
