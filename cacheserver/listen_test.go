package main

import (
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// -b is what the system is told: of a socket that listens, TCP_INFO shows it where it else has the acknowledged segments.
func TestBacklog(t *testing.T) {
	o, err := parseFlags([]string{"-p", "-1", "-l", "127.0.0.1", "-b", "17"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := o.listen()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := s.listeners[0].(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	controlled := c.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), syscall.IPPROTO_TCP, unix.TCP_INFO) })
	if controlled != nil || err != nil {
		t.Fatal(controlled, err)
	}
	if info.Sacked != 17 {
		t.Errorf("%d connections may wait", info.Sacked)
	}
}
