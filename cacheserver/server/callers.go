package server

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
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
	k.setState("conn_read")
	return k
}

func (k *caller) setState(name string) { k.state.Store(&name) }

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

// connStats are the lines of `stats conns`.
func (s *Server) connStats(o *output) {
	for i, l := range s.listeners {
		// A listener's socket is the runtime's: it counts down from 0, so that its number is no connection's.
		stat(o, fmt.Sprintf("%d:addr", -1-i), l.Addr().Network()+":"+l.Addr().String())
		stat(o, fmt.Sprintf("%d:state", -1-i), "conn_listening")
		stat(o, fmt.Sprintf("%d:secs_since_last_cmd", -1-i), s.clock()-s.started)
	}
	for _, k := range s.callers.list() {
		stat(o, fmt.Sprintf("%d:addr", k.id), k.network+":"+k.remote)
		stat(o, fmt.Sprintf("%d:listen_addr", k.id), k.network+":"+k.local)
		stat(o, fmt.Sprintf("%d:state", k.id), *k.state.Load())
		stat(o, fmt.Sprintf("%d:secs_since_last_cmd", k.id), max(0, s.clock()-k.lastRead.Load()))
	}
}
