package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// rawBackend answers each request with the bytes that answers has for its target, and then closes the connection if close
// says so; other targets are answered with "sane".
func rawBackend(t *testing.T, answers map[string]oddAnswer) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				br := bufio.NewReader(c)
				for {
					r, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					a, odd := answers[r.RequestURI]
					if !odd {
						a.bytes = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\nCache-Control: no-store\r\n\r\nsane"
					}
					if _, err := io.WriteString(c, a.bytes); err != nil || a.close {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String()
}

// oddAnswer is an answer that no well-bred backend gives, and what a client has to get.
type oddAnswer struct {
	bytes  string
	close  bool // the connection ends with it
	status int
	body   string
	kept   bool     // a second client gets it from the cache
	has    []string // "Name: value" that a client gets, "!Name" that it must not
}

// Backends write whatever they like. What can be understood in one way only is passed on and kept, what cannot is a 502, and
// neither harms who comes next.
func TestOddBackends(t *testing.T) {
	const keep = "Content-Type: text/plain\r\nCache-Control: max-age=60\r\n"
	long := strings.Repeat("x", 12_000)
	answers := map[string]oddAnswer{
		"/http10":        {bytes: "HTTP/1.0 200 OK\r\n" + keep + "\r\nold", close: true, status: 200, body: "old", kept: true},
		"/until-close":   {bytes: "HTTP/1.1 200 OK\r\n" + keep + "\r\nto the end", close: true, status: 200, body: "to the end", kept: true},
		"/close":         {bytes: "HTTP/1.1 200 OK\r\n" + keep + "Connection: close\r\nContent-Length: 3\r\n\r\nbye", close: true, status: 200, body: "bye", kept: true, has: []string{"!Connection"}},
		"/chunked":       {bytes: "HTTP/1.1 200 OK\r\n" + keep + "Transfer-Encoding: chunked\r\n\r\n3;a=b;c=\"d\"\r\nabc\r\n2;x\r\nde\r\n0;y\r\n\r\n", status: 200, body: "abcde", kept: true},
		"/trailers":      {bytes: "HTTP/1.1 200 OK\r\n" + keep + "Transfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\nSet-Cookie: a=b\r\n\r\n", status: 200, body: "abc", kept: true, has: []string{"!Set-Cookie"}},
		"/both":          {bytes: "HTTP/1.1 200 OK\r\n" + keep + "Transfer-Encoding: chunked\r\nContent-Length: 99\r\n\r\n3\r\nabc\r\n0\r\n\r\n", status: 200, body: "abc", kept: true},
		"/cut":           {bytes: "HTTP/1.1 200 OK\r\n" + keep + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", close: true, status: -1},
		"/two-lengths":   {bytes: "HTTP/1.1 200 OK\r\n" + keep + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", status: 502},
		"/same-lengths":  {bytes: "HTTP/1.1 200 OK\r\n" + keep + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", status: 200, body: "abc", kept: true},
		"/bad-length":    {bytes: "HTTP/1.1 200 OK\r\n" + keep + "Content-Length: -3\r\n\r\nabc", status: 502},
		"/coding":        {bytes: "HTTP/1.1 200 OK\r\n" + keep + "Transfer-Encoding: strange\r\n\r\nabc", close: true, status: 502},
		"/fold":          {bytes: "HTTP/1.1 200 OK\r\n" + keep + "X-A: 1\r\n  2\r\nContent-Length: 3\r\n\r\nabc", status: 200, body: "abc", kept: true, has: []string{"X-A: 1 2"}},
		"/bare-lf":       {bytes: "HTTP/1.1 200 OK\nContent-Type: text/plain\nCache-Control: max-age=60\nContent-Length: 3\n\nabc", status: 200, body: "abc", kept: true},
		"/no-reason":     {bytes: "HTTP/1.1 200\r\n" + keep + "Content-Length: 3\r\n\r\nabc", status: 200, body: "abc", kept: true},
		"/lower-case":    {bytes: "HTTP/1.1 200 fine\r\ncontent-type: text/plain\r\ncache-control: max-age=60\r\ncontent-length: 3\r\nx-lower: 1\r\n\r\nabc", status: 200, body: "abc", kept: true, has: []string{"X-Lower: 1"}},
		"/white-space":   {bytes: "HTTP/1.1 200 OK\r\n" + keep + "X-A: \t 1 \t \r\nContent-Length:    3   \r\n\r\nabc", status: 200, body: "abc", kept: true, has: []string{"X-A: 1"}},
		"/colon":         {bytes: "HTTP/1.1 200 OK\r\n" + keep + "X-A : 1\r\nContent-Length: 3\r\n\r\nabc", status: 502},
		"/no-colon":      {bytes: "HTTP/1.1 200 OK\r\n" + keep + "Nonsense\r\nContent-Length: 3\r\n\r\nabc", status: 502},
		"/nul":           {bytes: "HTTP/1.1 200 OK\r\n" + keep + "X-A: 1\x002\r\nContent-Length: 3\r\n\r\nabc", status: 0},
		"/latin1":        {bytes: "HTTP/1.1 200 OK\r\n" + keep + "X-A: \xfc\r\nContent-Length: 3\r\n\r\nabc", status: 200, body: "abc", kept: true, has: []string{"X-A: \xfc"}},
		"/empty-fields":  {bytes: "HTTP/1.1 200 OK\r\n" + keep + "X-A:\r\nVary:\r\nContent-Length: 3\r\n\r\nabc", status: 200, body: "abc", kept: true},
		"/twice":         {bytes: "HTTP/1.1 200 OK\r\n" + keep + "X-A: 1\r\nX-B: 2\r\nX-A: 3\r\nContent-Length: 3\r\n\r\nabc", status: 200, body: "abc", kept: true, has: []string{"X-A: 1, 3", "X-B: 2"}},
		"/long-field":    {bytes: "HTTP/1.1 200 OK\r\n" + keep + "X-A: " + long + "\r\nContent-Length: 3\r\n\r\nabc", status: 200, body: "abc", has: []string{"X-A: " + long}},
		"/named":         {bytes: "HTTP/1.1 200 OK\r\n" + keep + "Connection: a, b, keep-alive\r\nA: 1\r\nB: 2\r\nC: 3\r\nContent-Length: 3\r\n\r\nabc", status: 200, body: "abc", kept: true, has: []string{"!A", "!B", "C: 3"}},
		"/hop-by-hop":    {bytes: "HTTP/1.1 200 OK\r\n" + keep + "Keep-Alive: x\r\nProxy-Authenticate: x\r\nProxy-Authentication-Info: x\r\nProxy-Connection: x\r\nTE: x\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\nabc", status: 200, body: "abc", kept: true, has: []string{"!Proxy-Authenticate", "!Proxy-Authentication-Info", "!Te", "!Upgrade"}},
		"/204":           {bytes: "HTTP/1.1 204 No Content\r\n" + keep + "\r\n", status: 204, kept: true},
		"/304-unasked":   {bytes: "HTTP/1.1 304 Not Modified\r\n" + keep + "Etag: \"1\"\r\n\r\n", status: 304},
		"/299":           {bytes: "HTTP/1.1 299 Whatever\r\n" + keep + "Content-Length: 3\r\n\r\nabc", status: 299, body: "abc", kept: true},
		"/499":           {bytes: "HTTP/1.1 499 Whatever\r\n" + keep + "Content-Length: 3\r\n\r\nabc", status: 499, body: "abc", kept: true},
		"/599":           {bytes: "HTTP/1.1 599 Whatever\r\n" + keep + "Content-Length: 3\r\n\r\nabc", status: 599, body: "abc", kept: true},
		"/600":           {bytes: "HTTP/1.1 600 Whatever\r\n" + keep + "Content-Length: 3\r\n\r\nabc", status: 600, body: "abc", kept: true},
		"/999":           {bytes: "HTTP/1.1 999 Whatever\r\n" + keep + "Content-Length: 3\r\n\r\nabc", status: 999, body: "abc", kept: true},
		"/1000":          {bytes: "HTTP/1.1 1000 Whatever\r\n" + keep + "Content-Length: 3\r\n\r\nabc", status: 502},
		"/101":           {bytes: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", status: 502},
		"/1xx":           {bytes: "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Hint: 1\r\n\r\nHTTP/1.1 199 Odd\r\n\r\nHTTP/1.1 200 OK\r\n" + keep + "Content-Length: 3\r\n\r\nabc", status: 200, body: "abc", kept: true, has: []string{"!X-Hint"}},
		"/surplus":       {bytes: "HTTP/1.1 200 OK\r\n" + keep + "Content-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", close: true, status: 200, body: "abc", kept: true},
		"/surplus-head":  {bytes: "HTTP/1.1 204 No Content\r\n" + keep + "Content-Length: 4\r\n\r\nevil", close: true, status: 204},
		"/http2":         {bytes: "HTTP/2.0 200 OK\r\n" + keep + "Content-Length: 3\r\n\r\nabc", status: 0},
		"/no-http":       {bytes: "hello\r\n\r\n", close: true, status: 502},
		"/nothing":       {bytes: "", close: true, status: 502},
		"/query?a=1&b=2": {bytes: "HTTP/1.1 200 OK\r\n" + keep + "Content-Length: 3\r\n\r\none", status: 200, body: "one", kept: true},
		"/query?b=2&a=1": {bytes: "HTTP/1.1 200 OK\r\n" + keep + "Content-Length: 3\r\n\r\ntwo", status: 200, body: "two", kept: true},
	}
	url := rawBackend(t, answers)
	cache, _ := startCache(t, "cacheserver")
	filler, _ := startFiller(t, url, cache, "--ttl", "0")
	gateway, _ := startGateway(t, url, "--ttl", "0")
	for door, addr := range map[string]string{"nginx": startNginx(t, cache, filler), "filler": filler, "gateway": gateway} {
		t.Run(door, func(t *testing.T) {
			for target, want := range answers {
				want.judge(t, addr, door == "gateway", target)
			}
			for range 20 { // nothing that an odd answer left behind is taken for the answer to another
				if a := fetch(t, addr, "/sane"); a.status != 200 || a.body != "sane" {
					t.Fatalf("%+v", a)
				}
			}
		})
	}
}

// judge asks for an odd answer, and for it again.
func (o *oddAnswer) judge(t *testing.T, addr string, again bool, target string) {
	t.Helper()
	a, err := tryFetch(addr, target)
	switch {
	case o.status == 0: // it is not said which, only that it does no harm
		return
	case o.status < 0:
		if err == nil {
			t.Errorf("%s: %+v", target, a)
		}
		return
	}
	if err != nil || a.status != o.status || o.body != "" && a.body != o.body {
		t.Errorf("%s: %v %.200s, want %d %q", target, err, fmt.Sprint(a), o.status, o.body)
		return
	}
	o.fields(t, target, a)
	if again && o.kept {
		second := fetchHit(t, addr, target)
		if second.status != o.status || second.body != a.body {
			t.Errorf("%s: from the cache %.200s, want %d %q", target, fmt.Sprint(second), o.status, o.body)
		}
		o.fields(t, target, second)
	}
}

func (o *oddAnswer) fields(t *testing.T, target string, a answer) {
	t.Helper()
	for _, want := range o.has {
		name, value, _ := strings.Cut(want, ": ")
		if missing, ok := strings.CutPrefix(name, "!"); ok && a.header.Get(missing) == "" {
			continue
		}
		if got := strings.Join(a.header[name], ", "); got != value || value == "" {
			t.Errorf("%s: %s: %.100q, want %.100q", target, name, got, want)
		}
	}
}
