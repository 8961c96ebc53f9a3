package main

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

// rawly answers with the bytes given, and nothing of net/http's.
func rawly(w http.ResponseWriter, answer string) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	_, _ = io.WriteString(c, answer)
}

// connect opens a connection to a gateway.
func (g *running) connect() (net.Conn, *bufio.Reader) {
	g.t.Helper()
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c, bufio.NewReader(c)
}

// raw sends bytes on a connection of their own, and returns all that comes until its end.
func (g *running) raw(request string) string {
	g.t.Helper()
	c, r := g.connect()
	if _, err := io.WriteString(c, request); err != nil {
		g.t.Fatal(err)
	}
	all, err := io.ReadAll(r)
	if err != nil {
		g.t.Fatalf("%q: %v after %q", request, err, all)
	}
	return string(all)
}

// withTrailers is a page whose last fields come behind it, some of which may not.
const withTrailers = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nX-Ahead: 1\r\nTransfer-Encoding: chunked\r\n" +
	"Trailer: X-Sum, Set-Cookie, Cache-Control, X-Ahead, Etag\r\n\r\n" +
	"4\r\npage\r\n0\r\nX-Sum: 42\r\nX-Sum: 43\r\nSet-Cookie: sid=1\r\nCache-Control: no-store\r\nX-Ahead: 2\r\nContent-Length: 99\r\n" +
	"Etag: \"late\"\r\nX-Unannounced: 1\r\nConnection: close\r\n\r\n"

// What a backend sends behind a page is no part of the page's head: neither of the one that is kept nor of anybody's answer
// (RFC 9110, section 6.5.1; RFC 9112, section 7.1.2).
func TestTrailersOfAPageAreNotKept(t *testing.T) {
	g := runGateway(t, "", func(w http.ResponseWriter, _ *http.Request) { rawly(w, withTrailers) })
	const get = "GET /page HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE, close\r\n\r\n"
	first := g.raw(get)
	if !g.hits("/page") {
		t.Fatal("not kept: its Cache-Control came too late to count")
	}
	for what, answer := range map[string]string{"the first answer": first, "a hit": g.raw(get)} {
		head, _, _ := strings.Cut(answer, "\r\n\r\n")
		for _, late := range []string{"X-Sum", "sid=1", "no-store", "X-Ahead: 2", "X-Unannounced", "99", `"late"`, "Trailer"} {
			if strings.Contains(answer, late) {
				t.Errorf("%s has %s: %q", what, late, answer)
			}
		}
		if !strings.HasPrefix(head, "HTTP/1.1 200 OK") || !strings.Contains(head, "X-Ahead: 1") {
			t.Errorf("%s: %q", what, answer)
		}
	}
}

// A pass's go on to a client that takes them: those that may come late, and as trailers.
func TestTrailersOfAPass(t *testing.T) {
	g := runGateway(t, "", func(w http.ResponseWriter, _ *http.Request) { rawly(w, withTrailers) })
	for _, tt := range []struct{ version, te, want string }{
		{"1.1", "TE: trailers\r\n", "4\r\npage\r\n0\r\nX-Sum: 42\r\nX-Sum: 43\r\nEtag: \"late\"\r\n\r\n"},
		{"1.1", "TE: deflate;q=0.5, Trailers\r\n", "4\r\npage\r\n0\r\nX-Sum: 42\r\nX-Sum: 43\r\nEtag: \"late\"\r\n\r\n"},
		{"1.1", "", "4\r\npage\r\n0\r\n\r\n"},
		{"1.1", "TE: gzip\r\n", "4\r\npage\r\n0\r\n\r\n"},
		{"1.0", "TE: trailers\r\n", "page"},
	} {
		answer := g.raw("GET /page HTTP/" + tt.version + "\r\nHost: x\r\nCookie: sid=1\r\n" + tt.te + "Connection: TE, close\r\n\r\n")
		head, body, _ := strings.Cut(answer, "\r\n\r\n")
		announced := tt.te != "" && len(tt.want) > 20
		if !alikeButForOrder(body, tt.want) || strings.Contains(head, "Trailer: ") != announced || strings.Contains(head, "no-store") {
			t.Errorf("HTTP/%s, %q:\n%q\nwant %q", tt.version, tt.te, answer, tt.want)
		}
	}
}

// alikeButForOrder compares two texts line by line, in any order.
func alikeButForOrder(a, b string) bool {
	left := strings.Split(b, "\r\n")
	for _, line := range strings.Split(a, "\r\n") {
		found := false
		for i := range left {
			if found = left[i] == line; found {
				left = append(left[:i], left[i+1:]...)
				break
			}
		}
		if !found {
			return false
		}
	}
	return len(left) == 0
}

// A client's trailers end at the gateway: to a backend that merges them they would be fields that nobody has looked at.
func TestTrailersOfAClient(t *testing.T) {
	g := runGateway(t, "", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d %v %v %v", len(body), err, r.Header["X-Forwarded-For"], r.Header["X-User"])
	})
	for name, trailers := range map[string]string{
		"announced":   "X-User: late\r\n",
		"unannounced": "X-Other: late\r\n",
		"none":        "",
	} {
		for _, length := range []int{4, 200_000} { // at once, and while it arrives
			body := strings.Repeat("x", length)
			answer := g.raw("POST /upload HTTP/1.1\r\nHost: x\r\nX-User: ahead\r\nTransfer-Encoding: chunked\r\nTrailer: X-User\r\nConnection: close\r\n\r\n" +
				fmt.Sprintf("%x\r\n%s\r\n0\r\n%s\r\n", length, body, trailers))
			if !strings.HasPrefix(answer, "HTTP/1.1 200 OK") || !strings.Contains(answer, fmt.Sprint(length)+" <nil> [127.0.0.1] [ahead]") {
				t.Errorf("%s, %d bytes: %.300q", name, length, answer)
			}
			if r := g.last(); len(r.Trailer) != 0 || strings.Contains(fmt.Sprint(r.Header, r.Host), "late") {
				t.Errorf("%s: the backend got %v, trailers %v", name, r.Header, r.Trailer)
			}
		}
	}
	for _, forbidden := range []string{"X-Forwarded-For: 10.0.0.1", "Cookie: sid=late", "Authorization: late", "Content-Length: 3", "Host: late", "Transfer-Encoding: chunked"} {
		answer := g.raw("POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n" + forbidden + "\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 400 ") || strings.Count(answer, "HTTP/1.1 ") != 1 || !strings.Contains(answer, "detail=bad-request") {
			t.Errorf("%s: %q", forbidden, answer)
		}
	}
}

// A client that waits for leave to send its content is given it at once, whatever the backend thinks (RFC 9110, section
// 10.1.1), and the backend is not asked to wait.
func TestExpectContinue(t *testing.T) {
	g := runGateway(t, "", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d %v %q", len(body), err, r.Header.Get("Expect"))
	})
	const head = "Host: x\r\nConnection: close\r\n"
	for _, length := range []int{5, 300_000} {
		for name, framing := range map[string][2]string{
			"a length": {fmt.Sprintf("Content-Length: %d\r\n", length), strings.Repeat("x", length)},
			"chunks":   {"Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", length, strings.Repeat("x", length))},
		} {
			c, r := g.connect()
			fmt.Fprintf(c, "PUT /upload HTTP/1.1\r\n%sExpect: 100-Continue\r\n%s\r\n", head, framing[0])
			leave, err := r.ReadString('\n')
			if _, empty := r.ReadString('\n'); err != nil || empty != nil || leave != "HTTP/1.1 100 Continue\r\n" {
				t.Fatalf("%s: %q, %v", name, leave, err)
			}
			_, _ = io.WriteString(c, framing[1])
			final, err := io.ReadAll(r)
			if err != nil || !strings.HasPrefix(string(final), "HTTP/1.1 200 OK") || !strings.Contains(string(final), fmt.Sprintf(`%d <nil> ""`, length)) {
				t.Errorf("%s: %q, %v", name, final, err)
			}
		}
	}
	for name, tt := range map[string]struct{ request, want string }{
		"HTTP/1.0 knows no 1xx":   {"PUT /a HTTP/1.0\r\n" + head + "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 200 OK"},
		"no content to wait with": {"GET /b HTTP/1.1\r\n" + head + "Expect: 100-continue\r\n\r\n", "HTTP/1.1 "},
		"another expectation":     {"PUT /c HTTP/1.1\r\n" + head + "Expect: a-miracle\r\nContent-Length: 1\r\n\r\nx", "HTTP/1.1 200 OK"},
	} {
		if answer := g.raw(tt.request); !strings.HasPrefix(answer, tt.want) || !strings.Contains(answer, "200 OK") {
			t.Errorf("%s: %q", name, answer)
		}
	}
}
