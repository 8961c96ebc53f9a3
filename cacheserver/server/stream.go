package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"time"
)

// handshakeTimeout bounds the time that a client has for a TLS handshake, and writeTimeout how long one may take to
// read what it has asked for over TLS.
const (
	handshakeTimeout = 10 * time.Second
	writeTimeout     = time.Minute
)

// stream is a connection whose bytes are not those of its socket: TLS. It has a goroutine of its own.
type stream struct {
	session
	conn    *tls.Conn
	buf     []byte // what was read and not used yet
	sending []byte
}

// serveStream holds a conversation until it ends. stats is a worker's.
func (s *Server) serveStream(conn *tls.Conn, stats *counters) {
	defer s.connClosed()
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	err := conn.HandshakeContext(ctx)
	cancel()
	if err != nil {
		s.tlsErrors.Add(1)
		s.logf(1, "TLS with %s: %v", conn.RemoteAddr(), err)
		return
	}
	if !conn.ConnectionState().DidResume {
		s.tlsSessions.Add(1)
	}
	c := &stream{conn: conn, buf: make([]byte, 0, keptText)}
	c.srv, c.stats = s, stats
	c.caller = s.newCaller(socketNumber(conn.NetConn()), conn)
	c.id = c.caller.id
	if !s.callers.add(c.caller, func() { conn.NetConn().Close() }) {
		return
	}
	s.events.connNew(c.caller)
	defer func() {
		s.callers.remove(c.caller)
		s.events.connClose(c.caller, c.reason())
		c.end()
	}()
	c.converse()
}

// converse reads and answers until one side has enough.
func (c *stream) converse() {
	for {
		if c.watch != nil {
			c.srv.serveWatcher(c.conn, c.caller, c.watch)
			return
		}
		if !c.receive() {
			return
		}
		for {
			c.budget = c.srv.cfg.MaxRequests
			used := c.feed(c.buf)
			c.buf = append(c.buf[:0], c.buf[used:]...)
			if len(c.out.awaited) > 0 {
				c.waitForLoads()
			}
			full := c.out.full()
			if c.budget <= 0 && len(c.buf) > 0 && !full && !c.closing {
				c.stats.connYields.Add(1)
				runtime.Gosched() // others have their turn
				continue
			}
			if !c.send() || c.closing {
				return
			}
			if !full && !c.busy() {
				break
			}
		}
	}
}

// receive waits for more bytes; false at the end of the connection.
func (c *stream) receive() bool {
	if len(c.buf) == cap(c.buf) {
		c.buf = append(c.buf, 0)[:len(c.buf)]
	}
	deadline := time.Time{}
	if idle := c.srv.cfg.IdleTimeout; idle > 0 {
		deadline = time.Now().Add(time.Duration(idle) * time.Second)
	}
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		return false
	}
	n, err := c.conn.Read(c.buf[len(c.buf):cap(c.buf)])
	if n == 0 && err != nil {
		if e, ok := err.(net.Error); ok && e.Timeout() {
			c.stats.idleKicks.Add(1)
			c.idled = true
		} else if broken(err) {
			c.srv.tlsBroken.Add(1)
			c.failed = true
		}
		return false
	}
	c.buf = c.buf[:len(c.buf)+n]
	c.stats.bytesRead.Add(uint64(n))
	c.caller.lastRead.Store(c.srv.clock())
	return true
}

// broken tells whether a read has failed because of what came, not because the client has gone.
func broken(err error) bool {
	var record tls.RecordHeaderError
	var op *net.OpError
	return errors.As(err, &record) || errors.As(err, &op) && (op.Op == "local error" || op.Op == "remote error") // TLS alerts
}

// send writes all that is owed; false when that fails.
func (c *stream) send() bool {
	o := &c.out
	if o.empty() {
		return true
	}
	c.sending = o.appendTo(c.sending[:0])
	o.reset()
	if err := c.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return false
	}
	n, err := c.conn.Write(c.sending)
	c.stats.bytesWritten.Add(uint64(n))
	if cap(c.sending) > maxOwed {
		c.sending = nil
	}
	return err == nil
}
