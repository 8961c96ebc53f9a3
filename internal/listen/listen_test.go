package listen

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1:80": true, "[::1]:80": true, ":0": true, "unix:/run/x.sock": true,
		"": false, "80": false, "localhost": false, "localhost:": false, "unix:x.sock": false, "/run/x.sock": false,
	} {
		if err := Check(addr); (err == nil) != ok {
			t.Errorf("%q: %v", addr, err)
		}
	}
}

func TestPortInUse(t *testing.T) {
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Listen(l.Addr().String()); err == nil || !strings.Contains(err.Error(), "another program listens there") {
		t.Errorf("%v", err)
	}
}

// bounds notes the deadline for writing that holds when something is written.
type bounds struct {
	net.Conn
	deadline time.Time
	writes   []time.Time
}

func (b *bounds) SetDeadline(t time.Time) error      { b.deadline = t; return nil }
func (b *bounds) SetWriteDeadline(t time.Time) error { b.deadline = t; return nil }
func (b *bounds) Write(p []byte) (int, error) {
	b.writes = append(b.writes, b.deadline)
	return len(p), nil
}

// Each write has a bound, whatever somebody else has done to the connection's meanwhile.
func TestEveryWriteIsBounded(t *testing.T) {
	b := new(bounds)
	c := Patient(b)
	for range 2 {
		_, _ = c.Write([]byte("x"))
		_, _ = c.Write([]byte("x"))
		_ = c.SetDeadline(time.Time{})
	}
	for i, deadline := range b.writes {
		if left := time.Until(deadline); left < WriteIdle/3 || left > WriteIdle {
			t.Errorf("write %d has %v left", i, left)
		}
	}
}

func TestUnixSocket(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "pg")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	l, err := Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix:" + path); err == nil || !strings.Contains(err.Error(), "another program listens there") {
		t.Errorf("in use: %v", err)
	}
	// A process that died leaves its socket file behind.
	l.(listener).Listener.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if l, err = Listen("unix:" + path); err != nil {
		t.Fatalf("a stale socket: %v", err)
	}
	l.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix:" + path); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a plain file: %v", err)
	}
}
