package edge

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"pagegate/internal/door"
	"pagegate/internal/fill"
	"pagegate/internal/listen"
	"pagegate/internal/loop"
	"pagegate/internal/metrics"
	"pagegate/internal/origin"
	"pagegate/internal/pagecache/embedded"
	"pagegate/internal/pagekey"
	"pagegate/internal/policy"
	"pagegate/internal/realproc"
)

// site is a backend that answers by the request's target.
type site struct {
	asked atomic.Int64
	pages map[string]func(*origin.Request) (*origin.Response, error)
	// fallback, if set, answers for every other target.
	fallback func(*origin.Request) (*origin.Response, error)
}

func (s *site) Fetch(_ context.Context, r *origin.Request) (*origin.Response, error) {
	s.asked.Add(1)
	if page, ok := s.pages[r.Target]; ok {
		return page(r)
	}
	if s.fallback != nil {
		return s.fallback(r)
	}
	return reply(404, "text/plain", "no such page"), nil
}

func (s *site) Close() error { return nil }

func reply(status int, contentType, body string, fields ...string) *origin.Response {
	h := http.Header{}
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	for i := 0; i < len(fields); i += 2 {
		h.Add(fields[i], fields[i+1])
	}
	return &origin.Response{Status: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// fixed answers every request alike.
func fixed(status int, contentType, body string, fields ...string) func(*origin.Request) (*origin.Response, error) {
	return func(*origin.Request) (*origin.Response, error) {
		return reply(status, contentType, body, fields...), nil
	}
}

const html = "text/html; charset=utf-8"

func gz(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, s)
	w.Close()
	return b.String()
}

// newEdge makes a gateway's front over a site, with its own store.
func newEdge(t testing.TB, s *site, change ...func(*fill.Options)) *Edge {
	t.Helper()
	o := fill.Options{Origin: s, Policy: &policy.Policy{
		TTL: time.Minute, Stale: time.Hour, MaxBody: 1 << 20,
		Cookies: policy.NewCookieRule([]string{"_ga*"}),
		Nginx:   policy.NginxView{DefaultType: html},
	}}
	for _, f := range change {
		f(&o)
	}
	return edgeOf(t, o)
}

// edgeOf makes a gateway's front with a store of its own of options that name neither a cache nor metrics, for one host.
func edgeOf(t testing.TB, o fill.Options) *Edge {
	t.Helper()
	cache, err := embedded.New(embedded.Options{Memory: 16 << 20, Now: o.Now})
	if err != nil {
		t.Fatal(err)
	}
	o.Cache, o.Metrics, o.Log, o.Hosts = cache, metrics.New(), zerolog.Nop(), fill.Hosts{Canonical: "site.example"}
	f := fill.New(o)
	t.Cleanup(func() {
		f.Close()
		cache.Close()
	})
	key, err := pagekey.Parse(pagekey.Default)
	if err != nil {
		t.Fatal(err)
	}
	d := &door.Door{Key: key, Policy: o.Policy, Fill: f, Metrics: o.Metrics, Log: zerolog.Nop(), Now: o.Now}
	return &Edge{Door: d, Cache: cache, Now: o.Now}
}

// serve lets a front answer connections as the program does, from event loops, and returns what dials one.
func serve(t testing.TB, e *Edge) func() net.Conn {
	t.Helper()
	server, err := loop.New(loop.Options{
		Fast: e.Fast, Server: door.NewServer(e.Handle, zerolog.Nop()), Patient: listen.Patient, IdleTimeout: time.Minute, Workers: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	l := listenAnywhere(t)
	return serveBy(t, l, func() error { return server.Serve(l.(loop.Listener)) }, server.ShutdownWithContext)
}

func listenAnywhere(t testing.TB) net.Listener {
	t.Helper()
	l, err := listen.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serveBy runs a server on a listener until the test's end, and returns what dials it.
func serveBy(t testing.TB, l net.Listener, serve func() error, shutdown func(context.Context) error) func() net.Conn {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := serve(); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := shutdown(ctx); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a raw request and reads the answer.
func ask(t testing.TB, c net.Conn, request string) answer {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func request(method, target string, fields ...string) string {
	s := method + " " + target + " HTTP/1.1\r\nHost: client.example\r\n"
	for i := 0; i < len(fields); i += 2 {
		s += fields[i] + ": " + fields[i+1] + "\r\n"
	}
	return s + "\r\n"
}

// hit asks until the page is in the cache.
func hit(t testing.TB, c net.Conn, req string) (a answer) {
	t.Helper()
	realproc.WaitFor(t, 10*time.Second, fmt.Sprintf("a hit for %q", req), func() bool {
		a = ask(t, c, req)
		return strings.Contains(a.header.Get("Cache-Status"), "; hit")
	})
	return a
}

func TestMissThenHit(t *testing.T) {
	s := &site{pages: map[string]func(*origin.Request) (*origin.Response, error){
		"/a?x=1": fixed(200, html, "page", "X-Frame-Options", "DENY", "Etag", `"v1"`),
	}}
	c := serve(t, newEdge(t, s))()
	first := ask(t, c, request("GET", "/a?x=1"))
	if first.status != 200 || first.body != "page" || first.header.Get("Cache-Status") != "pagegate; fwd=uri-miss; fwd-status=200; stored" {
		t.Errorf("%+v", first)
	}
	second := hit(t, c, request("GET", "/%61?x=1#top"))
	if second.body != "page" || second.header.Get("X-Frame-Options") != "DENY" || second.header.Get("Content-Type") != html ||
		second.header.Get("Age") != "0" || !strings.HasPrefix(second.header.Get("Cache-Status"), "pagegate; hit; ttl=") {
		t.Errorf("%+v", second)
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("the backend was asked %d times", n)
	}
}

func TestHead(t *testing.T) {
	s := &site{pages: map[string]func(*origin.Request) (*origin.Response, error){"/a": func(r *origin.Request) (*origin.Response, error) {
		resp := reply(200, html, "page")
		resp.Header.Set("Content-Length", "4")
		if r.Method == "HEAD" {
			resp.Body = io.NopCloser(strings.NewReader(""))
		}
		return resp, nil
	}}}
	c := serve(t, newEdge(t, s))()
	for range 2 { // it stores nothing
		if a := ask(t, c, request("HEAD", "/a")); a.status != 200 || a.header.Get("Content-Length") != "4" || a.body != "" ||
			!strings.Contains(a.header.Get("Cache-Status"), "fwd=uri-miss") {
			t.Errorf("%+v", a)
		}
	}
	hit(t, c, request("GET", "/a"))
	if a := hit(t, c, request("HEAD", "/a")); a.header.Get("Content-Length") != "4" || a.body != "" {
		t.Errorf("a HEAD on a hit: %+v", a)
	}
}

func TestConditional(t *testing.T) {
	const modified = "Mon, 05 Jan 2026 10:00:00 GMT"
	s := &site{pages: map[string]func(*origin.Request) (*origin.Response, error){
		"/a": fixed(200, html, "page", "Etag", `W/"v1"`, "Last-Modified", modified),
	}}
	c := serve(t, newEdge(t, s))()
	hit(t, c, request("GET", "/a"))
	for _, tt := range []struct {
		name, field, value string
		want               int
	}{
		{"the same tag", "If-None-Match", `"v1"`, 304},
		{"one of several", "If-None-Match", `"x", W/"v1"`, 304},
		{"any", "If-None-Match", "*", 304},
		{"another", "If-None-Match", `"v2"`, 200},
		{"garbage", "If-None-Match", `v1"`, 200},
		{"not since", "If-Modified-Since", modified, 304},
		{"later", "If-Modified-Since", "Mon, 05 Jan 2026 11:00:00 GMT", 304},
		{"since", "If-Modified-Since", "Mon, 05 Jan 2026 09:00:00 GMT", 200},
		{"no date", "If-Modified-Since", "yesterday", 200},
	} {
		a := ask(t, c, request("GET", "/a", tt.field, tt.value))
		if a.status != tt.want || (a.body == "") != (tt.want == 304) || a.header.Get("Etag") != `W/"v1"` {
			t.Errorf("%s: %+v", tt.name, a)
		}
	}
}

func TestPersonalRequestsNeitherFillNorRead(t *testing.T) {
	s := &site{pages: map[string]func(*origin.Request) (*origin.Response, error){"/a": func(r *origin.Request) (*origin.Response, error) {
		return reply(200, html, "for ["+r.Header.Get("Cookie")+r.Header.Get("Authorization")+"]"), nil
	}}}
	c := serve(t, newEdge(t, s))()
	for _, f := range [][]string{{"Cookie", "sid=1"}, {"Authorization", "Basic x"}} {
		for range 2 {
			if a := ask(t, c, request("GET", "/a", f...)); a.body != "for ["+f[1]+"]" || !strings.Contains(a.header.Get("Cache-Status"), "fwd=bypass") {
				t.Errorf("%+v", a)
			}
		}
	}
	if a := ask(t, c, request("GET", "/a", "Cookie", "_ga=1")); a.body != "for []" {
		t.Errorf("the first shared one: %+v", a)
	}
	hit(t, c, request("GET", "/a"))
	if a := ask(t, c, request("GET", "/a", "Cookie", "_ga=1; sid=1")); a.body != "for [_ga=1; sid=1]" {
		t.Errorf("%+v", a)
	}
}

func TestGzipPageForAClientWithoutGzip(t *testing.T) {
	s := &site{pages: map[string]func(*origin.Request) (*origin.Response, error){
		"/a": fixed(200, html, gz("plain text"), "Content-Encoding", "gzip", "Vary", "Accept-Encoding", "Etag", `"v1"`),
	}}
	c := serve(t, newEdge(t, s))()
	for range 2 { // as a miss and as a hit
		if a := ask(t, c, request("GET", "/a")); a.body != "plain text" || a.header.Get("Content-Encoding") != "" || a.header.Get("Etag") != `W/"v1"` {
			t.Errorf("%+v", a)
		}
		hit(t, c, request("GET", "/a"))
	}
	if a := hit(t, c, request("GET", "/a", "Accept-Encoding", "br, gzip;q=0.5")); a.body != gz("plain text") || a.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%+v", a)
	}
	if a := hit(t, c, request("GET", "/a", "Accept-Encoding", "gzip;q=0, *")); a.body != "plain text" {
		t.Errorf("%+v", a)
	}
}

func TestBadTargetsAre400(t *testing.T) {
	e := newEdge(t, &site{})
	dial := serve(t, e)
	for _, target := range []string{"/..", "/a%zz", "/%00", "*", "a"} {
		if a := ask(t, dial(), request("GET", target)); a.status != 400 {
			t.Errorf("%s: %d", target, a.status)
		}
	}
	if a := ask(t, dial(), "GET / HTTP/1.1\r\n\r\n"); a.status != 400 {
		t.Errorf("without a Host: %d", a.status)
	}
}

func TestBackendGone(t *testing.T) {
	s := &site{pages: map[string]func(*origin.Request) (*origin.Response, error){
		"/refused": func(*origin.Request) (*origin.Response, error) {
			return nil, &origin.Error{Kind: origin.KindConnect, Err: fmt.Errorf("refused")}
		},
		"/slow": func(*origin.Request) (*origin.Response, error) {
			return nil, &origin.Error{Kind: origin.KindTimeout, Err: fmt.Errorf("slow")}
		},
	}}
	c := serve(t, newEdge(t, s))()
	for target, want := range map[string]int{"/refused": 502, "/slow": 504} {
		if a := ask(t, c, request("GET", target)); a.status != want || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %+v", target, a)
		}
	}
}

func TestPostIsForwarded(t *testing.T) {
	s := &site{pages: map[string]func(*origin.Request) (*origin.Response, error){"/form": func(r *origin.Request) (*origin.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		return reply(200, html, fmt.Sprintf("%s of %d bytes, %d read", r.Method, r.ContentLength, len(body))), nil
	}}}
	c := serve(t, newEdge(t, s))()
	for _, n := range []int{0, 10, 300_000} {
		req := request("POST", "/form", "Content-Length", fmt.Sprint(n)) + strings.Repeat("x", n)
		if n == 0 {
			continue // a POST without content has no body to read
		}
		if a := ask(t, c, req); a.body != fmt.Sprintf("POST of %d bytes, %d read", n, n) {
			t.Errorf("%q", a.body)
		}
	}
	chunked := request("POST", "/form", "Transfer-Encoding", "chunked") + "5\r\nhello\r\n0\r\n\r\n"
	if a := ask(t, c, chunked); a.body != "POST of -1 bytes, 5 read" {
		t.Errorf("%q", a.body)
	}
}

// prepared returns a request on a page that is in the cache.
func prepared(t testing.TB, e *Edge, c net.Conn) *fasthttp.RequestCtx {
	t.Helper()
	hit(t, c, request("GET", "/a?x=1"))
	var ctx fasthttp.RequestCtx
	var req fasthttp.Request
	if err := req.Read(bufio.NewReader(strings.NewReader(request("GET", "/a?x=1", "User-Agent", "t", "Cookie", "_ga=1")))); err != nil {
		t.Fatal(err)
	}
	ctx.Init(&req, nil, nil)
	return &ctx
}

func hitSite() *site {
	return &site{pages: map[string]func(*origin.Request) (*origin.Response, error){
		"/a?x=1": fixed(200, html, strings.Repeat("x", 16000), "Etag", `"v1"`),
	}}
}

func BenchmarkHit(b *testing.B) {
	e := newEdge(b, hitSite())
	ctx := prepared(b, e, serve(b, e)())
	b.ReportAllocs()
	for b.Loop() {
		ctx.Response.Reset()
		e.Handle(ctx)
	}
}

// Whoever spells a target oddly reads the page of its key, and never decides what that page is.
func TestOddSpellingsNeverFill(t *testing.T) {
	s := &site{pages: map[string]func(*origin.Request) (*origin.Response, error){
		"/shop":   fixed(200, html, "the shop"),
		"//shop":  fixed(301, html, "", "Location", "/evil", "Cache-Control", "max-age=3600"),
		"/a?b":    fixed(200, html, "a with b"),
		"/a%3Fb":  fixed(200, html, "another page", "Cache-Control", "max-age=3600"),
		"/x/../a": fixed(404, html, "nothing", "Cache-Control", "max-age=3600"),
	}}
	c := serve(t, newEdge(t, s))()
	for _, odd := range []string{"//shop", "/a%3Fb", "/x/../a"} {
		if a := ask(t, c, request("GET", odd)); !strings.Contains(a.header.Get("Cache-Status"), "detail=spelling") {
			t.Errorf("%s: %+v", odd, a)
		}
	}
	for target, want := range map[string]string{"/shop": "the shop", "/a?b": "a with b"} {
		if a := hit(t, c, request("GET", target)); a.status != 200 || a.body != want {
			t.Errorf("%s: %+v", target, a)
		}
	}
	if a := ask(t, c, request("GET", "//shop")); a.body != "the shop" {
		t.Errorf("nginx answers //shop with the page of /shop, too: %+v", a)
	}
}
