package packaging

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// build builds a program as `make build` does.
func build(t *testing.T, program string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), program)
	run(t, root(t), nil, "go", "build", "-o", bin, "./"+program)
	return bin
}

// notifySocket is the service manager's end of NOTIFY_SOCKET.
func notifySocket(t *testing.T) (path string, told func() string) {
	t.Helper()
	path = realproc.SocketPath(t, "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return path, func() string {
		b := make([]byte, 512)
		if err := c.SetReadDeadline(time.Now().Add(realproc.StartTimeout)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(b)
		if err != nil {
			t.Fatal("the program told nothing: ", err)
		}
		return strings.TrimSpace(string(b[:n]))
	}
}

// Each program, started by systemd's own tool at the first connection, serves on the sockets that it inherits, and tells when
// it is ready, that it is alive, and when it ends.
func TestSocketActivationAndReadiness(t *testing.T) {
	for _, tt := range []struct {
		program string
		args    []string
		ask     func(t *testing.T, addr string) string
		want    string
	}{
		{"cacheserver", []string{"-p", "0", "-m", "8"}, askMemcached, "VERSION "},
		{"filler", []string{"--backend", "demo:", "--cache", "127.0.0.1:1"}, askHTTP, "</html>"},
		{"gateway", []string{"--backend", "demo:"}, askHTTP, "</html>"},
	} {
		t.Run(tt.program, func(t *testing.T) {
			bin := build(t, tt.program)
			notify, told := notifySocket(t)
			clients, admin := realproc.FreeAddr(t), realproc.FreeAddr(t)
			args := []string{"-l", clients, "--fdname=http", "-E", "NOTIFY_SOCKET=" + notify, "-E", "WATCHDOG_USEC=200000", bin}
			if tt.program != "cacheserver" {
				args = append([]string{"-l", admin}, args...)
				args[3] = clients
				args[4] = "--fdname=admin:http"
			}
			p := realproc.StartCmd(t, exec.Command(realproc.Find(t, "systemd-socket-activate"), append(args, tt.args...)...))
			p.WaitListen(t, clients) // systemd's tool listens: that connection is what starts the program
			if got := told(); got != "READY=1" {
				t.Fatalf("told %q first", got)
			}
			if got := tt.ask(t, clients); !strings.Contains(got, tt.want) {
				t.Errorf("want %q in %q", tt.want, got)
			}
			if got := told(); got != "WATCHDOG=1" {
				t.Errorf("told %q when it was to tell that it is alive", got)
			}
			if tt.program != "cacheserver" {
				if got := realproc.Get(t, "http://"+admin+"/healthz"); got != "ok\n" {
					t.Errorf("the admin listener says %q", got)
				}
			}
			p.Stop()
			got := told()
			for got == "WATCHDOG=1" {
				got = told()
			}
			if got != "STOPPING=1" {
				t.Errorf("told %q at the end", got)
			}
			if code := p.Wait(t, time.Second); code != 0 {
				t.Errorf("exit code %d: %s", code, p.Output())
			}
		})
	}
}

func askHTTP(t *testing.T, addr string) string { return realproc.Get(t, "http://"+addr+"/shop/1") }

func askMemcached(t *testing.T, addr string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "version\r\n")
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}
