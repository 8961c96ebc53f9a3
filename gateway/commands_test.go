package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// command runs one of the program's commands to its end.
func command(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, &o, &e)
	return code, o.String(), e.String()
}

// `gateway demo` is a backend by itself: each request is rendered and logged. `gateway health` tells when it is there.
func TestDemoAndHealth(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	addr := realproc.FreeAddr(t)
	if code, _, errs := command(t, "health", "--admin", addr); code != 1 || !strings.Contains(errs, "no answer from "+addr) {
		t.Errorf("nothing runs: exit code %d, %q", code, errs)
	}
	var log bytes.Buffer // read after the end
	var ended sync.WaitGroup
	ended.Go(func() {
		if code := run(ctx, []string{"demo", "--listen", addr, "--delay", "1ms"}, io.Discard, &log); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
	realproc.WaitFor(t, 20*time.Second, "the demo site to be healthy", func() bool {
		code, _, _ := command(t, "health", "--admin", addr, "--path", "/")
		return code == 0
	})
	if code, _, errs := command(t, "health", "--admin", addr); code != 1 || !strings.Contains(errs, "404") {
		t.Errorf("a path that is not there: exit code %d, %q", code, errs)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, want := range []string{"rendering no. 1 ", "rendering no. 2 "} {
		resp, err := client.Get("http://" + addr + "/shop/1")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("want %q, got %q, %v", want, body, err)
		}
	}
	stop()
	ended.Wait()
	if got := strings.Count(log.String(), `"message":"request"`); got != 2 {
		t.Errorf("%d requests logged, want 2 and no health checks:\n%s", got, log.String())
	}
}

// A gateway is healthy when it is ready, as its admin listener says.
func TestHealthOfTheGateway(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	admin := "unix:" + realproc.SocketPath(t, "admin")
	var errs bytes.Buffer
	var ended sync.WaitGroup
	ended.Go(func() {
		if code := run(ctx, []string{"--listen", realproc.FreeAddr(t), "--admin", admin, "--backend", "demo:"}, io.Discard, &errs); code != 0 {
			t.Errorf("exit code %d: %s", code, errs.String())
		}
	})
	realproc.WaitFor(t, 20*time.Second, "the gateway to be healthy", func() bool {
		code, out, _ := command(t, "health", "--admin", admin)
		return code == 0 && strings.HasPrefix(out, "ready\n")
	})
	stop()
	ended.Wait()
	if code, _, _ := command(t, "health", "--admin", admin); code != 1 {
		t.Errorf("ended: exit code %d", code)
	}
}

func TestCommandsUsage(t *testing.T) {
	for _, tt := range []struct {
		args     string
		code     int
		out, err string
	}{
		{"health --help", 0, "Usage: gateway health", ""},
		{"health x", 2, "", `unexpected argument "x"`},
		{"health --nope", 2, "", "gateway health --help"},
		{"health --path :", 1, "", "health: "},
		{"demo --help", 0, "Usage: gateway demo", ""},
		{"demo x", 2, "", `unexpected argument "x"`},
		{"demo --delay 0s", 2, "", "--delay must be more than 0"},
		{"demo --listen 127.0.0.1", 1, "", "want host:port"},
		{"--help", 0, "gateway purge|explain|warm|health|demo", ""},
	} {
		code, out, errs := command(t, strings.Fields(tt.args)...)
		if code != tt.code || !strings.Contains(out, tt.out) || !strings.Contains(errs, tt.err) {
			t.Errorf("%q: exit code %d\n%s\n%s", tt.args, code, out, errs)
		}
	}
}
