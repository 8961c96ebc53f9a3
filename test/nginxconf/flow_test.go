package nginxconf_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMissAndHit asks for a page before and after it is stored: the filler gets the client's own request target and
// Host, and then is not asked any more.
func TestMissAndHit(t *testing.T) {
	targets := []struct{ target, wireKey, arrives string }{
		{"/", "/?", "/"},
		{"/a%20b//c/../d?x=%20b&x", "/a%20b/d?x=%2520b&x", "/a%20b//c/../d?x=%20b&x"},
		{"/%C3%A9.html", "/\xc3\xa9.html?", "/%C3%A9.html"},
		{"http://other.example/abs?q", "/abs?q", "/abs?q"},
	}
	forEach(t, allLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		for _, c := range targets {
			wantFilled(t, d.ask(t, get(c.target, "X-Any: thing")), c.arrives)
			got := d.arrivals()
			if len(got) != 1 {
				t.Fatalf("%s: %d requests reached the filler, want 1", c.target, len(got))
			}
			if a := got[0]; a.Method != "GET" || a.Target != c.arrives || a.Host != siteHost || a.Header.Get("X-Any") != "thing" {
				t.Errorf("%s reached the filler as %+v", c.target, a)
			}
			d.store(t, c.wireKey, "page of "+c.target, 0)
			wantHit(t, d.ask(t, get(c.target)), "page of "+c.target)
			if got := d.arrivals(); len(got) != 0 {
				t.Errorf("%s: asked the filler on a hit: %+v", c.target, got)
			}
		}
	})
}

// TestForwarded checks what the filler is told about the client.
func TestForwarded(t *testing.T) {
	forEach(t, tunedLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		d.ask(t, get("/", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "Connection: close"))
		got := d.arrivals()
		if len(got) != 1 {
			t.Fatalf("%d requests reached the filler", len(got))
		}
		want := http.Header{"X-Forwarded-For": {"192.0.2.1, 127.0.0.1"}, "X-Forwarded-Proto": {"http"}}
		if diff := cmp.Diff(want, got[0].Header); diff != "" {
			t.Errorf("fields that reached the filler (-want +got):\n%s", diff)
		}
	})
}

// TestHostless checks that a client without a Host, which HTTP/1.0 allows, is answered.
func TestHostless(t *testing.T) {
	forEach(t, tunedLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		c := dial(t, d.addr)
		c.send("GET /old HTTP/1.0\r\n\r\n")
		wantFilled(t, c.answer("GET"), "/old")
		if got := d.arrivals(); len(got) != 1 || got[0].Host != "localhost" {
			t.Errorf("reached the filler as %+v", got)
		}
	})
}

// TestOtherMethods sends what the cache cannot answer, large bodies too, for a page that is in the cache.
func TestOtherMethods(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 1<<16) // goes through a temporary file
	cases := []struct{ method, body string }{
		{"POST", ""}, {"POST", "a=1&b=%20"}, {"POST", large}, {"PUT", "x"}, {"PATCH", "{}"}, {"DELETE", ""}, {"OPTIONS", ""},
	}
	forEach(t, allLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		d.store(t, "/form?x=%2520", "a page", 0)
		for _, c := range cases {
			name := fmt.Sprintf("%s with %d bytes", c.method, len(c.body))
			wantFilled(t, d.ask(t, request{method: c.method, target: "/form?x=%20", body: c.body}), "/form?x=%20")
			got := d.arrivals()
			if len(got) != 1 {
				t.Fatalf("%s: %d requests reached the filler", name, len(got))
			}
			if a := got[0]; a.Method != c.method || a.Target != "/form?x=%20" || a.Body != c.body || a.Host != siteHost {
				t.Errorf("%s did not reach the filler as it was: %s %s, %d bytes, Host %s", name, a.Method, a.Target, len(a.Body), a.Host)
			}
		}
	})
}

// TestGetWithBody: on its way to the cache nginx drops a GET's body, so such a request must not go that way.
func TestGetWithBody(t *testing.T) {
	forEach(t, tunedLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		d.store(t, "/search?", "a page", 0)
		length := request{target: "/search", body: "query"}
		chunked := get("/search", "Transfer-Encoding: chunked")
		c := dial(t, d.addr)
		wantFilled(t, c.ask(length), "/search")
		c.send(chunked.wire() + "5\r\nquery\r\n0\r\n\r\n")
		wantFilled(t, c.answer("GET"), "/search")
		got := d.arrivals()
		if len(got) != 2 || got[0].Body != "query" || got[1].Body != "query" {
			t.Errorf("reached the filler as %+v, want the body twice", got)
		}
		wantHit(t, c.ask(get("/search", "Content-Length: 0")), "a page")
	})
}

// TestExpectContinue: a client that waits for 100 before it sends its body must not wait in vain.
func TestExpectContinue(t *testing.T) {
	forEach(t, allLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		c := dial(t, d.addr)
		r := request{method: "POST", target: "/upload", fields: []string{"Expect: 100-continue"}, body: "later"}
		head, _ := strings.CutSuffix(r.wire(), r.body)
		c.send(head)
		if resp := c.response("POST"); resp.StatusCode != http.StatusContinue {
			t.Fatalf("got %s, want 100", resp.Status)
		}
		c.send(r.body)
		wantFilled(t, c.answer("POST"), "/upload")
		if got := d.arrivals(); len(got) != 1 || got[0].Body != r.body {
			t.Errorf("reached the filler as %+v", got)
		}
	})
}

// TestUploadLimit checks that nginx's own limit of a mebibyte is gone and that there is one.
func TestUploadLimit(t *testing.T) {
	forEach(t, tunedLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		c := dial(t, d.addr)
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 67108865\r\n\r\n")
		if a := c.answer("POST"); a.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("64 MiB and a byte: got %d", a.Status)
		}
		body := strings.Repeat("x", 2<<20)
		wantFilled(t, d.ask(t, request{method: "POST", target: "/", body: body}), "/")
	})
}

// TestStreaming holds back the second half of an answer until the client has the first: if nginx held that back in turn,
// neither would move.
func TestStreaming(t *testing.T) {
	forEach(t, tunedLayouts, func(t *testing.T, l layout) {
		haveFirst := make(chan struct{})
		d := openWith(t, l, nil, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "first,")
			w.(http.Flusher).Flush()
			select {
			case <-haveFirst:
				io.WriteString(w, "second")
			case <-r.Context().Done():
			}
		})
		c := dial(t, d.addr)
		c.send(get("/events").wire())
		resp := c.response("GET")
		first := make([]byte, len("first,"))
		if _, err := io.ReadFull(resp.Body, first); err != nil {
			t.Fatalf("the first part did not come by itself: %v", err)
		}
		close(haveFirst)
		rest, err := io.ReadAll(resp.Body)
		if got := string(first) + string(rest); err != nil || got != "first,second" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// TestSlowClient: a client that does not read must not hold up the filler. The answer is larger than all the sockets'
// buffers on its way.
func TestSlowClient(t *testing.T) {
	const size = 48 << 20
	written := make(chan struct{})
	d := openWith(t, overTCP, nil, func(w http.ResponseWriter, _ *http.Request) {
		defer close(written)
		piece := make([]byte, 1<<20)
		for range size / len(piece) {
			if _, err := w.Write(piece); err != nil {
				t.Errorf("the filler's answer was broken off: %v", err)
				return
			}
		}
	})
	c := dial(t, d.addr)
	c.send(get("/large").wire())
	select {
	case <-written:
	case <-time.After(patience):
		t.Fatal("the filler waits for the client")
	}
	if a := c.answer("GET"); len(a.Body) != size {
		t.Errorf("got %d bytes, want %d", len(a.Body), size)
	}
}

// TestStatusOfFiller: whatever the filler answers is the client's answer, the statuses too that location / turns into a
// fallback.
func TestStatusOfFiller(t *testing.T) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			status = http.StatusInternalServerError
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, "as the filler says: %d", status)
	}
	forEach(t, allLayouts, func(t *testing.T, l layout) {
		d := openWith(t, l, nil, answer)
		c := dial(t, d.addr)
		for _, status := range []int{200, 404, 405, 410, 418, 500, 502, 503, 504} {
			a := c.ask(get(fmt.Sprintf("/%d", status)))
			if a.Status != status || a.Body != fmt.Sprintf("as the filler says: %d", status) {
				t.Errorf("the filler's %d became %d %q", status, a.Status, a.Body)
			}
		}
	})
}
