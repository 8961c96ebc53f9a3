package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// ready asks an admin listener whether the program is ready.
func ready(t *testing.T, admin string) (status int, text string) {
	t.Helper()
	resp, err := noKeepAlive.Get("http://" + admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body)
}

// A backend that is down is told, in words, in the metrics and once in the log, and so is its return. The gateway stays ready: it
// still has its pages.
func TestABackendThatIsDownIsTold(t *testing.T) {
	g := runGateway(t, "", htmlPage)
	if status, text := ready(t, g.admin); status != http.StatusOK || !strings.Contains(text, "\nbackend: ok\n") || !g.metric("pagegate_backend_down 0") {
		t.Errorf("%d %s", status, text)
	}
	gone := realproc.FreeAddr(t)
	g.reload("", "http://"+gone, "the configuration was reloaded")
	for i := range 8 {
		if _, resp, _ := g.get(fmt.Sprint("/", i)); resp.StatusCode != http.StatusBadGateway {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	if status, text := ready(t, g.admin); status != http.StatusOK || !strings.Contains(text, "\nbackend: it is taken to be down") || !g.metric("pagegate_backend_down 1") {
		t.Errorf("%d %s", status, text)
	}
	// What was not even tried is no news: five failures, and perhaps a probe.
	if n := strings.Count(g.log.String(), "no answer from the backend"); n < 5 || n > 6 {
		t.Errorf("%d failures are logged", n)
	}
	if n := strings.Count(g.log.String(), "the backend is taken to be down"); n != 1 {
		t.Errorf("told %d times in the log:\n%s", n, g.log)
	}
	back := &http.Server{Addr: gone, Handler: http.HandlerFunc(htmlPage)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = back.ListenAndServe()
	}()
	t.Cleanup(func() { back.Close(); <-ended })
	realproc.WaitFor(t, 20*time.Second, "the backend to be back", func() bool {
		_, resp, _ := g.get("/back")
		return resp.StatusCode == http.StatusOK
	})
	if _, text := ready(t, g.admin); !strings.Contains(text, "\nbackend: ok\n") || !strings.Contains(g.log.String(), "the backend is back") {
		t.Errorf("%s\n%s", text, g.log)
	}
}

// A gateway that has been told to stop is not ready any more, though it lives until the requests under way have ended, those
// too whose answers end with the connection.
func TestNotReadyWhileStopping(t *testing.T) {
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "begun, ")
		w.(http.Flusher).Flush()
		arrived <- struct{}{}
		<-release
		htmlPage(w, r)
	}))
	defer backend.Close()
	ctx, stop := context.WithCancel(t.Context())
	addr, admin := realproc.FreeAddr(t), realproc.FreeAddr(t)
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"--listen", addr, "--admin", admin, "--backend", backend.URL}, io.Discard, io.Discard)
	}()
	realproc.WaitFor(t, 10*time.Second, "the gateway to be ready", func() bool {
		resp, err := noKeepAlive.Get("http://" + admin + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	answered := make(chan string, 2)
	for _, version := range []string{"1.0", "1.1"} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /slow/%s HTTP/%s\r\nHost: x\r\nConnection: close\r\n\r\n", version, version)
		begun := make([]byte, 1000)
		n, err := c.Read(begun)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			rest, err := io.ReadAll(c)
			answered <- fmt.Sprintf("%s%s %v", begun[:n], rest, err)
		}()
		<-arrived
	}
	stop()
	realproc.WaitFor(t, 10*time.Second, "the gateway not to be ready", func() bool {
		status, text := ready(t, admin)
		return status == http.StatusServiceUnavailable && strings.HasPrefix(text, "not ready\nrunning: the program is stopping\n")
	})
	if resp, err := noKeepAlive.Get("http://" + admin + "/healthz"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("healthz: %v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	close(release)
	for range 2 {
		if a := <-answered; !strings.HasPrefix(a, "HTTP/1.1 200 OK") || !strings.Contains(a, "a page") || !strings.HasSuffix(a, " <nil>") {
			t.Errorf("%q", a)
		}
	}
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d", code)
	}
}
