package sockets

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of the hot path. None of them blocks for long, so the scheduler need not be told before and after. Reads
// and writes are repeated when a signal interrupts them. send and recv go a shorter way through the kernel than write and read.

// readNow reads what is there. b is not empty.
func readNow(fd int, b []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0)
		if errno != unix.EINTR {
			return result(n, errno)
		}
	}
}

// writeNow writes as much of the vectors as the socket takes. There is at least one, and none is empty.
func writeNow(fd int, v []unix.Iovec) (int, error) {
	for {
		var n uintptr
		var errno syscall.Errno
		if len(v) == 1 {
			n, _, errno = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(v[0].Base)), uintptr(v[0].Len), 0, 0, 0)
		} else {
			n, _, errno = unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(v))), uintptr(len(v)))
		}
		if errno != unix.EINTR {
			return result(n, errno)
		}
	}
}

// pollFor looks for events and waits that long for one. A signal ends the wait, and so does whatever the runtime wants of
// its goroutines: it sends one to threads that it believes to run.
func pollFor(epoll int, events []unix.EpollEvent, millis int) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(unsafe.SliceData(events))),
		uintptr(len(events)), uintptr(millis), 0, 0)
	if errno == unix.EINTR {
		return 0, nil
	}
	return result(n, errno)
}

// yieldThread lets other threads that could run go first.
func yieldThread() { _, _, _ = unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

func result(n uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
