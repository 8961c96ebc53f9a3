// Package server is the cache server's network side: it accepts connections, lets sessions talk over them, and counts.
//
// A connection belongs to one of a few workers, each with a thread and a set of sockets of its own (package sockets). On each
// wake-up a worker answers all that has come, with one send for each connection, and waits again. Values are sent
// straight from the store's memory, and large ones received straight into it. A client that does not read is not read from either, so
// what a connection may hold in memory is bounded.
package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"pagegate/cacheserver/store"
)

// Version is what `version` answers: the memcached whose protocol is kept.
const Version = "1.6.45"

// Config says how a Server behaves. The zero value of a field means the default that its comment gives.
type Config struct {
	Workers     int      // threads that serve connections, memcached's -t; default 4
	MaxConns    int      // connections at once, memcached's -c; default 1024
	Reserved    int      // of these, not for clients: what the program itself needs, as memcached counts; one is left for them in any case
	KeyMax      int      // bytes of the longest key; default 250
	PageKeys    bool     // a get of a longer key is a miss, not an error
	NoFlush     bool     // refuse flush_all, memcached's -F
	RefuseFast  bool     // tell a connection over MaxConns so instead of letting it wait, maxconns_fast
	IdleTimeout int64    // seconds after which a silent connection is closed; 0 for never
	MaxRequests int      // requests of one connection before others have their turn, memcached's -R; default 20
	Protocol    Protocol // that clients may speak, memcached's -B; default Auto
	// SASL checks who may speak to the server, memcached's -S; nil is everybody. With it Protocol is Binary. It is called by
	// several goroutines at once.
	SASL          func(user, password []byte) bool
	AuthFile      *AuthFile           // who may speak to the server, memcached's -Y; nil is everybody. With it Protocol is ASCII
	UDP           []*net.UDPConn      // sockets for requests in datagrams; Close closes them. Not with SASL or AuthFile
	NoDump        bool                // refuse dumps of keys and stats detail, memcached's -X
	NoWatch       bool                // refuse watch, memcached's -W
	Delimiter     byte                // what ends the prefix of a key in stats detail, memcached's -D; default ':'
	Detail        bool                // count by prefix from the start
	ReplyMemory   int                 // bytes that replies which wait to be sent may take in all workers, read_buf_mem_limit; 0 is no bound
	WatcherBuffer int                 // bytes that a watcher may fall behind; default 256 KiB
	Sizes         bool                // stats sizes counts the items by size, memcached's track_sizes
	StaleWindow   bool                // stats has the figures of the store's stale window
	Maintainer    bool                // memcached's lru_maintainer: the commands and figures of LRU segments; see store.LRU
	NoReassign    bool                // refuse slabs reassign, memcached's no_slab_reassign
	Crawler       Crawler             // how dead items are looked for in the background
	Shutdown      func(graceful bool) // ends the program, for the shutdown command, memcached's -A; nil refuses it
	Reload        func() error        // reads certificates and the like again, for refresh_certs; nil if there are none
	TLSRead       func() int64        // unix time at which certificates were last read; nil if TLS is spoken nowhere
	TLSResumes    bool                // TLS sessions may be resumed: stats counts new ones
	DiskSleep     uint32              // microseconds that the goroutine which moves values to disk sleeps at most, memcached's ext_max_sleep
	TestClock     *Clock              // the clock that debugtime moves; nil refuses that command and debugitem
	NoUring       bool                // epoll where io_uring could be had
	Settings      [][2]string         // lines of `stats settings`: name, value
	Verbose       int                 // memcached's -v: 2 logs commands and replies
	Log           io.Writer           // where to, nil is nowhere; written to by several goroutines at once
}

// Server serves one store. Its methods may be called by any goroutine.
type Server struct {
	cfg       Config
	store     *store.Store
	clock     func() int64
	started   int64
	workers   []*worker
	listeners []net.Listener

	oldest         atomic.Int64 // what memcached shows of the last flush_all: its time as memcached counts it
	replyShare     int          // of Config.ReplyMemory, what a connection may take; 0 is no bound
	verbose        atomic.Int32
	conns          atomic.Int64
	totalConns     atomic.Uint64
	rejected       atomic.Uint64
	listenDisabled atomic.Uint64
	diskSleep      atomic.Uint32 // see Config.DiskSleep
	callers        callers
	events         events
	prefixes       prefixes
	crawler        crawler
	juggles        atomic.Uint64  // lru_maintainer_juggles
	tlsErrors      atomic.Uint64  // handshakes that failed
	tlsBroken      atomic.Uint64  // connections that ended because what came was not TLS's
	tlsSessions    atomic.Uint64  // handshakes that were no resumption
	watching       sync.WaitGroup // goroutines of connections that no worker serves
	roomAgain      chan struct{}
	moveAsked      chan struct{} // a page is to move
	freeRatio      atomic.Uint64 // what slabs automove freeratio has said, as its bits; 0 is nothing. Only stats settings has a use for it
	stopped        chan struct{}
}

// New makes a Server over listeners that are open. It fails when the system has no means to wait for a worker, or for a
// Config that contradicts itself; the listeners and the store stay the caller's then, as before Serve.
func New(cfg Config, st *store.Store, clock func() int64, listeners ...net.Listener) (*Server, error) {
	setDefault(&cfg.Workers, 4)
	setDefault(&cfg.MaxConns, 1024)
	setDefault(&cfg.KeyMax, 250)
	setDefault(&cfg.MaxRequests, 20)
	setDefault(&cfg.WatcherBuffer, 256<<10)
	if cfg.Delimiter == 0 {
		cfg.Delimiter = ':'
	}
	switch {
	case cfg.SASL != nil && cfg.AuthFile != nil:
		return nil, errors.New("cacheserver: SASL speaks the binary protocol only, a file of users the text protocol: choose one")
	case len(cfg.UDP) > 0 && (cfg.SASL != nil || cfg.AuthFile != nil):
		return nil, errors.New("cacheserver: nobody can authenticate himself over UDP")
	case len(cfg.UDP) > 0 && st.HasDisk():
		return nil, errors.New("cacheserver: a datagram's answer does not wait for a disk")
	case cfg.SASL != nil:
		cfg.Protocol = Binary
	case cfg.AuthFile != nil:
		cfg.Protocol = ASCII
	}
	s := &Server{
		cfg:       cfg,
		store:     st,
		clock:     clock,
		started:   clock(),
		listeners: listeners,
		roomAgain: make(chan struct{}, 1),
		moveAsked: make(chan struct{}, 1),
		stopped:   make(chan struct{}),
	}
	s.verbose.Store(int32(cfg.Verbose))
	s.prefixes.on.Store(cfg.Detail)
	s.replyShare = cfg.ReplyMemory / cfg.Workers
	s.crawler.asked = make(chan struct{}, 1)
	s.crawler.set(cfg.Crawler)
	st.OnEvict(s.evicted)
	st.OnMove(s.pageMoves)
	if st.HasDisk() {
		s.diskSleep.Store(cfg.DiskSleep)
		st.OnDiskEvent(s.onDiskEvent)
	}
	for range cfg.Workers {
		w, err := newWorker(s)
		if err != nil {
			s.closeWorkers()
			return nil, fmt.Errorf("cacheserver: a worker's sockets: %w", err)
		}
		s.workers = append(s.workers, w)
	}
	return s, nil
}

func setDefault(field *int, value int) {
	if *field == 0 {
		*field = value
	}
}

func (s *Server) closeWorkers() {
	for _, w := range s.workers {
		w.close()
	}
}

// Serve answers until Close, and has ended every connection when it returns. It is called once.
func (s *Server) Serve() {
	var running, accepting sync.WaitGroup
	for _, w := range s.workers {
		running.Go(w.run)
	}
	for i, l := range s.listeners {
		accepting.Go(func() { s.accept(l, i) })
	}
	for _, conn := range s.cfg.UDP {
		for _, w := range s.workers {
			accepting.Go(func() { s.serveUDP(conn, &w.stats) })
		}
	}
	s.watching.Go(s.maintain)
	s.watching.Go(s.movePages)
	if s.cfg.Maintainer {
		s.watching.Go(s.juggle)
	}
	if s.store.HasDisk() {
		s.watching.Go(s.tendDisk)
	}
	accepting.Wait()
	s.callers.closeAll()
	for _, w := range s.workers {
		w.stop.Store(true)
		w.signal()
	}
	running.Wait()
	s.watching.Wait()
	s.closeWorkers()
}

// Close ends Serve: no new connections, then none at all.
func (s *Server) Close() {
	for _, l := range s.listeners {
		l.Close()
	}
	for _, c := range s.cfg.UDP {
		c.Close()
	}
	close(s.stopped)
}

// accept hands a listener's connections to the workers in turn.
func (s *Server) accept(l net.Listener, first int) {
	for next := first; ; next++ {
		if !s.cfg.RefuseFast && !s.waitForRoom() {
			return
		}
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(10 * time.Millisecond) // out of file descriptors, say: others may free some
			continue
		}
		if s.cfg.RefuseFast && s.full() {
			s.rejected.Add(1)
			refuse(c)
			continue
		}
		s.conns.Add(1)
		s.totalConns.Add(1)
		w := s.workers[next%len(s.workers)]
		if t, ok := c.(*tls.Conn); ok {
			s.watching.Go(func() { s.serveStream(t, &w.stats) })
			continue
		}
		fd, err := detach(c)
		if err != nil {
			s.connClosed()
			continue
		}
		k := s.newCaller(fd, c)
		if !s.callers.add(k, nil) {
			w.release(k)
			continue
		}
		w.hand(k)
	}
}

// refuse tells a client that there are too many. It is said in plain over TLS too, as memcached does: a handshake would be work.
func refuse(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	_ = c.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.Write([]byte("ERROR Too many open connections\r\n"))
	c.Close()
}

// full tells that no more connections may be served.
func (s *Server) full() bool { return s.conns.Load() >= int64(max(1, s.cfg.MaxConns-s.cfg.Reserved)) }

// waitForRoom waits until one more connection may be served; false when the server is closed.
func (s *Server) waitForRoom() bool {
	for s.full() {
		s.listenDisabled.Add(1)
		select {
		case <-s.roomAgain:
		case <-s.stopped:
			return false
		}
	}
	return true
}

func (s *Server) connClosed() {
	s.conns.Add(-1)
	select {
	case s.roomAgain <- struct{}{}:
	default:
	}
}

// detach takes a connection's socket out of the runtime's hands: the workers wait for it by themselves.
func detach(c net.Conn) (fd int, err error) {
	defer c.Close()
	sc, ok := c.(interface {
		SyscallConn() (syscall.RawConn, error)
	})
	if !ok {
		return 0, errors.New("no socket")
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := rc.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, cerr)
}

// mostVerbose is the highest level of verbosity that the command of that name sets.
const mostVerbose = 2

// setVerbosity changes what is logged, as far as there is a place for it.
func (s *Server) setVerbosity(level int) { s.verbose.Store(int32(min(level, mostVerbose))) }

// logs tells whether a level of verbosity is logged.
func (s *Server) logs(level int) bool { return s.verbose.Load() >= int32(level) && s.cfg.Log != nil }

// logf logs a line at a level of verbosity, as memcached does with -v, -vv and -vvv.
func (s *Server) logf(level int, format string, args ...any) {
	if s.logs(level) {
		fmt.Fprintf(s.cfg.Log, format+"\n", args...)
	}
}

// month is the longest exptime that counts from now, in seconds (protocol.txt, "Expiration times").
const month = 60 * 60 * 24 * 30

// expires turns an exptime as sent into unix seconds: 0 is never, negative is over at once, up to 30 days counts from
// now, more is a time.
func (s *Server) expires(exptime int64) int64 {
	switch {
	case exptime == 0:
		return 0
	case exptime < 0:
		return 1
	case exptime <= month:
		return s.clock() + exptime
	}
	return exptime
}
