package uring

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Usable tells why there is no io_uring to use, nil if there is: it tries once, by a wait for something that is there.
var Usable = sync.OnceValue(func() error {
	r, err := New()
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.Begin(); err != nil {
		return err
	}
	defer runtime.UnlockOSThread()
	fd, err := unix.Eventfd(1, unix.EFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	count := make([]byte, 8)
	if err := errors.Join(r.Read(fd, count, 1), r.EnterAsleep(time.Second)); err != nil {
		return err
	}
	if c, ok := r.Next(); !ok || c.N != len(count) {
		return errors.New("io_uring: it does not answer")
	}
	return nil
})
