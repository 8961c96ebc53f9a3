// Package idle keeps connections between their uses.
//
// The one that was used last is used first. So as many stay in use as there are uses at once; the surplus of a busier time is
// closed when nobody has wanted it for a while. That is the only bound: there are never more idle connections than were in use
// at once within that while, and how many those may be is for whoever uses them to say.
package idle

import (
	"io"
	"sync"
	"time"
)

// Pool holds the connections to one place that nobody uses at the moment. Any number of goroutines may use it at once.
type Pool[C io.Closer] struct {
	// Keep is how long a connection is kept without being used. It is not changed once the Pool is in use.
	Keep time.Duration

	mu     sync.Mutex
	idle   []kept[C] // in the order in which they became idle
	expiry *time.Timer
	closed bool
}

// kept is a connection, and since when it is idle.
type kept[C io.Closer] struct {
	conn  C
	since time.Time
}

// Take returns an idle connection, which is the caller's from then on; ok is false if there is none.
func (p *Pool[C]) Take() (conn C, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return conn, false
	}
	conn = p.idle[last].conn
	p.idle[last] = kept[C]{}
	p.idle = p.idle[:last]
	return conn, true
}

// Put keeps a connection for the next who needs one, or closes it if the Pool is closed.
func (p *Pool[C]) Put(conn C) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		conn.Close()
		return
	}
	p.idle = append(p.idle, kept[C]{conn, time.Now()})
	if p.expiry == nil {
		p.expiry = time.AfterFunc(p.Keep, p.expire)
	}
}

// expire closes the connections that nobody has used for too long. It runs again when the next one's time is up.
func (p *Pool[C]) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, n := time.Now(), 0
	for n < len(p.idle) && now.Sub(p.idle[n].since) >= p.Keep {
		p.idle[n].conn.Close()
		n++
	}
	left := copy(p.idle, p.idle[n:])
	clear(p.idle[left:])
	p.idle = p.idle[:left]
	if p.expiry = nil; left > 0 && !p.closed {
		p.expiry = time.AfterFunc(p.idle[0].since.Add(p.Keep).Sub(now), p.expire)
	}
}

// Drop closes the idle connections.
func (p *Pool[C]) Drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
}

// Close closes the idle connections, and from then on those that are put back.
func (p *Pool[C]) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.drop()
	if p.expiry != nil {
		p.expiry.Stop()
	}
}

func (p *Pool[C]) drop() {
	for _, k := range p.idle {
		k.conn.Close()
	}
	p.idle = nil
}
