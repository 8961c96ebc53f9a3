package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// startTimeout bounds the wait for a server to answer.
const startTimeout = 10 * time.Second

// process is a running server.
type process struct {
	name string
	addr string
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
	p := &process{name: name, addr: addr, done: make(chan struct{})}
	args = append([]string{"-l", host, "-p", port}, args...)
	if os.Geteuid() == 0 {
		args = append(args, "-u", "root") // memcached refuses to run as root unless told so
	}
	p.cmd = exec.CommandContext(ctx, program, args...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%w (make build and make test-deps bring the programs)", err)
	}
	go func() {
		_ = p.cmd.Wait() // its end is what counts
		close(p.done)
	}()
	return p, p.waitListen(ctx)
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func (p *process) waitListen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		c, err := net.Dial("tcp", p.addr)
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

// stop ends the process and waits for its end.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// ticks is the kernel's USER_HZ, the unit of the times in /proc/PID/stat, which is 100 on every Linux that Go runs on.
const ticks = 100

// cpu returns the user and system time that the process has used, exact to 10 ms.
func (p *process) cpu() (time.Duration, error) {
	fields, err := p.stat()
	if err != nil {
		return 0, err
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / ticks, errors.Join(err1, err2)
}

// resident returns the process's resident memory in bytes.
func (p *process) resident() (int64, error) {
	fields, err := p.stat()
	if err != nil {
		return 0, err
	}
	pages, err := strconv.ParseInt(fields[21], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// stat returns the fields of /proc/PID/stat from the third on: the second, the program's name, may hold spaces.
func (p *process) stat() ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 22 {
		return nil, fmt.Errorf("/proc/%d/stat has %d fields", p.cmd.Process.Pid, len(fields))
	}
	return fields, nil
}
