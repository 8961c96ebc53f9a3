package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"pagegate/internal/realproc"
)

// fasthttp keeps a clock for as long as the process lives, and its pool's cleaner sleeps for some seconds after the end.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// The program from its arguments to its end, with the built-in site.
func TestRun(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	addr, admin := realproc.FreeAddr(t), realproc.FreeAddr(t)
	out, outW := io.Pipe()
	defer out.Close()
	ended := make(chan int, 1)
	var errs bytes.Buffer // read after the end
	go func() {
		ended <- run(ctx, []string{"--listen", addr, "--admin", admin, "--backend", "demo:"}, outW, &errs)
		outW.Close()
	}()
	welcome := make([]byte, 4096)
	n, err := out.Read(welcome)
	if err != nil || !strings.Contains(string(welcome[:n]), "http://"+addr+"/") {
		t.Fatalf("welcome: %q, %v", welcome[:n], err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, url := range []string{"http://" + addr + "/", "http://" + admin + "/healthz", "http://" + admin + "/readyz", "http://" + admin + "/metrics"} {
		resp, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || len(body) == 0 {
			t.Errorf("%s: %s", url, resp.Status)
		}
		if strings.HasSuffix(url, "/metrics") && !strings.Contains(string(body), `pagegate_requests_total{outcome="miss",route="default"} 1`) {
			t.Errorf("metrics:\n%s", body)
		}
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
		{"--help", 0, "Usage: gateway [flags]", ""},
		{"--backend demo: --check", 0, "valid", ""},
		{"", 2, "", "no backend given"},
		{"--backend demo: --listen 127.0.0.1", 2, "", "want host:port"},
		{"--backend file:///does/not/exist --listen 127.0.0.1:0", 1, "", "/does/not/exist"},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), strings.Fields(tt.args), &out, &errs)
		if code != tt.code || !strings.Contains(out.String(), tt.out) || !strings.Contains(errs.String(), tt.err) {
			t.Errorf("%q: exit code %d\n%s\n%s", tt.args, code, out.String(), errs.String())
		}
	}
}
