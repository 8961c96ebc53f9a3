package realproc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// StartTimeout bounds the wait for a started program to answer. It is generous because the race detector and a busy
// two-core machine slow everything down; no passing test waits for it.
const StartTimeout = 30 * time.Second

// stopTimeout is how long a program may take to end after SIGTERM before it is killed.
const stopTimeout = 10 * time.Second

// Find returns the path of a program, or fails the test: the tests never skip because something is not installed.
func Find(tb testing.TB, name string) string {
	tb.Helper()
	if p, err := exec.LookPath(name); err == nil {
		return p
	}
	// Debian keeps daemons where an unprivileged PATH does not look.
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		p := filepath.Join(dir, name)
		if st, err := os.Stat(p); err == nil && st.Mode()&0o111 != 0 {
			return p
		}
	}
	tb.Fatalf("%s is not installed: run `make test-deps`", name)
	return ""
}

// FreePort returns a TCP port of 127.0.0.1 on which nothing listened a moment ago. It gives no port twice in a process.
func FreePort(tb testing.TB) int {
	tb.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatalf("no free port: %v", err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if _, given := givenPorts.LoadOrStore(port, true); !given {
			return port
		}
	}
}

var givenPorts sync.Map

// FreeAddr is FreePort as "127.0.0.1:port".
func FreeAddr(tb testing.TB) string {
	tb.Helper()
	return fmt.Sprintf("127.0.0.1:%d", FreePort(tb))
}

// SocketPath returns a path for a unix socket that is short enough for sun_path (108 bytes), in a folder that is
// removed with the test and open to every user; t.TempDir is often too long.
func SocketPath(tb testing.TB, name string) string {
	tb.Helper()
	dir, err := os.MkdirTemp("/tmp", "pg")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil { // daemons that root starts become another user
		tb.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// WaitFor polls cond every few milliseconds until it is true, and fails the test with what after the bound.
func WaitFor(tb testing.TB, bound time.Duration, what string, cond func() bool) {
	tb.Helper()
	deadline := time.Now().Add(bound)
	for !cond() {
		if time.Now().After(deadline) {
			tb.Fatalf("waited %v for: %s", bound, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Proc is a running program. Its methods may be called from several goroutines.
type Proc struct {
	Cmd  *exec.Cmd
	done chan struct{} // closed when the program has ended
	err  error         // what Wait returned; valid after done
	out  Log
}

// Output returns what the program has printed so far, standard output and error together.
func (p *Proc) Output() string { return p.out.String() }

// Done is closed when the program has ended.
func (p *Proc) Done() <-chan struct{} { return p.done }

// Signal sends sig to the program.
func (p *Proc) Signal(sig os.Signal) error { return p.Cmd.Process.Signal(sig) }

// Wait waits for the program to end, within the bound, and returns its exit code. It fails the test on a timeout.
func (p *Proc) Wait(tb testing.TB, bound time.Duration) int {
	tb.Helper()
	select {
	case <-p.done:
	case <-time.After(bound):
		tb.Fatalf("%s did not end within %v; output:\n%s", p.Cmd.Path, bound, p.Output())
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// Stop ends the program: SIGTERM, then SIGKILL. Calling it again does nothing.
func (p *Proc) Stop() {
	_ = p.Cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		p.Kill()
	}
}

// Kill ends the program as a crash would, and waits for it to be gone.
func (p *Proc) Kill() {
	_ = p.Cmd.Process.Kill()
	<-p.done
}

// Start starts a program and stops it with the test. It does not wait for it to be ready.
func Start(tb testing.TB, name string, args ...string) *Proc {
	tb.Helper()
	return StartCmd(tb, exec.Command(Find(tb, name), args...))
}

// StartCmd is Start for a prepared command (folder, environment); its Stdout and Stderr are taken.
func StartCmd(tb testing.TB, cmd *exec.Cmd) *Proc {
	tb.Helper()
	p := &Proc{Cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	// No Pdeathsig: it follows the thread that forked, and Go ends threads whose locked goroutine returns.
	if err := cmd.Start(); err != nil {
		tb.Fatalf("start %s: %v", cmd.Path, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	tb.Cleanup(p.Stop)
	return p
}

// WaitListen waits until addr ("host:port", or "unix:/path" or a path for a unix socket) accepts a connection.
func (p *Proc) WaitListen(tb testing.TB, addr string) {
	tb.Helper()
	network, target := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok || strings.HasPrefix(addr, "/") {
		network, target = "unix", path
	}
	deadline := time.Now().Add(StartTimeout)
	for {
		c, err := net.DialTimeout(network, target, time.Second)
		if err == nil {
			c.Close()
			return
		}
		select {
		case <-p.done:
			tb.Fatalf("%s ended before it listened on %s (%v); output:\n%s", p.Cmd.Path, addr, p.err, p.Output())
		default:
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%s does not listen on %s: %v; output:\n%s", p.Cmd.Path, addr, err, p.Output())
		}
		time.Sleep(2 * time.Millisecond)
	}
}
