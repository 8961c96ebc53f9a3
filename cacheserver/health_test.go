package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// --health with a server's own flags tells whether it is there, wherever it listens and whatever it speaks.
func TestHealth(t *testing.T) {
	port := fmt.Sprint(realproc.FreePort(t))
	users := filepath.Join(t.TempDir(), "users")
	if err := os.WriteFile(users, []byte("one:secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cert, key := certificate(t, t.TempDir(), "server")
	for _, flags := range [][]string{
		{"-p", port},
		{"-p", port, "-l", "127.0.0.1"},
		{"-l", "0.0.0.0:" + port},
		{"-s", realproc.SocketPath(t, "s")},
		{"-p", port, "-B", "binary"},
		{"-p", port, "-Y", users},
		{"-p", port, "-Z", "-o", "ssl_chain_cert=" + cert + ",ssl_key=" + key},
	} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			flags = append([]string{"-m", "8"}, flags...)
			if healthy(t, flags) {
				t.Error("healthy, though nothing runs")
			}
			t.Run("runs", func(t *testing.T) {
				l := started(t, flags...)
				realproc.WaitFor(t, 20*time.Second, "the server to be healthy", func() bool { return healthy(t, flags) })
				if l.String() != "" {
					t.Errorf("the question left something in the log: %s", l)
				}
			})
			if healthy(t, flags) {
				t.Error("healthy, though it has ended")
			}
		})
	}
}

func healthy(t *testing.T, flags []string) bool {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), append([]string{"--health"}, flags...), &out, &errs)
	if said := errs.Len() > 0; said == (code == exitOK) {
		t.Fatalf("exit code %d, and says %q", code, errs.String())
	}
	return code == exitOK
}

// A server that takes the connection and never answers is not healthy.
func TestHealthOfASilentServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			c.Close()
		}
	}()
	if healthy(t, []string{"-l", l.Addr().String()}) {
		t.Error("healthy")
	}
}
