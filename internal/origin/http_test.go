package origin

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFieldsAreSentAsGiven(t *testing.T) {
	s := serveRaw(t, answers(emptyOK))
	from := open(t, s.url, Options{})
	for name, c := range map[string]struct {
		r    *Request
		want string
	}{
		"none are added": {
			&Request{Method: "GET", Target: "/", Host: "site.example:8443"},
			"GET / HTTP/1.1\r\nHost: site.example:8443\r\n\r\n",
		},
		"the backend's host": {
			&Request{Method: "GET", Target: "/"},
			"GET / HTTP/1.1\r\nHost: " + strings.TrimPrefix(s.url, "http://") + "\r\n\r\n",
		},
		"those given stay": {
			&Request{Method: "GET", Target: "/", Host: "h", Header: http.Header{
				"User-Agent": {"curl/8"}, "Accept-Encoding": {"br"}, "Cookie": {"a=b", "c=d"}, "X-Y": {"", "1"}, "Expect": {"x"}}},
			"GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: curl/8\r\nAccept-Encoding: br\r\nCookie: a=b\r\nCookie: c=d\r\nExpect: x\r\nX-Y: \r\nX-Y: 1\r\n\r\n",
		},
		"one connection's go": {
			&Request{Method: "GET", Target: "/", Host: "h", Header: http.Header{
				"Connection": {"close, X-Secret", "X-Forwarded-For"}, "X-Secret": {"1"}, "X-Forwarded-For": {"10.0.0.1"}, "Te": {"trailers"},
				"Upgrade": {"h2c"}, "Proxy-Authorization": {"Basic x"}, "Transfer-Encoding": {"chunked"},
				"Content-Length": {"7"}, "Host": {"other"}}},
			"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n",
		},
		"no length without content": {
			&Request{Method: "DELETE", Target: "/", Host: "h"},
			"DELETE / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		},
		"an empty POST has a length": {
			&Request{Method: "POST", Target: "/", Host: "h", Body: strings.NewReader("not read")},
			"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		},
		"a method of its own": {
			&Request{Method: "pUrGe", Target: "/", Host: "h"},
			"pUrGe / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
		},
	} {
		given := c.r.Header.Clone()
		mustFetch(t, from, c.r)
		if got := s.lastHead(); got != c.want {
			t.Errorf("%s: sent\n%q, want\n%q", name, got, c.want)
		}
		if diff := cmp.Diff(given, c.r.Header); diff != "" {
			t.Errorf("%s: the caller's header was changed: %s", name, diff)
		}
	}
}

// readAll is a server that records all bytes of one request until its last ones, and answers.
func readUntil(end string, got *bytes.Buffer) func(*talk) {
	return func(c *talk) {
		b := make([]byte, 1)
		for !strings.HasSuffix(got.String(), end) {
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			got.Write(b)
		}
		c.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	}
}

// setAtEnd sets a trailer's value when the body has been read, as a proxy does.
type setAtEnd struct {
	io.Reader
	trailer http.Header
}

func (r setAtEnd) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == io.EOF {
		r.trailer.Set("X-Sum", "42")
	}
	return n, err
}

func TestBodiesAreSentAsGiven(t *testing.T) {
	trailer := http.Header{"X-Sum": nil}
	for name, c := range map[string]struct {
		r    *Request
		end  string
		want string
	}{
		"known length": {
			&Request{Method: "POST", Target: "/", Host: "h", Body: strings.NewReader("hello"), ContentLength: 5}, "hello",
			"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
		},
		"no more than its length": {
			&Request{Method: "PUT", Target: "/", Host: "h", Body: strings.NewReader("hello, world"), ContentLength: 5}, "hello",
			"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
		},
		"unknown length": {
			&Request{Method: "POST", Target: "/", Host: "h", Body: strings.NewReader("hello"), ContentLength: -1}, "0\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		},
		"a GET with content of unknown length": {
			&Request{Method: "GET", Target: "/", Host: "h", Body: strings.NewReader("hello"), ContentLength: -1}, "0\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		},
		"trailers": {
			&Request{Method: "POST", Target: "/", Host: "h", Body: setAtEnd{strings.NewReader("hi"), trailer},
				ContentLength: -1, Trailer: trailer},
			"42\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\nConnection: close\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			s := serveRaw(t, readUntil(c.end, &got))
			mustFetch(t, open(t, s.url, Options{}), c.r)
			if got.String() != c.want {
				t.Errorf("sent\n%q, want\n%q", got.String(), c.want)
			}
		})
	}
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	w.Close()
	return b.String()
}

func TestResponsesComeAsSent(t *testing.T) {
	zipped := gzipped("hello")
	for name, c := range map[string]struct {
		r       *Request
		answer  string
		status  int
		header  http.Header
		trailer http.Header
		body    string
		length  int64
	}{
		"plain": {get("/"), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nX-A: 2\r\n\r\nhi",
			200, http.Header{"Content-Length": {"2"}, "X-A": {"1", "2"}}, nil, "hi", 2},
		"a redirect is not followed": {get("/"), "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: /b\r\n\r\n",
			302, http.Header{"Content-Length": {"0"}, "Location": {"/b"}}, nil, "", 0},
		"gzip is not unpacked": {get("/"), "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n" +
			chunk(zipped) + "0\r\n\r\n", 200, http.Header{"Content-Encoding": {"gzip"}}, nil, zipped, -1},
		"one connection's fields go": {get("/"), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Hop, Set-Cookie, keep-alive\r\n" +
			"Keep-Alive: timeout=5\r\nX-Hop: 1\r\nSet-Cookie: a=b\r\nProxy-Authenticate: x\r\nUpgrade: h2c\r\n\r\nhi",
			200, http.Header{"Content-Length": {"2"}, "Set-Cookie": {"a=b"}}, nil, "hi", 2},
		"trailers": {get("/"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 42\r\nX-More: 1\r\n\r\n",
			200, http.Header{}, http.Header{"X-Sum": {"42"}, "X-More": {"1"}}, "hi", -1},
		"until the end of the connection": {get("/"), "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\nhi",
			200, http.Header{"Content-Type": {"text/html"}}, nil, "hi", -1},
		"HEAD": {&Request{Method: "HEAD", Target: "/"}, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
			200, http.Header{"Content-Length": {"5000"}}, nil, "", 5000},
		"304": {get("/"), "HTTP/1.1 304 Not Modified\r\nEtag: \"a\"\r\n\r\n", 304,
			http.Header{"Etag": {`"a"`}}, nil, "", 0},
		"500": {get("/"), "HTTP/1.1 500 Oops\r\nContent-Length: 1\r\n\r\nx", 500,
			http.Header{"Content-Length": {"1"}}, nil, "x", 1},
		"a status of its own": {get("/"), "HTTP/1.1 799 Who Knows\r\nContent-Length: 0\r\n\r\n", 799,
			http.Header{"Content-Length": {"0"}}, nil, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveRaw(t, func(c2 *talk) { c2.head(); c2.say(c.answer) })
			resp, body := mustFetch(t, open(t, s.url, Options{}), c.r)
			if resp.Status != c.status || body != c.body || resp.ContentLength != c.length {
				t.Errorf("got %d %q of length %d", resp.Status, body, resp.ContentLength)
			}
			if diff := cmp.Diff(c.header, resp.Header); diff != "" {
				t.Errorf("header: %s", diff)
			}
			if diff := cmp.Diff(c.trailer, resp.Trailer); diff != "" {
				t.Errorf("trailer: %s", diff)
			}
		})
	}
}

func TestInterimResponses(t *testing.T) {
	s := serveRaw(t, answers("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: X-H\r\nX-H: 1\r\n\r\n"+
		"HTTP/1.1 102 Processing\r\n\r\n"+emptyOK))
	from := open(t, s.url, Options{})
	type interim struct {
		Status int
		Header http.Header
	}
	var seen []interim
	r := get("/")
	r.Informational = func(status int, h http.Header) { seen = append(seen, interim{status, h}) }
	if resp, _ := mustFetch(t, from, r); resp.Status != 200 {
		t.Errorf("status %d", resp.Status)
	}
	if diff := cmp.Diff([]interim{{103, http.Header{"Link": {"</a.css>"}}}, {102, http.Header{}}}, seen); diff != "" {
		t.Error(diff)
	}
	if resp, _ := mustFetch(t, from, get("/")); resp.Status != 200 {
		t.Errorf("status %d without a callback", resp.Status)
	}

	many := serveRaw(t, answers(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxInformational+1)+emptyOK))
	_, err := open(t, many.url, Options{}).Fetch(t.Context(), r)
	wantKind(t, err, KindProtocol)
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "backend.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := serveListener(t, ln, answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
	from := open(t, "http+unix://"+path, Options{})
	if _, body := mustFetch(t, from, &Request{Method: "GET", Target: "//a?b"}); body != "hi" {
		t.Errorf("got %q", body)
	}
	if got, want := s.lastHead(), "GET //a?b HTTP/1.1\r\nHost: localhost\r\n\r\n"; got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	_, err = open(t, "http+unix://"+path+".not", Options{}).Fetch(t.Context(), get("/"))
	wantKind(t, err, KindConnect)
}

func TestConnectionsAreKept(t *testing.T) {
	s := serveRaw(t, answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
	from := open(t, s.url, Options{})
	for range 20 {
		mustFetch(t, from, get("/"))
	}
	if n := s.connections(); n != 1 {
		t.Errorf("%d connections for 20 requests in a row", n)
	}
}

// TestDeadConnection: the backend hangs up just as it is sent a second request on a kept connection. What may not be repeated has a
// connection of its own.
func TestDeadConnection(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST"} {
		t.Run(method, func(t *testing.T) {
			s := serveRaw(t, func(c *talk) {
				c.head()
				c.say(emptyOK)
				c.head()
				if c.n > 1 {
					c.say(emptyOK)
				}
			})
			from := open(t, s.url, Options{})
			mustFetch(t, from, &Request{Method: method, Target: "/first", Host: "h"})
			mustFetch(t, from, &Request{Method: method, Target: "/second", Host: "h"})
			if n := s.connections(); n != 2 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestCloseEndsFetching(t *testing.T) {
	s := serveRaw(t, answers(emptyOK))
	for name, from := range map[string]Origin{"http": open(t, s.url, Options{}), "handler": Handler(http.NotFoundHandler())} {
		mustFetch(t, from, get("/"))
		if err := errors.Join(from.Close(), from.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err := from.Fetch(t.Context(), get("/"))
		if e := wantKind(t, err, KindCanceled); !errors.Is(e, net.ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAtHand: a response says that its body has come if it has, however its end is told.
func TestAtHand(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for answer, want := range map[string]bool{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi": true,
		emptyOK:                          true,
		chunked + "2\r\nhi\r\n0\r\n\r\n": true,
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi":              false,
		chunked + "2\r\nhi\r\n":                                       false,
		chunked + "2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n":                  false, // and it is no matter
		"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\nhi":        false,
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi\r\n0\r\n\r\n": false,
	} {
		s := serveRaw(t, answers(answer))
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := open(t, s.url, Options{}).Fetch(ctx, get("/"))
		if err != nil {
			t.Fatal(err)
		}
		if resp.AtHand != want {
			t.Errorf("%q: at hand %t", answer, resp.AtHand)
		}
		cancel()
		resp.Body.Close()
	}
}
