package nginxconf_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// patience bounds each exchange. It is far more than a passing test needs and far less than the 60 s that nginx would
// wait by default.
const patience = 20 * time.Second

// siteHost is the Host of every request that does not say otherwise: with a port, which must not get lost.
const siteHost = "shop.example:8443"

// request is a client's request, written to the wire as it stands: no library tidies it.
type request struct {
	method string // default GET
	target string
	fields []string // "Name: value"
	body   string   // sent with a Content-Length, unless empty and the method needs none
}

func get(target string, fields ...string) request { return request{target: target, fields: fields} }

func (r request) verb() string {
	if r.method == "" {
		return http.MethodGet
	}
	return r.method
}

func (r request) wire() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", r.verb(), r.target, siteHost)
	for _, f := range r.fields {
		b.WriteString(f + "\r\n")
	}
	if r.body != "" || r.verb() == http.MethodPost {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(r.body))
	}
	b.WriteString("\r\n" + r.body)
	return b.String()
}

// answer is a response, read whole.
type answer struct {
	Status int
	Header http.Header
	Body   string
}

// client is a connection to nginx, or to another piece of the set-up.
type client struct {
	t    *testing.T
	addr string
	conn net.Conn
	in   *bufio.Reader
	last bool // the other end has announced that it will close the connection
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn := dialPiece(t, addr)
	return &client{t: t, addr: addr, conn: conn, in: bufio.NewReader(conn)}
}

// send writes bytes as they are.
func (c *client) send(s string) {
	c.t.Helper()
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.WriteString(c.conn, s); err != nil {
		c.t.Fatal(err)
	}
}

// response reads a response's head; the caller reads the body.
func (c *client) response(method string) *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no response: %v", err)
	}
	c.last = resp.Close
	return resp
}

// answer reads a whole response.
func (c *client) answer(method string) answer {
	c.t.Helper()
	resp := c.response(method)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("body cut short: %v", err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// ask sends a request and reads the whole response. It connects anew where nginx has ended the connection, which it does
// after a thousand requests.
func (c *client) ask(r request) answer {
	c.t.Helper()
	if c.last {
		c.conn.Close()
		*c = *dial(c.t, c.addr)
	}
	c.send(r.wire())
	return c.answer(r.verb())
}

// ask makes one request on a connection of its own.
func (d *door) ask(t *testing.T, r request) answer {
	t.Helper()
	c := dial(t, d.addr)
	defer c.conn.Close()
	return c.ask(r)
}

// wantFilled fails the test unless an answer is a recording filler's to that target.
func wantFilled(t *testing.T, a answer, target string) {
	t.Helper()
	if a.Status != http.StatusNonAuthoritativeInfo || a.Body != "filled "+target || a.Header.Get("Content-Type") != fillerType {
		t.Errorf("got %d %q (%s), want the filler's answer to %s", a.Status, a.Body, a.Header.Get("Content-Type"), target)
	}
}

// wantHit fails the test unless an answer is that page from the cache.
func wantHit(t *testing.T, a answer, body string) {
	t.Helper()
	if a.Status != http.StatusOK || a.Body != body {
		t.Errorf("got %d %q, want 200 %q from the cache", a.Status, a.Body, body)
	}
}
