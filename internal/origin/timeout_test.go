package origin

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// These tests run on a clock of their own (testing/synctest): it moves on when every goroutine waits, so the default
// bounds are tested to the nanosecond in no time.

// piped opens a backend whose connections are pipes to talks.
func piped(t *testing.T, o Options, talks func(*talk)) Origin {
	t.Helper()
	from := open(t, "http://backend.example", o).(*httpOrigin)
	s := &rawServer{}
	from.dial = func(context.Context) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			talks(&talk{Conn: far, Reader: bufio.NewReader(far), s: s})
		}()
		return &writeBoundConn{Conn: near, idle: from.idle}, nil
	}
	return from
}

func TestSilentBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		from := piped(t, Options{}, func(c *talk) { c.head(); c.say("HTTP/1.1 200 O"); c.awaitReader() })
		_, err := from.Fetch(t.Context(), get("/"))
		e := wantKind(t, err, KindTimeout)
		if took := time.Since(start); took != 30*time.Second || !e.Timeout() || !strings.Contains(e.Error(), "timeouts.header") {
			t.Errorf("after %v: %v", took, e)
		}
	})
}

func TestSlowHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := piped(t, Options{HeaderTimeout: time.Minute}, func(c *talk) {
			c.head()
			time.Sleep(59 * time.Second)
			c.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi")
		})
		if _, body := mustFetch(t, from, get("/")); body != "hi" {
			t.Errorf("got %q", body)
		}
	})
}

func TestStalledBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := piped(t, Options{}, func(c *talk) {
			c.head()
			c.say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
			c.awaitReader()
		})
		wantStall(t, from)
	})
}

func TestStalledHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "hello")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}))
		wantStall(t, from)
		from.Close()
	})
}

// wantStall wants "hello", and then no more.
func wantStall(t *testing.T, from Origin) {
	t.Helper()
	resp, err := from.Fetch(t.Context(), get("/"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	start := time.Now()
	got, err := io.ReadAll(resp.Body)
	e := wantKind(t, err, KindTimeout)
	if took := time.Since(start); string(got) != "hello" || took != 30*time.Second || !strings.Contains(e.Error(), "stalled") {
		t.Errorf("%q after %v: %v", got, took, e)
	}
}

// TestLongBody: a body that flows may take as long as it likes, and so may its reader.
func TestLongBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := piped(t, Options{}, func(c *talk) {
			c.head()
			c.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\n")
			for range 100 {
				time.Sleep(29 * time.Second)
				c.say("x")
			}
		})
		resp, err := from.Fetch(t.Context(), get("/"))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		time.Sleep(time.Hour)
		if got, err := io.ReadAll(resp.Body); len(got) != 100 || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

// TestStalledUpload: a backend that does not take the request's body costs no more than one that does not send its own.
func TestStalledUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		from := piped(t, Options{}, func(c *talk) {
			c.head()
			time.Sleep(time.Hour)
		})
		r := &Request{Method: "POST", Target: "/", Body: strings.NewReader(strings.Repeat("x", 1<<20)), ContentLength: 1 << 20}
		_, err := from.Fetch(t.Context(), r)
		e := wantKind(t, err, KindTimeout)
		if took := time.Since(start); took != 30*time.Second || !strings.Contains(e.Error(), "timeouts.idle") {
			t.Errorf("after %v: %v", took, e)
		}
		time.Sleep(time.Hour) // until the backend has gone too
	})
}

func TestSilentHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		from := Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		_, err := from.Fetch(t.Context(), get("/"))
		e := wantKind(t, err, KindTimeout)
		if took := time.Since(start); took != 30*time.Second || !e.Timeout() {
			t.Errorf("after %v: %v", took, e)
		}
		from.Close()
	})
}

func TestUnusedConnectionsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan time.Time, 1)
		from := piped(t, Options{KeepIdle: 5 * time.Second}, func(c *talk) {
			c.head()
			c.say(emptyOK)
			c.awaitReader()
			closed <- time.Now()
		})
		mustFetch(t, from, get("/"))
		start := time.Now()
		if kept := (<-closed).Sub(start); kept != 5*time.Second {
			t.Errorf("kept for %v", kept)
		}
	})
}

// TestAsManyConnectionsAsAtOnce: as many exchanges as there were at once find a connection each. What a quieter time does not
// use of them is closed.
func TestAsManyConnectionsAsAtOnce(t *testing.T) {
	const busy, quiet = 300, 3
	synctest.Test(t, func(t *testing.T) {
		var opened, closed atomic.Int64
		from := piped(t, Options{KeepIdle: 5 * time.Second}, func(c *talk) {
			opened.Add(1)
			defer closed.Add(1)
			for c.head() != "" {
				time.Sleep(time.Second)
				c.say(emptyOK)
			}
		})
		atOnce := func(n int) {
			var all sync.WaitGroup
			for range n {
				all.Go(func() {
					if _, _, err := fetchAll(from, get("/")); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		for range 3 {
			atOnce(busy)
		}
		if n := opened.Load(); n != busy {
			t.Errorf("%d connections for %d exchanges at once", n, busy)
		}
		for range 10 {
			atOnce(quiet)
		}
		if opened.Load() != busy || closed.Load() != busy-quiet {
			t.Errorf("%d connections were opened and %d closed; %d exchanges go on at once", opened.Load(), closed.Load(), quiet)
		}
	})
}

// dripping is a client's upload that comes in slowly and tells whether it was read after the loan was over.
type dripping struct {
	over    bool
	late    bool
	pause   time.Duration
	reading chan struct{}
}

func (d *dripping) Read(p []byte) (int, error) {
	if d.over {
		d.late = true
	}
	select {
	case d.reading <- struct{}{}:
	default:
	}
	time.Sleep(d.pause)
	p[0] = 'x'
	return 1, nil
}

// TestUploadIsNotReadAfterwards: a server may answer before it has all of the request. The reader may be the client's
// connection, which serves another request later on.
func TestUploadIsNotReadAfterwards(t *testing.T) {
	early := func(c *talk) {
		c.head()
		c.say("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
		_, _ = io.Copy(io.Discard, c)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		go func() { _, _ = io.Copy(io.Discard, r.Body) }()
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})
	for name, opened := range map[string]func(*testing.T) Origin{
		"http":    func(t *testing.T) Origin { return piped(t, Options{}, early) },
		"handler": func(*testing.T) Origin { return Handler(handler) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := opened(t)
				up := &dripping{pause: 3 * time.Second, reading: make(chan struct{}, 1)}
				resp, err := from.Fetch(t.Context(), &Request{Method: "POST", Target: "/", Body: up, ContentLength: -1})
				if err != nil {
					t.Fatal(err)
				}
				<-up.reading
				resp.Body.Close()
				up.over = true
				time.Sleep(time.Hour)
				if up.late {
					t.Error("the body was read after Close")
				}
				from.Close()
			})
		})
	}
}

// TestFailingUpload: what goes wrong on the client's side is not laid at the backend's door.
func TestFailingUpload(t *testing.T) {
	gone := errors.New("the client went away")
	for name, r := range map[string]*Request{
		"fails": {Method: "POST", Target: "/", Body: io.MultiReader(strings.NewReader("he"), failing{gone}),
			ContentLength: 5},
		"fails in chunks": {Method: "POST", Target: "/", Body: io.MultiReader(strings.NewReader("he"), failing{gone}),
			ContentLength: -1},
		"is too short":     {Method: "POST", Target: "/", Body: strings.NewReader("he"), ContentLength: 5},
		"fails on its own": {Method: "GET", Target: "/", Body: failing{gone}, ContentLength: -1},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := piped(t, Options{}, func(c *talk) { c.head(); _, _ = io.Copy(io.Discard, c) }).Fetch(t.Context(), r)
			e := wantKind(t, err, KindRequest)
			if strings.HasPrefix(name, "fails") && !errors.Is(e, gone) {
				t.Errorf("%s: %v", name, e)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
