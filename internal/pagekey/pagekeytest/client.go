package pagekeytest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Failer is what a client needs of a *testing.T or a *rapid.T.
type Failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// window bounds the bytes that are sent ahead of their answers: less than any socket buffer, so that a write never
// waits for a read.
const window = 8 << 10

// ioTimeout fails a test whose nginx stopped answering; no passing test waits for it.
const ioTimeout = 20 * time.Second

// Answer is nginx's answer to one request.
type Answer struct {
	Status int
	Type   string // Content-Type
	Body   string
}

// Client sends raw requests over one kept connection. It is not safe for concurrent use.
type Client struct {
	path string
	conn net.Conn
	in   *bufio.Reader
}

// NewClient returns a client of the nginx that listens on the unix socket at path; its connection ends with the test.
// Sockets rather than ports: a test with dozens of `listen` lines would now and then be given the same free port twice.
func NewClient(tb testing.TB, path string) *Client {
	c := &Client{path: path}
	tb.Cleanup(c.close)
	return c
}

// close ends the connection, if there is one.
func (c *Client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// Do sends each request (the whole head, with the empty line) and returns the answer to each. Requests are
// pipelined; where nginx closes the connection after an answer, as it does after a 400, the rest is sent again on a
// new one. nginx reads nothing further from a connection that it is closing, so no request is served twice.
//
// That needs `lingering_close always` in the configuration: without it the close may cut off answers on their way.
func (c *Client) Do(t Failer, requests []string) []Answer {
	t.Helper()
	answers := make([]Answer, 0, len(requests))
	for len(answers) < len(requests) {
		batch := requests[len(answers):]
		size, n := 0, 0
		for n < len(batch) && (n == 0 || size+len(batch[n]) <= window) {
			size += len(batch[n])
			n++
		}
		batch = batch[:n]
		c.send(t, strings.Join(batch, ""))
		for _, request := range batch {
			answer, closed := c.receive(t, request)
			answers = append(answers, answer)
			if closed {
				c.close()
				break
			}
		}
	}
	return answers
}

func (c *Client) send(t Failer, raw string) {
	t.Helper()
	if c.conn == nil {
		conn, err := net.Dial("unix", c.path)
		if err != nil {
			t.Fatalf("nginx: %v", err)
		}
		c.conn, c.in = conn, bufio.NewReader(conn)
	}
	_ = c.conn.SetDeadline(time.Now().Add(ioTimeout))
	if _, err := io.WriteString(c.conn, raw); err != nil {
		t.Fatalf("nginx: %v", err)
	}
}

// receive reads one answer and tells whether the connection ends with it.
func (c *Client) receive(t Failer, request string) (a Answer, closed bool) {
	t.Helper()
	method, _, _ := strings.Cut(request, " ")
	response, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("nginx: no answer to %q: %v", request, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("nginx: answer to %q: %v", request, err)
	}
	return Answer{response.StatusCode, response.Header.Get("Content-Type"), string(body)}, response.Close
}
