package server

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"pagegate/cacheserver/protocol"
	"pagegate/cacheserver/store"
)

// eventKinds are what a watcher may ask for (protocol.txt, "Watchers"), as bits.
type eventKinds uint32

const (
	fetchers eventKinds = 1 << iota
	mutations
	evictions
	connEvents
	deletions
	sysEvents
	nothing // kinds of which memcached without its proxy tells nothing either
)

// eventNames are in the order in which memcached looks at them: what abbreviates several is the first.
var eventNames = []struct {
	name string
	kind eventKinds
}{
	{"rawcmds", nothing}, {"evictions", evictions}, {"fetchers", fetchers}, {"mutations", mutations}, {"sysevents", sysEvents},
	{"connevents", connEvents}, {"proxyreqs", nothing}, {"proxyevents", nothing}, {"proxyuser", nothing}, {"deletions", deletions},
}

// eventKind returns what a word of watch stands for, 0 if that is nothing.
func eventKind(word string) eventKinds {
	for _, e := range eventNames {
		if protocol.Abbreviates(word, e.name) {
			return e.kind
		}
	}
	return 0
}

// events hands what happens to who watches. Its methods may be called by any goroutine; where nobody watches they cost one load.
type events struct {
	kinds    atomic.Uint32 // what is watched by anybody
	serial   atomic.Uint64
	skipped  atomic.Uint64
	sent     atomic.Uint64
	mu       sync.Mutex
	watchers map[*watcher]struct{}
}

// watcher is one connection that watches.
type watcher struct {
	kinds   eventKinds
	limit   int // bytes that may wait
	mu      sync.Mutex
	waiting []byte
	skipped uint64
	wake    chan struct{}
}

func (e *events) watched(kind eventKinds) bool { return eventKinds(e.kinds.Load())&kind != 0 }

func (e *events) add(w *watcher) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watchers == nil {
		e.watchers = make(map[*watcher]struct{})
	}
	e.watchers[w] = struct{}{}
	e.sum()
}

func (e *events) remove(w *watcher) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.watchers, w)
	e.sum()
}

// sum works out what is watched. The caller holds mu.
func (e *events) sum() {
	all := eventKinds(0)
	for w := range e.watchers {
		all |= w.kinds
	}
	e.kinds.Store(uint32(all))
}

// count returns the number of watchers.
func (e *events) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.watchers)
}

// tell appends an event's line to what the watchers of its kind get.
func (e *events) tell(kind eventKinds, format string, args ...any) {
	now := time.Now()
	line := fmt.Appendf(nil, "ts=%d.%06d gid=%d type=", now.Unix(), now.Nanosecond()/1000, e.serial.Add(1))
	line = append(fmt.Appendf(line, format, args...), '\n')
	e.mu.Lock()
	defer e.mu.Unlock()
	for w := range e.watchers {
		if w.kinds&kind == 0 {
			continue
		}
		if w.push(line) {
			e.sent.Add(1)
		} else {
			e.skipped.Add(1)
		}
	}
}

// push adds a line to what waits to be sent; false if the watcher is too slow for it.
func (w *watcher) push(line []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting)+len(line) > w.limit {
		w.skipped++
		return false
	}
	if w.skipped > 0 {
		w.waiting = fmt.Appendf(w.waiting, "skipped=%d\n", w.skipped)
		w.skipped = 0
	}
	w.waiting = append(w.waiting, line...)
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return true
}

// take returns what waits, and leaves room for more in its place.
func (w *watcher) take(room []byte) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.waiting
	w.waiting = room[:0]
	return lines
}

// newWatcher makes a watcher that events are kept for from now on, until it is removed.
func (s *Server) newWatcher(kinds eventKinds) *watcher {
	w := &watcher{kinds: kinds, limit: s.cfg.WatcherBuffer, wake: make(chan struct{}, 1)}
	s.events.add(w)
	return w
}

// serveWatcher sends events until the client goes, or is too slow for a minute, and removes the watcher. What the client sends counts for
// nothing.
func (s *Server) serveWatcher(conn net.Conn, k *caller, w *watcher) {
	k.setState(&stateWatch)
	defer s.events.remove(w)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, conn)
	}()
	var lines []byte
	for {
		select {
		case <-gone:
			return
		case <-w.wake:
		}
		lines = w.take(lines)
		_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if _, err := conn.Write(lines); err != nil {
			conn.Close()
			<-gone
			return
		}
	}
}

// connNew tells of a connection that has come.
func (e *events) connNew(k *caller) {
	if e.watched(connEvents) {
		e.tell(connEvents, "conn_new %s cfd=%d", k.where(), k.id)
	}
}

// connClose tells of a connection that has ended, and why.
func (e *events) connClose(k *caller, reason string) {
	if e.watched(connEvents) {
		e.tell(connEvents, "conn_close %s reason=%s cfd=%d", k.where(), reason, k.id)
	}
}

// where is the client's address as watchers are told it.
func (k *caller) where() string {
	if a, err := netip.ParseAddrPort(k.remote); err == nil {
		return "rip=" + a.Addr().Unmap().String() + " rport=" + strconv.Itoa(int(a.Port())) + " transport=tcp"
	}
	return "rip=unix rport=0 transport=local"
}

// evicted tells of an item that had to make room; the store calls it.
func (s *Server) evicted(key []byte, it store.ItemInfo) {
	if !s.events.watched(evictions) {
		return
	}
	fetch, ttl, now := "no", int64(-1), s.clock()
	if it.Fetched {
		fetch = "yes"
	}
	if it.Exptime != 0 {
		ttl = it.Exptime - now
	}
	s.events.tell(evictions, "eviction key=%s fetch=%s ttl=%d la=%d clsid=%d size=%d",
		uriEncode(key), fetch, ttl, max(0, now-it.LastAccess), it.Class, it.Len)
}

// pageMoves tells of a page that the automover moves, or cannot move; the store calls it.
func (s *Server) pageMoves(src, dst int, begun bool) {
	if !s.events.watched(sysEvents) {
		return
	}
	state := "ok"
	if !begun {
		state = "fail"
	}
	s.events.tell(sysEvents, "slab_move src=%d dst=%d state=%s", src, dst, state)
}

// uriEncode writes a key so that it has neither spaces nor control bytes: all but RFC 3986's unreserved characters become %XX.
func uriEncode(key []byte) []byte {
	const hex = "0123456789ABCDEF"
	out := make([]byte, 0, len(key)+8)
	for _, c := range key {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
			out = append(out, c)
		default:
			out = append(out, '%', hex[c>>4], hex[c&15])
		}
	}
	return out
}
