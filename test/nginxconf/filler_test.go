package nginxconf_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// arrival is a request as it reached a filler.
type arrival struct {
	Method, Target, Host, Body string
	Header                     http.Header
}

// fillerType is the Content-Type of a recording filler's answers, which no cached page has.
const fillerType = "text/x-filler"

// filler stands in for the real one: it records what arrives and answers 203, a status that nginx never gives by itself.
type filler struct {
	addr string // as in an nginx upstream

	mu       sync.Mutex
	arrivals []arrival
	conns    int // accepted so far
}

// startFiller starts a filler on TCP or a unix socket. handle, if not nil, answers in place of the default.
func startFiller(t *testing.T, unix bool, handle http.HandlerFunc) *filler {
	t.Helper()
	f := new(filler)
	var l net.Listener
	var err error
	if unix {
		path := socketPath(t, "filler.sock")
		if l, err = net.Listen("unix", path); err == nil {
			chmodSocket(t, path)
		}
		f.addr = "unix:" + path
	} else if l, err = net.Listen("tcp", "127.0.0.1:0"); err == nil {
		f.addr = l.Addr().String()
	}
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serve(w, r, handle) }),
		ConnState: f.connState,
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("filler: %v", err)
		}
	})
	return f
}

func (f *filler) serve(w http.ResponseWriter, r *http.Request, handle http.HandlerFunc) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		body = fmt.Appendf(body, "[%v]", err)
	}
	f.mu.Lock()
	f.arrivals = append(f.arrivals, arrival{r.Method, r.RequestURI, r.Host, string(body), r.Header})
	f.mu.Unlock()
	if handle != nil {
		handle(w, r)
		return
	}
	w.Header().Set("Content-Type", fillerType)
	w.Header().Set("X-Filler", r.Method)
	w.WriteHeader(http.StatusNonAuthoritativeInfo)
	fmt.Fprintf(w, "filled %s", r.RequestURI)
}

func (f *filler) connState(_ net.Conn, s http.ConnState) {
	if s == http.StateNew {
		f.mu.Lock()
		f.conns++
		f.mu.Unlock()
	}
}

// take returns what has arrived since the last call.
func (f *filler) take() []arrival {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.arrivals
	f.arrivals = nil
	return a
}

// connections returns how many connections nginx has opened so far.
func (f *filler) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conns
}
