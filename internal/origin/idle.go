package origin

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// link is a connection to a backend that carries one exchange after the other, and belongs to one goroutine at a time.
type link struct {
	net.Conn
	raw  syscall.RawConn // nil where there is no socket below
	used bool            // it has carried an exchange
	head int             // bytes that a head may still take; negative while none is read
}

// newLink makes a link of a new connection. Over TLS below is the connection that the socket belongs to.
func newLink(conn net.Conn) *link {
	l := &link{Conn: conn, head: -1}
	below := conn
	if t, ok := below.(interface{ NetConn() net.Conn }); ok {
		below = t.NetConn()
	}
	if b, ok := below.(*writeBoundConn); ok {
		below = b.Conn
	}
	if s, ok := below.(syscall.Conn); ok {
		l.raw, _ = s.SyscallConn() // it fails for a closed socket, which the first write shows
	}
	return l
}

var errHeadTooLarge = fmt.Errorf("its head is over %d KiB", maxHeaderBytes>>10)

// Read implements io.Reader for the reader of an exchange, within the bound for heads.
func (l *link) Read(p []byte) (int, error) {
	if l.head == 0 {
		return 0, errHeadTooLarge
	}
	if l.head > 0 && len(p) > l.head {
		p = p[:l.head]
	}
	n, err := l.Conn.Read(p)
	if l.head > 0 {
		l.head -= n
	}
	return n, err
}

// silent tells whether the backend has said nothing since the last exchange: neither hung up, nor sent an answer that
// nobody asked for and that would be taken for the next request's.
func (l *link) silent() bool {
	if l.raw == nil {
		return true
	}
	var b [1]byte
	if t, ok := l.Conn.(*tls.Conn); ok { // it may have read more than it was asked for
		_ = t.SetReadDeadline(time.Unix(1, 0))
		if _, err := t.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
	}
	silent := false
	err := l.raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		silent = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && silent
}

// takeLink returns a link without an exchange that can be used, or nil.
func (o *httpOrigin) takeLink() *link {
	for {
		l, ok := o.links.Take()
		if !ok {
			return nil
		}
		if l.silent() {
			return l
		}
		l.Close()
	}
}

// readers are the buffers of exchanges: large enough for most pages with their heads to come in one read.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 32<<10) }}
