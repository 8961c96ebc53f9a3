package origin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// day is a date for answers whose every field is compared.
const day = "Mon, 02 Jan 2006 15:04:05 GMT"

func TestHandlerAnswers(t *testing.T) {
	write := func(s string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { _, _ = io.WriteString(w, s) }
	}
	status := func(code int) func(http.ResponseWriter) { return func(w http.ResponseWriter) { w.WriteHeader(code) } }
	field := func(name, value string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) { w.Header().Add(name, value) }
	}
	flush := func(w http.ResponseWriter) { w.(http.Flusher).Flush() }
	const html = "text/html; charset=utf-8"
	long := strings.Repeat("<p>", handlerBuffer)
	for name, c := range map[string]struct {
		method string
		do     []func(http.ResponseWriter)
		status int
		body   string
		length int64
		header http.Header
	}{
		"nothing": {"GET", nil, 200, "", 0, http.Header{"Content-Length": {"0"}}},
		"a short body": {"GET", []func(http.ResponseWriter){write("<p>hi")}, 200, "<p>hi", 5,
			http.Header{"Content-Length": {"5"}, "Content-Type": {html}}},
		"a status": {"GET", []func(http.ResponseWriter){status(404), write("<p>")}, 404, "<p>", 3,
			http.Header{"Content-Length": {"3"}, "Content-Type": {html}}},
		"a long body": {"GET", []func(http.ResponseWriter){write(long)}, 200, long, -1, http.Header{"Content-Type": {html}}},
		"a flushed body": {"GET", []func(http.ResponseWriter){write("<p>"), flush, write("hi")}, 200, "<p>hi", -1,
			http.Header{"Content-Type": {html}}},
		"a flushed head": {"GET", []func(http.ResponseWriter){flush, write("hi")}, 200, "hi", -1, http.Header{}},
		"a told length": {"GET", []func(http.ResponseWriter){field("Content-Length", "6"), flush, write("<p>"), write("<p>")},
			200, "<p><p>", 6, http.Header{"Content-Length": {"6"}}},
		"a length that is none": {"GET", []func(http.ResponseWriter){field("Content-Length", "-6"), write("<p>")},
			200, "<p>", 3, http.Header{"Content-Length": {"3"}, "Content-Type": {html}}},
		"no guessing of what is coded": {"GET", []func(http.ResponseWriter){field("Content-Encoding", "gzip"), write("x")},
			200, "x", 1, http.Header{"Content-Length": {"1"}, "Content-Encoding": {"gzip"}}},
		"HEAD": {"HEAD", []func(http.ResponseWriter){write("<p>hi")}, 200, "", 5,
			http.Header{"Content-Length": {"5"}}},
		"HEAD with a told length": {"HEAD", []func(http.ResponseWriter){field("Content-Length", "7")}, 200, "", 7,
			http.Header{"Content-Length": {"7"}}},
		"HEAD and nothing": {"HEAD", nil, 200, "", -1, http.Header{}},
		"304":              {"GET", []func(http.ResponseWriter){status(304), write("no")}, 304, "", 0, http.Header{}},
		"204":              {"GET", []func(http.ResponseWriter){status(204)}, 204, "", 0, http.Header{}},
		"fields of one connection go": {"GET", []func(http.ResponseWriter){field("Connection", "close, X-Hop"),
			field("X-Hop", "1"), field("X-A", "b\r\nc: d"), field("X B", "")},
			200, "", 0, http.Header{"Content-Length": {"0"}, "X-A": {"b  c: d"}}},
		"too late": {"GET", []func(http.ResponseWriter){status(200), field("X-A", "1"), status(500)}, 200, "", 0,
			http.Header{"Content-Length": {"0"}}},
	} {
		t.Run(name, func(t *testing.T) {
			from := Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", day)
				for _, do := range c.do {
					do(w)
				}
			}))
			defer from.Close()
			resp, body := mustFetch(t, from, &Request{Method: c.method, Target: "/"})
			if resp.Status != c.status || body != c.body || resp.ContentLength != c.length {
				t.Errorf("got %d, %d bytes, length %d", resp.Status, len(body), resp.ContentLength)
			}
			c.header.Set("Date", day)
			if diff := cmp.Diff(c.header, resp.Header); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHandlerSeesARequest(t *testing.T) {
	var got *http.Request
	var body []byte
	from := Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}))
	defer from.Close()
	resp, _ := mustFetch(t, from, &Request{Method: "POST", Target: "//a%2Fb?c=d%20e", Host: "h:1",
		Body: strings.NewReader("hello"), ContentLength: 5,
		Header: http.Header{"Connection": {"X-Hop"}, "X-Hop": {"1"}, "Cookie": {"a=b"}, "Content-Length": {"9"}}})
	if got.RequestURI != "//a%2Fb?c=d%20e" || got.URL.Path != "//a/b" || got.URL.Query().Get("c") != "d e" || got.Host != "h:1" ||
		got.Method != "POST" || got.ContentLength != 5 || string(body) != "hello" {
		t.Errorf("%+v, body %q", got, body)
	}
	if diff := cmp.Diff(http.Header{"Cookie": {"a=b"}}, got.Header); diff != "" {
		t.Error(diff)
	}
	if resp.Header.Get("Date") == "" {
		t.Error("no Date")
	}
}

// logged is a handler's Origin whose log is kept.
func logged(h http.HandlerFunc) (Origin, *bytes.Buffer) {
	var log bytes.Buffer
	o, _ := Options{Log: zerolog.New(&log)}.withDefaults()
	return newHandlerOrigin(bounds{name: "test", header: o.HeaderTimeout, idle: o.IdleTimeout}, h, o), &log
}

func TestHandlerPanics(t *testing.T) {
	from, log := logged(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "a=b")
		_, _ = io.WriteString(w, "half")
		if r.URL.Path == "/late" {
			w.(http.Flusher).Flush()
		}
		panic("a secret")
	})
	resp, body := mustFetch(t, from, get("/early"))
	if resp.Status != 500 || strings.Contains(body, "half") || strings.Contains(body, "secret") ||
		len(resp.Header["Set-Cookie"]) > 0 {
		t.Errorf("got %d %q %v", resp.Status, body, resp.Header)
	}
	if !strings.Contains(log.String(), "a secret") || !strings.Contains(log.String(), "/early") {
		t.Errorf("log: %s", log)
	}
	_, body, err := fetchAll(from, get("/late"))
	if wantKind(t, err, KindProtocol); body != "half" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q, %v", body, err)
	}
	from.Close()
}

func TestHandlerAborts(t *testing.T) {
	from, log := logged(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			w.(http.Flusher).Flush()
		}
		panic(http.ErrAbortHandler)
	})
	for _, path := range []string{"/early", "/late"} {
		_, _, err := fetchAll(from, get(path))
		if wantKind(t, err, KindProtocol); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v", path, err)
		}
	}
	from.Close()
	if log.Len() > 0 {
		t.Errorf("log: %s", log)
	}
}

func TestHandlerLengths(t *testing.T) {
	var werr error
	from := Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5")
		_, werr = io.WriteString(w, r.URL.RawQuery)
	}))
	_, body, err := fetchAll(from, get("/?hell"))
	if wantKind(t, err, KindProtocol); body != "hell" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("too short: %q, %v", body, err)
	}
	if _, _, err = fetchAll(from, get("/?hello")); err != nil {
		t.Error(err)
	}
	_, _, err = fetchAll(from, get("/?hello,"))
	if wantKind(t, err, KindProtocol); !errors.Is(werr, http.ErrContentLength) {
		t.Errorf("too long: %v", werr)
	}
	from.Close()
}

// TestHandlerIsHeldBack: a handler does not run far ahead of the one who reads, and learns when he has gone.
func TestHandlerIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrote := 0
		var werr error
		from := Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for piece := make([]byte, 1000); werr == nil; wrote += len(piece) {
				_, werr = w.Write(piece)
			}
		}))
		resp, err := from.Fetch(t.Context(), get("/"))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if wrote > 2*handlerBuffer {
			t.Errorf("%d bytes written, none read", wrote)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 100_000)); err != nil {
			t.Error(err)
		}
		resp.Body.Close()
		from.Close()
		if werr == nil || wrote > 100_000+3*handlerBuffer {
			t.Errorf("%d bytes written, last: %v", wrote, werr)
		}
	})
}

func TestHandlerContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		from := Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/body" {
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
			ended <- r.Context().Err()
		}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := from.Fetch(ctx, get("/head"))
		if wantKind(t, err, KindTimeout); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the handler saw %v", err)
		}
		_, err = from.Fetch(ctx, get("/head"))
		wantKind(t, err, KindTimeout)

		ctx, cancel = context.WithCancel(t.Context())
		resp, err := from.Fetch(ctx, get("/body"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		cancel()
		<-ended
		_, err = io.ReadAll(resp.Body)
		if wantKind(t, err, KindCanceled); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		from.Close()
	})
}

func TestHandlerInterimResponses(t *testing.T) {
	from := Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusContinue)
		w.Header().Del("Link")
		w.WriteHeader(http.StatusTeapot)
	}))
	defer from.Close()
	var links []string
	r := get("/")
	r.Informational = func(status int, h http.Header) {
		if status != http.StatusEarlyHints {
			t.Errorf("status %d", status)
		}
		links = append(links, h.Get("Link"))
	}
	resp, _ := mustFetch(t, from, r)
	if resp.Status != http.StatusTeapot || len(links) != 1 || links[0] != "</a.css>" || resp.Header.Get("Link") != "" {
		t.Errorf("%d %v %v", resp.Status, links, resp.Header)
	}
}

// closing is a handler that holds something.
type closing struct {
	http.Handler
	closed int
}

func (c *closing) Close() error { c.closed++; return nil }

func TestCloseClosesTheHandler(t *testing.T) {
	h := &closing{Handler: http.NotFoundHandler()}
	from := Handler(h)
	from.Close()
	from.Close()
	if h.closed != 1 {
		t.Errorf("closed %d times", h.closed)
	}
}
