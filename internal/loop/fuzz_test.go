package loop

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"pagegate/internal/listen"
	"pagegate/internal/page"
)

// Whatever comes, in whatever two pieces, a loop answers as the server alone does: as many requests, each the same, and
// ends the connection at the same place.
func FuzzLoopAnswersAsTheServer(f *testing.F) {
	const get, post = "GET /fast HTTP/1.1\r\nHost: h\r\n\r\n", "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"
	for _, seed := range []string{
		get, get + get, get + post + get, post + get + "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n" + get, "HEAD /fast HTTP/1.1\r\nHost: h\r\n\r\n" + get,
		"GET /fast HTTP/1.0\r\n\r\n" + get, "GET /fast HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" + get, "GET /fast HTTP/1.1\nHost: h\n\n" + get,
		"GET /fast HTTP/1.1\nHost: h\r\n\r\n" + get, "\r\n\r\n" + get, "\r\n" + get, "BAD\r\n\r\n" + get, "GET /fast HTTP/1.1\r\nHost: h\r\nX: 1\r\n 2\r\n\r\n" + get,
		"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + get,
		"POST /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" + get,
		"GET /fast HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n\r\n\r\n" + get, "GET /fast HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n" + get,
		"GET /fast HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("y", 40<<10) + "\r\n\r\n" + get, "GET /fast HTTP/1.1\r\nHost: h\r\nX: \x00\r\n\r\n" + get,
		strings.Repeat(get, 1200), "GET /fast HTTP/1.1\r\n", get + "GET /fa",
	} {
		f.Add([]byte(seed), uint16(len(seed)/2))
		f.Add([]byte(seed), uint16(0))
	}
	looped, alone := fuzzed(f, true), fuzzed(f, false)
	f.Fuzz(func(t *testing.T, sent []byte, cut uint16) {
		at := min(int(cut), len(sent))
		got, want := exchange(t, looped, sent[:at], sent[at:]), exchange(t, alone, sent[:at], sent[at:])
		if !bytes.Equal(got, want) {
			t.Errorf("%q, cut at %d:\n%q by the loop,\n%q by the server", sent, at, got, want)
		}
	})
}

// silent is where the server's complaints go.
type silent struct{}

func (silent) Printf(string, ...any) {}

// fuzzed starts a server, with loops before it or without, that says of each request what it was.
func fuzzed(f *testing.F, loops bool) (addr string) {
	say := func(ctx *fasthttp.RequestCtx) []byte {
		return fmt.Appendf(nil, "%q %q", ctx.Method(), ctx.RequestURI())
	}
	server := &fasthttp.Server{
		Logger: silent{}, NoDefaultServerHeader: true, NoDefaultDate: true, ReadBufferSize: readSize, ReadTimeout: time.Minute, IdleTimeout: time.Minute,
		Handler: func(ctx *fasthttp.RequestCtx) { ctx.SetBody(append(say(ctx), ctx.PostBody()...)) },
	}
	l, err := listen.Listen("127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	serve, shutdown := func() error { return server.Serve(l) }, server.ShutdownWithContext
	if loops {
		s, err := New(Options{Server: server, Patient: listen.Patient, IdleTimeout: time.Minute, Workers: 2,
			Fast: func(r *Request, _ time.Time, dst []byte) ([]byte, []byte, page.Releaser, bool) {
				ctx := &r.Ctx
				if string(ctx.Path()) != "/fast" || !ctx.IsGet() || ctx.Request.Header.ContentLength() > 0 || ctx.Request.Header.ContentLength() == -1 {
					return dst, nil, nil, false
				}
				body := say(ctx)
				return fmt.Appendf(dst, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n", len(body)), body, nil, true
			}})
		if err != nil {
			f.Fatal(err)
		}
		serve, shutdown = func() error { return s.Serve(l.(Listener)) }, s.ShutdownWithContext
	}
	ended := make(chan error, 1)
	go func() { ended <- serve() }()
	f.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := shutdown(ctx); err != nil {
			f.Error(err)
		}
		if err := <-ended; err != nil {
			f.Error(err)
		}
	})
	return l.Addr().String()
}

// exchange sends two pieces, and says what came back. Nothing is said of how an error's connection ends: bytes that nobody
// reads any more may cost the last answer (a reset).
func exchange(t *testing.T, addr string, pieces ...[]byte) []byte {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	go func() {
		for _, p := range pieces {
			if _, err := c.Write(p); err != nil {
				return
			}
		}
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	var said []byte
	for br := bufio.NewReader(c); ; {
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			return said
		}
		if resp.StatusCode >= http.StatusBadRequest {
			return said
		}
		var body []byte
		if resp.Header.Get("Content-Type") != "" {
			body, _ = io.ReadAll(io.LimitReader(resp.Body, resp.ContentLength))
		}
		said = fmt.Appendf(said, "%d %s\n", resp.StatusCode, body)
	}
}
