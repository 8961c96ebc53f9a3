package origin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// reset makes the end of a connection a reset.
func reset(c *talk) { _ = c.Conn.(*net.TCPConn).SetLinger(0) }

// TestCutBodies: no body that is not whole ends in a clean EOF.
func TestCutBodies(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, talks := range map[string]func(*talk){
		"shorter than its length":     func(c *talk) { c.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello") },
		"nothing of its length":       func(c *talk) { c.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n") },
		"no last chunk":               func(c *talk) { c.say(chunked + "5\r\nhello\r\n") },
		"no chunk at all":             func(c *talk) { c.say(chunked) },
		"inside a chunk":              func(c *talk) { c.say(chunked + "a\r\nhello") },
		"inside a chunk's size":       func(c *talk) { c.say(chunked + "5\r\nhello\r\n1") },
		"inside the trailer":          func(c *talk) { c.say(chunked + "5\r\nhello\r\n0\r\nX-Sum: 4") },
		"before the trailer's end":    func(c *talk) { c.say(chunked + "5\r\nhello\r\n0\r\n") },
		"malformed chunk":             func(c *talk) { c.say(chunked + "5\r\nhelloworld\r\n0\r\n\r\n") },
		"malformed chunk size":        func(c *talk) { c.say(chunked + "zz\r\nhello\r\n0\r\n\r\n") },
		"reset inside its length":     func(c *talk) { c.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"); reset(c) },
		"reset inside a chunk":        func(c *talk) { c.say(chunked + "a\r\nhello"); reset(c) },
		"reset without a marked end":  func(c *talk) { c.say("HTTP/1.0 200 OK\r\n\r\nhello"); reset(c) },
		"compressed, and cut as well": func(c *talk) { c.say("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\nhello") },
	} {
		t.Run(name, func(t *testing.T) {
			s := serveRaw(t, func(c *talk) { c.head(); talks(c) })
			from := open(t, s.url, Options{})
			resp, err := from.Fetch(t.Context(), &Request{Method: "GET", Target: "/", Host: "h"})
			if err != nil {
				wantKind(t, err, KindProtocol) // the reset was faster than the head
				return
			}
			defer resp.Body.Close()
			_, err = io.ReadAll(resp.Body)
			wantKind(t, err, KindProtocol)
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%v is no io.ErrUnexpectedEOF", err)
			}
			if _, again := resp.Body.Read(make([]byte, 1)); !errors.Is(again, io.ErrUnexpectedEOF) {
				t.Errorf("the next Read gives %v", again)
			}
		})
	}
}

func TestWhatIsNotHTTP(t *testing.T) {
	for name, answer := range map[string]string{
		"nothing":              "",
		"garbage":              "220 mail.example ESMTP\r\n",
		"half a head":          "HTTP/1.1 200 OK\r\nContent-Le",
		"two lengths":          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
		"no number":            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"unknown coding":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"a CR in a value":      "HTTP/1.1 200 OK\r\nX-A: b\rX-B: c\r\n\r\n",
		"a NUL in a value":     "HTTP/1.1 200 OK\r\nX-A: b\x00c\r\n\r\n",
		"space after the name": "HTTP/1.1 200 OK\r\nX-A : b\r\n\r\n",
		"no colon":             "HTTP/1.1 200 OK\r\nX-A\r\n\r\n",
		"endless head":         "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", maxHeaderBytes) + "\r\n\r\n",
		"unasked switch":       "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := serveRaw(t, func(c *talk) { c.head(); c.say(answer) })
			_, err := open(t, s.url, Options{}).Fetch(t.Context(), get("/"))
			if e := wantKind(t, err, KindProtocol); !strings.Contains(e.Error(), s.url) || e.Timeout() {
				t.Errorf("%v: want the backend named, and no timeout", e)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	_, err = open(t, "http://"+addr, Options{}).Fetch(t.Context(), get("/"))
	e := wantKind(t, err, KindConnect)
	for _, part := range []string{"http://" + addr, "cannot connect", "is it running", "refused"} {
		if !strings.Contains(e.Error(), part) {
			t.Errorf("%q does not say %q", e, part)
		}
	}
}

func TestTLS(t *testing.T) {
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_,
			_ = io.WriteString(w, r.Proto)
	}))
	ts.Config.ErrorLog = log.New(io.Discard, "", 0) // the failed handshakes are the test's
	ts.StartTLS()
	t.Cleanup(ts.Close)
	roots := x509.NewCertPool()
	roots.AddCert(ts.Certificate())

	if _, body := mustFetch(t, open(t, ts.URL, Options{TLS: &tls.Config{RootCAs: roots}}), get("/")); body != "HTTP/1.1" {
		t.Errorf("got %q", body)
	}
	_, err := open(t, ts.URL, Options{}).Fetch(t.Context(), get("/"))
	if e := wantKind(t, err, KindConnect); !strings.Contains(e.Error(), "certificate") {
		t.Errorf("unknown root: %v", e)
	}
	_, err = open(t, ts.URL, Options{TLS: &tls.Config{RootCAs: roots, ServerName: "other.invalid"}}).Fetch(t.Context(), get("/"))
	wantKind(t, err, KindConnect)

	plain := serveRaw(t, func(c *talk) { c.say("HTTP/1.1 400 Bad Request\r\n\r\n") })
	_, err = open(t, strings.Replace(plain.url, "http:", "https:", 1), Options{}).Fetch(t.Context(), get("/"))
	wantKind(t, err, KindConnect)
}

// TestConnectTimeout: the connection's bound covers TLS too, so a server that accepts and is silent shows it.
func TestConnectTimeout(t *testing.T) {
	s := serveRaw(t, func(c *talk) { _, _ = io.Copy(io.Discard, c) })
	from := open(t, strings.Replace(s.url, "http:", "https:", 1), Options{ConnectTimeout: 20 * time.Millisecond})
	_, err := from.Fetch(t.Context(), get("/"))
	if e := wantKind(t, err, KindConnect); !e.Timeout() {
		t.Errorf("%v is no timeout", e)
	}
}

func TestContextEndsBeforeTheHead(t *testing.T) {
	asked := make(chan struct{}, 2)
	s := serveRaw(t, func(c *talk) {
		if c.head() != "" {
			asked <- struct{}{}
		}
		c.awaitReader()
	})
	from := open(t, s.url, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	_, err := from.Fetch(ctx, get("/"))
	if e := wantKind(t, err, KindCanceled); !errors.Is(e, context.Canceled) {
		t.Errorf("%v", e)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = from.Fetch(ctx, get("/"))
	if e := wantKind(t, err, KindTimeout); !errors.Is(e, context.DeadlineExceeded) {
		t.Errorf("%v", e)
	}
}

func TestContextEndsWithinTheBody(t *testing.T) {
	s := serveRaw(t, func(c *talk) {
		c.head()
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
		c.awaitReader()
	})
	ctx, cancel := context.WithCancel(t.Context())
	resp, err := open(t, s.url, Options{}).Fetch(ctx, get("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadFull(resp.Body, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = resp.Body.Read(make([]byte, 1))
	wantKind(t, err, KindCanceled)
}

func TestCloseBesideRead(t *testing.T) {
	s := serveRaw(t, func(c *talk) {
		c.head()
		c.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
		c.awaitReader()
	})
	resp, err := open(t, s.url, Options{}).Fetch(t.Context(), get("/"))
	if err != nil {
		t.Fatal(err)
	}
	read := make(chan error)
	go func() {
		_, err := io.ReadAll(resp.Body)
		read <- err
	}()
	resp.Body.Close()
	if err := <-read; err == nil {
		t.Error("half a body was read as a whole one")
	}
	resp.Body.Close()
}

// TestAnswerNobodyAskedFor: what a backend sends behind an answer is not taken for the next request's.
func TestAnswerNobodyAskedFor(t *testing.T) {
	handler := func(said chan<- struct{}) http.HandlerFunc {
		var n atomic.Int32
		return func(w http.ResponseWriter, _ *http.Request) {
			if n.Add(1) > 1 {
				_, _ = io.WriteString(w, "good")
				return
			}
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
			close(said)
		}
	}
	for scheme, start := range map[string]func(*httptest.Server){"http": (*httptest.Server).Start, "https": (*httptest.Server).StartTLS} {
		t.Run(scheme, func(t *testing.T) {
			said := make(chan struct{})
			ts := httptest.NewUnstartedServer(handler(said))
			start(ts)
			t.Cleanup(ts.Close)
			from := open(t, ts.URL, Options{TLS: &tls.Config{InsecureSkipVerify: true}})
			if _, body := mustFetch(t, from, get("/")); body != "first" {
				t.Errorf("the first answer is %q", body)
			}
			<-said
			if _, body := mustFetch(t, from, get("/")); body != "good" {
				t.Errorf("the second answer is %q", body)
			}
		})
	}
}

// TestContentIsNobodysRequest: a backend answers without reading a request's content, and takes that for the beginning of the next
// request. Nobody gets its answer to that.
func TestContentIsNobodysRequest(t *testing.T) {
	s := serveRaw(t, func(c *talk) {
		for head := c.head(); head != ""; head = c.head() {
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + strings.Fields(head)[1])
		}
	})
	from := open(t, s.url, Options{})
	const smuggled = "GET /evil HTTP/1.1\r\nX: "
	for _, r := range []*Request{
		get("/page"),
		{Method: http.MethodPost, Target: "/post", Host: "h", Body: strings.NewReader(smuggled), ContentLength: int64(len(smuggled))},
		{Method: http.MethodPost, Target: "/more", Host: "h", Body: strings.NewReader("x"), ContentLength: 1},
		get("/next"),
	} {
		if _, body := mustFetch(t, from, r); body != r.Target {
			t.Errorf("%s %s is answered with %s", r.Method, r.Target, body)
		}
	}
}

// TestContextEndsAfterTheBody: a connection that has carried a whole exchange stays what it is.
func TestContextEndsAfterTheBody(t *testing.T) {
	s := serveRaw(t, answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"))
	from := open(t, s.url, Options{})
	for range 5 {
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := from.Fetch(ctx, get("/"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(resp.Body); err != nil {
			t.Error(err)
		}
		cancel()
		resp.Body.Close()
	}
	if n := s.connections(); n != 1 {
		t.Errorf("%d connections", n)
	}
}
