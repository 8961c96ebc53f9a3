package loop

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"

	"pagegate/internal/listen"
	"pagegate/internal/page"
	"pagegate/internal/realproc"
)

// fasthttp keeps a clock for as long as the process lives.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// which sleeps on for a while when its server has ended
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// running is a loop under test: /fast/N is answered at once with N bytes, all else by the server.
type running struct {
	*Server
	addr     string
	fast     atomic.Int64 // requests answered by Fast
	released atomic.Int64
	hold     chan struct{} // ends the requests for /hold
	served   chan error
}

// Release implements page.Releaser.
func (r *running) Release() { r.released.Add(1) }

func (r *running) answer(q *Request, _ time.Time, dst []byte) (head, body []byte, done page.Releaser, ok bool) {
	ctx := &q.Ctx
	n, isFast := strings.CutPrefix(string(ctx.Path()), "/fast/")
	size, err := strconv.Atoi(n)
	if !isFast || err != nil || !ctx.IsGet() && !ctx.IsHead() || ctx.Request.Header.ContentLength() > 0 {
		return dst, nil, nil, false
	}
	r.fast.Add(1)
	dst = fmt.Appendf(dst, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX-Way: fast\r\n\r\n", size)
	if ctx.IsGet() {
		body = content(size)
	}
	return dst, body, r, true
}

func content(n int) []byte { return bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n] }

func (r *running) handle(ctx *fasthttp.RequestCtx) {
	ctx.Response.Header.Set("X-Way", "slow")
	switch string(ctx.Path()) {
	case "/hold":
		<-r.hold
	case "/quick":
		ctx.Conn().(interface{ Quick() }).Quick()
	}
	fmt.Fprintf(ctx, "%s %s %s", ctx.Method(), ctx.RequestURI(), ctx.PostBody())
}

func start(t *testing.T, change ...func(*Options)) *running {
	t.Helper()
	r := &running{hold: make(chan struct{}), served: make(chan error, 1)}
	o := Options{
		Fast: r.answer, Patient: listen.Patient, IdleTimeout: time.Minute, Workers: 2,
		NoUring: os.Getenv("PAGEGATE_TEST_NO_URING") != "",
		Server:  &fasthttp.Server{Handler: r.handle, NoDefaultServerHeader: true, ReadTimeout: time.Minute, IdleTimeout: time.Minute},
	}
	for _, f := range change {
		f(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Server = s
	l, err := listen.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	go func() { r.served <- s.Serve(l.(Listener)) }()
	t.Cleanup(func() { r.stop(t, 10*time.Second) })
	return r
}

// stop ends the loop, once.
func (r *running) stop(t *testing.T, bound time.Duration) error {
	t.Helper()
	if r.served == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	err := r.ShutdownWithContext(ctx)
	if err == nil {
		if served := <-r.served; served != nil {
			t.Errorf("Serve: %v", served)
		}
		if n := r.conns.Load(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
		r.served = nil
	}
	return err
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// expect reads an answer and compares way and body.
func expect(t *testing.T, br *bufio.Reader, method, way, body string) {
	t.Helper()
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("X-Way") != way || string(got) != body {
		t.Fatalf("%q by the way %q, want %q by %q", abridged(string(got)), resp.Header.Get("X-Way"), abridged(body), way)
	}
}

func abridged(s string) string { return s[:min(len(s), 60)] }

// A request may arrive in any two pieces: it is answered all the same, and the next one by the loop again.
func TestSplitAnywhere(t *testing.T) {
	r := start(t)
	const get = "GET /fast/5 HTTP/1.1\r\nHost: h\r\nX-Y: z\r\n\r\n"
	for _, request := range []string{get, "POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345"} {
		for i := 1; i < len(request); i++ {
			c := dial(t, r.addr)
			br := bufio.NewReader(c)
			_, _ = io.WriteString(c, request[:i])
			if i%7 == 0 { // let some of the first pieces be read alone
				realproc.WaitFor(t, 10*time.Second, "the first piece to be read", func() bool { return r.conns.Load() > 0 })
			}
			_, _ = io.WriteString(c, request[i:])
			resp, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatalf("split at %d: %v", i, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			c.Close()
		}
	}
}

// Answers come in the order of the requests, whoever makes them.
func TestPipelined(t *testing.T) {
	r := start(t)
	for round := range 20 {
		c := dial(t, r.addr)
		var all strings.Builder
		type want struct{ method, way, body string }
		var wants []want
		for i := range 30 {
			switch (i*i + round) % 5 {
			case 0:
				fmt.Fprintf(&all, "GET /slow/%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
				wants = append(wants, want{"GET", "", fmt.Sprintf("GET /slow/%d ", i)})
			case 1:
				fmt.Fprintf(&all, "POST /slow/%d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", i)
				wants = append(wants, want{"POST", "", fmt.Sprintf("POST /slow/%d abc", i)})
			case 2:
				all.WriteString("HEAD /fast/9 HTTP/1.1\r\nHost: h\r\n\r\n")
				wants = append(wants, want{"HEAD", "", ""})
			default:
				n := i * 1500
				fmt.Fprintf(&all, "GET /fast/%d HTTP/1.1\r\nHost: h\r\n\r\n", n)
				wants = append(wants, want{"GET", "", ""})
			}
		}
		go func() { _, _ = io.WriteString(c, all.String()) }()
		br := bufio.NewReader(c)
		for i, w := range wants {
			resp, err := http.ReadResponse(br, &http.Request{Method: w.method})
			if err != nil {
				t.Fatalf("answer %d: %v", i, err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || w.body != "" && string(body) != w.body {
				t.Fatalf("answer %d: %q (%v), want %q", i, abridged(string(body)), err, w.body)
			}
		}
		c.Close()
	}
}

// A connection that was with the server comes back: what follows is answered by the loop.
func TestComesBack(t *testing.T) {
	r := start(t)
	c := dial(t, r.addr)
	br := bufio.NewReader(c)
	ask := func(request, method, way, body string) {
		t.Helper()
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		expect(t, br, method, way, body)
	}
	const fast = "GET /fast/4 HTTP/1.1\r\nHost: h\r\n\r\n"
	for range 5 {
		ask(fast, "GET", "fast", "0123")
		ask("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "slow", "GET /slow ")
		realproc.WaitFor(t, 10*time.Second, "the connection to come back", func() bool { return !r.anySlow() })
		ask(fast, "GET", "fast", "0123")
		// Behind content it stays with the server, until a request without.
		ask("POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx", "POST", "slow", "POST /slow x")
		ask("GET /slow/2 HTTP/1.1\r\nHost: h\r\n\r\n", "GET", "slow", "GET /slow/2 ")
		realproc.WaitFor(t, 10*time.Second, "the connection to come back", func() bool { return !r.anySlow() })
	}
}

// Behind an answer that took a wait the connection stays with the server for a while; one that took none sends it back.
func TestLingers(t *testing.T) {
	r := start(t, func(o *Options) { o.Linger = time.Hour })
	c := dial(t, r.addr)
	br := bufio.NewReader(c)
	for i := range 3 {
		_, _ = fmt.Fprintf(c, "GET /slow/%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
		expect(t, br, "GET", "slow", fmt.Sprintf("GET /slow/%d ", i))
	}
	_, _ = io.WriteString(c, "GET /fast/4 HTTP/1.1\r\nHost: h\r\n\r\n")
	expect(t, br, "GET", "slow", "GET /fast/4 ")
	_, _ = io.WriteString(c, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n")
	expect(t, br, "GET", "slow", "GET /quick ")
	realproc.WaitFor(t, 10*time.Second, "the connection to come back", func() bool { return !r.anySlow() })
	_, _ = io.WriteString(c, "GET /fast/4 HTTP/1.1\r\nHost: h\r\n\r\n")
	expect(t, br, "GET", "fast", "0123")

	r = start(t, func(o *Options) { o.Linger = time.Millisecond })
	c = dial(t, r.addr)
	br = bufio.NewReader(c)
	_, _ = io.WriteString(c, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
	expect(t, br, "GET", "slow", "GET /slow ")
	realproc.WaitFor(t, 10*time.Second, "the connection to come back", func() bool { return !r.anySlow() })
}

// A client that does not read holds up nobody, gets its answer whole when it does, and is given up when it never does.
func TestSlowReaders(t *testing.T) {
	r := start(t)
	const size = 20 << 20
	slow := make([]net.Conn, 4)
	for i := range slow {
		slow[i] = dial(t, r.addr)
		_, _ = fmt.Fprintf(slow[i], "GET /fast/%d HTTP/1.1\r\nHost: h\r\n\r\n", size)
	}
	realproc.WaitFor(t, 10*time.Second, "the large answers to be begun", func() bool { return r.fast.Load() == int64(len(slow)) })
	c := dial(t, r.addr)
	br := bufio.NewReader(c)
	for range 100 {
		_, _ = io.WriteString(c, "GET /fast/100 HTTP/1.1\r\nHost: h\r\n\r\n")
		expect(t, br, "GET", "fast", string(content(100)))
	}
	// One asks for more before it has read: it is answered in order.
	_, _ = io.WriteString(slow[0], "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n")
	want := content(size)
	for i, c := range slow[:3] {
		br := bufio.NewReader(c)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes (%v)", len(got), err)
		}
		if i == 0 {
			expect(t, br, "GET", "slow", "GET /slow ")
		}
	}
	slow[3].Close()
	realproc.WaitFor(t, 10*time.Second, "all that was lent to be given back", func() bool { return r.released.Load() == r.fast.Load() })
}

func TestManyConnections(t *testing.T) {
	r := start(t)
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			br := bufio.NewReader(c)
			for i := range 200 {
				target := "/fast/50"
				if i%9 == 0 {
					target = "/slow"
				}
				_, _ = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", target)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
			}
		})
	}
	all.Wait()
}

// What has not been asked for by the end of the idle time is closed; so is a connection over the bound, at once.
func TestBounds(t *testing.T) {
	r := start(t, func(o *Options) { o.IdleTimeout, o.MaxConns = time.Second, 2 })
	a, b := dial(t, r.addr), dial(t, r.addr)
	realproc.WaitFor(t, 10*time.Second, "both to be let in", func() bool { return r.conns.Load() == 2 })
	if text, err := io.ReadAll(dial(t, r.addr)); err != nil || !strings.HasPrefix(string(text), "HTTP/1.1 503 ") || !strings.HasSuffix(string(text), "Too many connections.\n") {
		t.Errorf("a third one: %q (%v)", text, err)
	}
	for _, c := range []net.Conn{a, b} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("a silent connection: %v", err)
		}
	}
	c := dial(t, r.addr)
	_, _ = io.WriteString(c, "GET /fast/1 HTTP/1.1\r\nHost: h\r\n\r\n")
	expect(t, bufio.NewReader(c), "GET", "fast", "0")
}

// A drain closes what is silent, lets requests under way end, and nobody in.
func TestDrain(t *testing.T) {
	r := start(t)
	idle, fast, posted, held := dial(t, r.addr), dial(t, r.addr), dial(t, r.addr), dial(t, r.addr)
	_, _ = io.WriteString(fast, "GET /fast/1 HTTP/1.1\r\nHost: h\r\n\r\n")
	expect(t, bufio.NewReader(fast), "GET", "fast", "0")
	_, _ = io.WriteString(posted, "POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
	expect(t, bufio.NewReader(posted), "POST", "slow", "POST /slow x")
	_, _ = io.WriteString(held, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n")
	realproc.WaitFor(t, 10*time.Second, "the request to be under way", func() bool {
		r.slow.Lock()
		defer r.slow.Unlock()
		return len(r.slow.conns) == 2
	})
	if err := r.stop(t, 200*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a request under way: %v", err)
	}
	for name, c := range map[string]net.Conn{"idle": idle, "fast": fast, "posted": posted} {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c, err := net.Dial("tcp", r.addr); err == nil {
		c.Close()
		t.Error("a new connection is let in")
	}
	close(r.hold)
	br := bufio.NewReader(held)
	expect(t, br, "GET", "slow", "GET /hold ")
	if _, err := br.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the last answer: %v", err)
	}
	if err := r.stop(t, 10*time.Second); err != nil {
		t.Error(err)
	}
}

// A client that ends its side with its request gets the answer, and then the end of the connection.
func TestHalfClosed(t *testing.T) {
	r := start(t)
	for _, target := range []string{"/fast/5", "/fast/5000000", "/slow"} {
		for range 20 {
			c := dial(t, r.addr)
			_, _ = io.WriteString(c, "GET "+target+" HTTP/1.1\r\nHost: h\r\n\r\n")
			_ = c.(*net.TCPConn).CloseWrite()
			if text, err := io.ReadAll(c); err != nil || !bytes.HasPrefix(text, []byte("HTTP/1.1 200 OK\r\n")) {
				t.Errorf("%s: %q (%v)", target, abridged(string(text)), err)
			}
			c.Close()
		}
	}
}

// Requests that the loop leaves to the server, to the letter.
func TestLeftToTheServer(t *testing.T) {
	r := start(t)
	for _, tt := range []struct{ request, answer string }{
		{"GET /fast/1 HTTP/1.0\r\nHost: h\r\n\r\n", "X-Way: slow"},
		{"GET /fast/1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "Connection: close"},
		{"GET /fast/1 HTTP/1.1\nHost: h\n\n", "400 Bad Request"},
		{"BAD\r\n\r\n", "400 Bad Request"},
		{"GET /fast/1 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nxy", "X-Way: slow"},
	} {
		c := dial(t, r.addr)
		_, _ = io.WriteString(c, tt.request)
		_ = c.(*net.TCPConn).CloseWrite()
		text, err := io.ReadAll(c)
		if err != nil || !strings.Contains(string(text), tt.answer) {
			t.Errorf("%q: %q (%v), want %q in it", tt.request, text, err, tt.answer)
		}
	}
	if n := r.fast.Load(); n != 0 {
		t.Errorf("%d were answered by the loop", n)
	}
}
