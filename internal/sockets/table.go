package sockets

import "golang.org/x/sys/unix"

// table finds a socket by its descriptor.
type table []*Socket

func (t table) at(fd int) *Socket {
	if fd >= len(t) {
		return nil
	}
	return t[fd]
}

func (t *table) put(s *Socket) {
	if more := s.FD + 1 - len(*t); more > 0 {
		*t = append(*t, make(table, more)...)
	}
	(*t)[s.FD] = s
}

func (t table) drop(s *Socket) {
	if t.at(s.FD) == s {
		t[s.FD] = nil
	}
}

// bell is an eventfd(2) that ends a wait.
type bell int

func newBell() (bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	return bell(fd), err
}

func (b bell) ring() {
	one := [8]byte{1}
	_, _ = unix.Write(int(b), one[:])
}

// silence makes a bell that has rung ready to ring again.
func (b bell) silence() {
	var count [8]byte
	_, _ = unix.Read(int(b), count[:])
}

func (b bell) close() { unix.Close(int(b)) }
