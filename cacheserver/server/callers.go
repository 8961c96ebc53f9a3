package server

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
)

// caller is what is known of a connection besides its conversation.
type caller struct {
	id       int          // a number that no other connection has at the same time: its socket's
	network  string       // tcp, tcp6 or unix
	remote   string       // the client's address
	local    string       // the one that it connected to
	lastRead atomic.Int64 // unix seconds
	state    atomic.Pointer[string]
}

// newCaller describes a connection.
func (s *Server) newCaller(id int, c net.Conn) *caller {
	k := &caller{id: id, network: c.RemoteAddr().Network(), remote: c.RemoteAddr().String(), local: c.LocalAddr().String()}
	if k.network == "unix" {
		k.remote = k.local
	} else if a, err := netip.ParseAddrPort(k.remote); err == nil && !a.Addr().Unmap().Is4() {
		k.network = "tcp6"
	}
	k.lastRead.Store(s.clock())
	k.setState(&stateRead)
	return k
}

// What a connection is doing, by the names of memcached's states that there is something like here.
var (
	stateRead    = "conn_read"      // waits for a request
	stateNRead   = "conn_nread"     // waits for the rest of a value
	stateSwallow = "conn_swallow"   // the same, of one that is refused
	stateWrite   = "conn_mwrite"    // waits until the client has read
	stateDisk    = "conn_io_queue"  // waits until values have been read from disk
	stateWatch   = "conn_watch"     // is a watcher
	stateParse   = "conn_parse_cmd" // is asking this very question
)

func (k *caller) setState(name *string) {
	if k.state.Load() != name {
		k.state.Store(name)
	}
}

// callers are the connections that there are. Its methods may be called by any goroutine.
type callers struct {
	mu     sync.Mutex
	all    map[*caller]func()
	closed bool
}

// add takes a connection in; false when the server is closing. close ends the connection; nil where a worker does that.
func (c *callers) add(k *caller, close func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	if c.all == nil {
		c.all = make(map[*caller]func())
	}
	c.all[k] = close
	return true
}

func (c *callers) remove(k *caller) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.all, k)
}

// closeAll ends the connections that no worker ends, and lets none come in any more.
func (c *callers) closeAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, close := range c.all {
		if close != nil {
			close()
		}
	}
}

// list returns the connections in the order of their numbers.
func (c *callers) list() []*caller {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]*caller, 0, len(c.all))
	for k := range c.all {
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b *caller) int { return a.id - b.id })
	return list
}

// socketNumber returns the number of a socket's file, -1 if it cannot be told.
func socketNumber(socket any) (number int) {
	number = -1
	if sc, ok := socket.(syscall.Conn); ok {
		if rc, err := sc.SyscallConn(); err == nil {
			_ = rc.Control(func(fd uintptr) { number = int(fd) })
		}
	}
	return number
}

// connStats are the lines of `stats conns`; asking is who asks.
func (s *Server) connStats(o *output, asking *caller) {
	since := s.clock() - s.started
	socket := func(number int, a net.Addr, state string) {
		network := a.Network()
		if at, err := netip.ParseAddrPort(a.String()); err == nil && !at.Addr().Is4() {
			network += "6"
		}
		stat(o, fmt.Sprintf("%d:addr", number), network+":"+a.String())
		stat(o, fmt.Sprintf("%d:state", number), state)
		stat(o, fmt.Sprintf("%d:secs_since_last_cmd", number), since)
	}
	for _, l := range s.listeners {
		socket(socketNumber(l), l.Addr(), "conn_listening")
	}
	for _, c := range s.cfg.UDP {
		stat(o, fmt.Sprintf("%d:UDP", socketNumber(c)), "UDP")
		socket(socketNumber(c), c.LocalAddr(), stateRead)
	}
	for _, k := range s.callers.list() {
		state := *k.state.Load()
		if k == asking {
			state = stateParse
		}
		stat(o, fmt.Sprintf("%d:addr", k.id), k.network+":"+k.remote)
		stat(o, fmt.Sprintf("%d:listen_addr", k.id), k.network+":"+k.local)
		stat(o, fmt.Sprintf("%d:state", k.id), state)
		stat(o, fmt.Sprintf("%d:secs_since_last_cmd", k.id), max(0, s.clock()-k.lastRead.Load()))
	}
}
