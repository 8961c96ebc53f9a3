// Package listen opens the addresses that pagegate's programs are given: `host:port` or `unix:/path`.
//
// The connections that it accepts give up on a peer that takes nothing for WriteIdle, however long the whole answer may
// take: a slow reader of a large page goes on, one that stopped reading does not hold its place for ever.
package listen

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// WriteIdle is how long a single write may wait for the peer.
const WriteIdle = 30 * time.Second

// Check tells what is wrong with an address, without opening it.
func Check(addr string) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("address %q: a unix socket needs an absolute path: unix:/path.sock", addr)
		}
		return nil
	}
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
		return fmt.Errorf("address %q: want host:port or unix:/path", addr)
	}
	return nil
}

// Listen opens an address. A socket file that a dead process left behind is replaced; one that somebody listens on is an
// error, as is a port in use. The caller closes the listener.
func Listen(addr string) (net.Listener, error) {
	if err := Check(addr); err != nil {
		return nil, err
	}
	network, target := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, target = "unix", path
		if err := removeStale(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen(network, target)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: another program listens there already; stop it or choose another --listen address", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if network == "unix" {
		// nginx is another user. Whoever may enter the socket's folder may connect, as to a port of the loopback.
		if err := os.Chmod(target, 0o666); err != nil {
			l.Close()
			return nil, fmt.Errorf("listen on %s: %w", addr, err)
		}
	}
	return Bounded(l), nil
}

// Bounded makes a listener of another's connections that give up as those of Listen. It owns l.
func Bounded(l net.Listener) net.Listener { return listener{l} }

// removeStale removes a socket file that nobody listens on.
func removeStale(path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("listen on unix:%s: a file that is not a socket is in the way; remove it or choose another path", path)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return fmt.Errorf("listen on unix:%s: another program listens there already; stop it or choose another path", path)
	}
	return os.Remove(path)
}

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return Patient(c), nil
}

// SyscallConn gives access to the socket that connections come from, which then give up on nobody by themselves.
func (l listener) SyscallConn() (syscall.RawConn, error) {
	s, ok := l.Listener.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("listener %s: it has no socket", l.Addr())
	}
	return s.SyscallConn()
}

// Patient returns a connection whose writes give up on a peer that takes nothing for WriteIdle.
func Patient(c net.Conn) net.Conn { return &conn{Conn: c} }

// conn gives each write a bound of its own.
type conn struct {
	net.Conn
	deadline time.Time
	last     []byte // what the last Read gave, in the reader's own memory
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.last = b[:n]
	return n, err
}

// NothingOwed tells whether the peer has surely been sent every answer to the requests before the present one, which has
// no content: that one came whole and alone in the last Read, and a server reads on only when it has sent what it had.
// It is for the one who answers the present request.
func (c *conn) NothingOwed() bool {
	return bytes.HasSuffix(c.last, headEnd) && bytes.Count(c.last, headEnd) == 1
}

// LastRead returns what the last Read gave. It is valid as NothingOwed is, as long as its reader leaves it.
func (c *conn) LastRead() []byte { return c.last }

var headEnd = []byte("\r\n\r\n")

// SetDeadline is another's choice, which holds until the next write.
func (c *conn) SetDeadline(t time.Time) error {
	c.deadline = time.Time{}
	return c.Conn.SetDeadline(t)
}

func (c *conn) Write(b []byte) (int, error) {
	// Moving the deadline is not free: one that still has most of its time left stays.
	if now := time.Now(); c.deadline.Sub(now) < WriteIdle/2 {
		c.deadline = now.Add(WriteIdle)
		if err := c.SetWriteDeadline(c.deadline); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}
