package service

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// manager is a service manager's end of the notify socket.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "n")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return c
}

func wantTold(t *testing.T, c *net.UnixConn, want string) {
	t.Helper()
	b := make([]byte, 256)
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(b)
	if err != nil {
		t.Fatalf("waiting for %s: %v", want, err)
	}
	if got := strings.TrimSpace(string(b[:n])); got != want {
		t.Fatalf("told %q, want %q", got, want)
	}
}

func TestTheManagerIsTold(t *testing.T) {
	c := manager(t)
	r := Ready()
	wantTold(t, c, "READY=1")
	r.Stopping()
	wantTold(t, c, "STOPPING=1")
	r.Close()
}

func TestTheWatchdogIsTold(t *testing.T) {
	c := manager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	r := Ready()
	defer r.Close()
	wantTold(t, c, "READY=1")
	wantTold(t, c, "WATCHDOG=1")
	wantTold(t, c, "WATCHDOG=1")
}

func TestWithoutAManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	r := Ready()
	r.Stopping()
	r.Close()
	s, err := Inherited()
	if err != nil || len(s.Clients)+len(s.Admin)+len(s.UDP) > 0 {
		t.Errorf("inherited %v, %v", s, err)
	}
}

func TestSocketsAreSorted(t *testing.T) {
	dir := t.TempDir()
	stream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admin, err := net.Listen("unix", filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := take([]*os.File{file(t, stream, "http"), file(t, admin, AdminName), file(t, udp, "")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []interface{ Close() error }{stream, admin, udp} {
		c.Close()
	}
	defer s.Close()
	if len(s.Clients) != 1 || len(s.Admin) != 1 || len(s.UDP) != 1 || s.Clients[0].Addr().String() != stream.Addr().String() {
		t.Fatalf("got %+v", s)
	}
	c, err := net.Dial("tcp", s.Clients[0].Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestWhatIsNoSocket(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := take([]*os.File{f}); err == nil || !strings.Contains(err.Error(), os.DevNull) {
		t.Errorf("got %v", err)
	}
}

// file is what the manager would hand over.
func file(t *testing.T, c any, name string) *os.File {
	t.Helper()
	f, err := c.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd, err := syscall.Dup(int(f.Fd())) // a second descriptor, since a file keeps its name
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(fd), name)
}
