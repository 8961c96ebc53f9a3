package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

// floorCommand starts the floor: what a page costs at least, a read, a ready-made reply in one write, and the waiting for
// the next request. It does not look at what it is asked for; one thread and one epoll serve all connections.
const floorCommand = "floor"

func runFloor(_ context.Context, args []string, _ io.Writer) error {
	fs := pflag.NewFlagSet("bench floor", pflag.ContinueOnError)
	listen := fs.String("listen", "", "address")
	size := fs.Int("size", 1024, "bytes of a page")
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	// It is told nothing, so let a signal end it.
	signal.Reset(os.Interrupt, syscall.SIGTERM)
	f, err := newFloor(*listen, *size)
	if err != nil {
		return err
	}
	return f.serve()
}

type floor struct {
	listener int
	epoll    int
	reply    []byte
	unsent   map[int32][]byte // replies that did not fit into their connections' buffers
}

func newFloor(listen string, size int) (*floor, error) {
	addr, err := netip.ParseAddrPort(listen)
	if err != nil {
		return nil, err
	}
	listener, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(listener, &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}); err != nil {
		return nil, err
	}
	if err := unix.Listen(listener, 1024); err != nil {
		return nil, err
	}
	f := &floor{
		listener: listener,
		unsent:   make(map[int32][]byte),
		reply: append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n", size),
			bytes.Repeat([]byte{'v'}, size)...),
	}
	if f.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	return f, f.control(unix.EPOLL_CTL_ADD, f.listener, unix.EPOLLIN)
}

func (f *floor) control(op, fd int, events uint32) error {
	return unix.EpollCtl(f.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// serve never returns but with an error.
func (f *floor) serve() error {
	runtime.LockOSThread()
	events, request := make([]unix.EpollEvent, 256), make([]byte, 64<<10)
	for {
		n, err := call(unix.SYS_EPOLL_PWAIT, f.epoll, unsafe.Pointer(unsafe.SliceData(events)), len(events), -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		for _, e := range events[:n] {
			switch {
			case int(e.Fd) == f.listener:
				err = f.accept()
			case e.Events&unix.EPOLLOUT != 0:
				err = f.send(e.Fd, f.unsent[e.Fd])
			default:
				err = f.receive(e.Fd, request)
			}
			if err != nil {
				return err
			}
		}
	}
}

func (f *floor) accept() error {
	fd, _, err := unix.Accept4(f.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		return err
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	return f.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN)
}

// receive takes whatever came for one request.
func (f *floor) receive(fd int32, request []byte) error {
	n, err := call(unix.SYS_RECVFROM, int(fd), unsafe.Pointer(unsafe.SliceData(request)), len(request), 0)
	if n == 0 {
		if errors.Is(err, unix.EAGAIN) {
			return nil
		}
		return f.hangUp(fd)
	}
	return f.send(fd, f.reply)
}

// send writes, and waits with what does not fit.
func (f *floor) send(fd int32, rest []byte) error {
	n, err := call(unix.SYS_SENDTO, int(fd), unsafe.Pointer(unsafe.SliceData(rest)), len(rest), unix.MSG_NOSIGNAL)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		return f.hangUp(fd)
	}
	rest = rest[n:]
	_, waits := f.unsent[fd]
	switch {
	case len(rest) > 0:
		f.unsent[fd] = rest
		if !waits {
			return f.control(unix.EPOLL_CTL_MOD, int(fd), unix.EPOLLOUT)
		}
	case waits:
		delete(f.unsent, fd)
		return f.control(unix.EPOLL_CTL_MOD, int(fd), unix.EPOLLIN)
	}
	return nil
}

// call makes a system call on a file with a buffer without telling Go's scheduler, not even when it blocks: there is no
// other goroutine that could run meanwhile.
func call(trap uintptr, fd int, p unsafe.Pointer, n, option int) (int, error) {
	r, _, errno := unix.RawSyscall6(trap, uintptr(fd), uintptr(p), uintptr(n), uintptr(option), 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(r), nil
}

func (f *floor) hangUp(fd int32) error {
	delete(f.unsent, fd)
	return unix.Close(int(fd))
}
