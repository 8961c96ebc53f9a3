package main

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pagegate/internal/realproc"
)

// fasthttp keeps a clock for as long as the process lives, and its pool's cleaner sleeps for some seconds after the end.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// The program from its arguments to its end, before a real memcached.
func TestRun(t *testing.T) {
	cache, _ := realproc.Memcached(t)
	ctx, stop := context.WithCancel(t.Context())
	addr := realproc.FreeAddr(t)
	ended := make(chan int, 1)
	var out, errs bytes.Buffer // read after the end
	go func() {
		ended <- run(ctx, []string{"--listen", addr, "--backend", "demo:", "--cache", cache}, &out, &errs)
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var statuses []string
	realproc.WaitFor(t, 20*time.Second, "the page to be stored", func() bool {
		resp, err := client.Get("http://" + addr + "/")
		if err != nil {
			return false // not listening yet
		}
		resp.Body.Close()
		statuses = append(statuses, resp.Header.Get("Cache-Status"))
		return strings.HasPrefix(statuses[len(statuses)-1], "pagegate; hit; ttl=")
	})
	if statuses[0] != "pagegate; fwd=uri-miss; fwd-status=200; stored" {
		t.Errorf("Cache-Status of the first: %s", statuses[0])
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d:\n%s", code, errs.String())
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args     string
		code     int
		out, err string
	}{
		{"--help", 0, "Usage: filler [flags]", ""},
		{"--backend demo: --cache 127.0.0.1:1 --check", 0, "valid", ""},
		{"--backend demo:", 2, "", "--cache 127.0.0.1:11211"},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), strings.Fields(tt.args), &out, &errs)
		if code != tt.code || !strings.Contains(out.String(), tt.out) || !strings.Contains(errs.String(), tt.err) {
			t.Errorf("%q: exit code %d\n%s\n%s", tt.args, code, out.String(), errs.String())
		}
	}
}
