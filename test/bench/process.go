package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// startTimeout bounds the wait for a server to answer.
const startTimeout = 10 * time.Second

// process is a running server, with the processes that it has started itself.
type process struct {
	name string
	addr string // host:port or the path of a unix socket
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan struct{}
}

// start starts a memcached on a free port of 127.0.0.1. It ends with ctx, or with stop.
func start(ctx context.Context, name, program string, args ...string) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(addr)
	return launch(ctx, name, addr, program, append([]string{"-l", host, "-p", port}, asRoot(args)...)...)
}

// asRoot adds what memcached wants to hear before it runs as root.
func asRoot(args []string) []string {
	if os.Geteuid() == 0 {
		args = append(args, "-u", "root")
	}
	return args
}

// launch starts a program and waits until it listens on addr. It ends with ctx, or with stop.
func launch(ctx context.Context, name, addr, program string, args ...string) (*process, error) {
	path, err := find(program)
	if err != nil {
		return nil, err
	}
	p := &process{name: name, addr: addr, done: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, path, args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	// A server with processes of its own ends them when it is told to end, not when it is killed.
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = stopTimeout
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // its end is what counts
		close(p.done)
	}()
	return p, p.waitListen(ctx)
}

// find returns the path of a program. Debian keeps daemons where an unprivileged PATH does not look.
func find(program string) (string, error) {
	path, err := exec.LookPath(program)
	if err == nil {
		return path, nil
	}
	if !strings.Contains(program, "/") {
		for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
			if path, err := exec.LookPath(filepath.Join(dir, program)); err == nil {
				return path, nil
			}
		}
	}
	return "", fmt.Errorf("%w (make build and make test-deps bring the programs)", err)
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func dial(addr string) (net.Conn, error) {
	if strings.HasPrefix(addr, "/") {
		return net.Dial("unix", addr)
	}
	return net.Dial("tcp", addr)
}

func (p *process) waitListen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		c, err := dial(p.addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended at once: %s", p.name, p.out.String())
		case <-ctx.Done():
			p.stop()
			return fmt.Errorf("%s does not answer on %s: %w", p.name, p.addr, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// stopTimeout bounds the time that a server may take to end.
const stopTimeout = 5 * time.Second

// stop ends the process and waits for its end.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// cpu returns the user and system time that the server's processes have used. The kernel counts it to the nanosecond,
// other than what stands in /proc.
func (p *process) cpu() (time.Duration, error) {
	pids, err := p.pids()
	if err != nil {
		return 0, err
	}
	sum := time.Duration(0)
	for _, pid := range pids {
		var t unix.Timespec
		// The clock of another process's CPU time: clock_getcpuclockid(3).
		const scheduled = 2
		err := unix.ClockGettime(int32(^pid<<3|scheduled), &t)
		if err != nil && pid == p.cmd.Process.Pid {
			return 0, fmt.Errorf("the CPU time of %s: %w", p.name, err)
		}
		sum += time.Duration(t.Nano()) // 0 of one that has ended meanwhile
	}
	return sum, nil
}

// resident returns the resident memory of the server's processes in bytes.
func (p *process) resident() (int64, error) {
	pids, err := p.pids()
	if err != nil {
		return 0, err
	}
	sum := int64(0)
	for _, pid := range pids {
		s, err := readStat(pid)
		if err != nil && pid == p.cmd.Process.Pid {
			return 0, err
		}
		sum += s.resident
	}
	return sum, nil
}

// pids returns the process and all that descend from it.
func (p *process) pids() ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	children := make(map[int][]int)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil { // else it has ended meanwhile
			children[s.parent] = append(children[s.parent], pid)
		}
	}
	all := []int{p.cmd.Process.Pid}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all, nil
}

// stat is what /proc/PID/stat says of a process.
type stat struct {
	parent   int
	resident int64 // bytes
	caught   uint64
}

// catches tells whether the process has a handler for a signal.
func (s stat) catches(sig syscall.Signal) bool { return s.caught&(1<<(sig-1)) != 0 }

func readStat(pid int) (stat, error) {
	name := fmt.Sprintf("/proc/%d/stat", pid)
	text, err := os.ReadFile(name)
	if err != nil {
		return stat{}, err
	}
	// From the third field on: the second, the program's name, may hold spaces.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 32 {
		return stat{}, fmt.Errorf("%s has %d fields", name, len(fields))
	}
	parent, err1 := strconv.Atoi(fields[1])
	pages, err2 := strconv.ParseInt(fields[21], 10, 64)
	caught, err3 := strconv.ParseUint(fields[31], 10, 64)
	return stat{parent, pages * int64(os.Getpagesize()), caught}, errors.Join(err1, err2, err3)
}
