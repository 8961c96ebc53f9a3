// Package ring tells which of several cache servers holds a key, as nginx's `hash` directive decides it: the page that
// the filler stores must be on the server that nginx asks.
//
// nginx has two schemes. `hash KEY consistent` puts 160 points for each unit of a server's weight on a circle of 32-bit
// hashes and takes the first point at or after the key's hash, so a server that comes or goes moves only its own share
// of the keys. `hash KEY` takes the key's hash modulo the sum of the weights. Both hash the raw key (before the wire
// escape, see pagegate/internal/pagekey), and both count servers that are down: marking a server down moves its keys
// and no others.
//
// A key has not one server but an order of servers: the one that holds it, then the one that nginx asks if that fails,
// and so on. Pick gives the first, Walk all of them. After 20 steps to servers that are of no use nginx gives the hash
// up and goes on by round robin, whose choice depends on every request that the worker has served before. Here it is
// the server with the greatest weight, the first in order if there are several: what a freshly started nginx chooses.
// It differs from a busy one only if at least two usable servers are left, and costs a miss.
//
// A Ring is immutable and safe for concurrent use; looking up allocates nothing.
package ring

import (
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// Server is a `server` line of an nginx upstream block.
type Server struct {
	// Addr is the text of the line as written ("127.0.0.1:11211", "unix:/run/cache.sock", "cache1"): the text is hashed,
	// not the address that it resolves to. "127.0.0.1:11211" and "localhost:11211" are different servers. nginx takes
	// a name that resolves to several addresses for as many servers, which this package does not know: write addresses.
	Addr string
	// Weight is the line's `weight`; 0 means 1, nginx's default.
	Weight int
	// Down is the line's `down`: the server keeps its share of the hash, and its keys go elsewhere.
	Down bool
}

// MaxServers and MaxWeight bound a ring: the number of its servers and the sum of their weights.
const (
	MaxServers = 256
	MaxWeight  = 10_000
)

// maxSkips is how many steps to a server that cannot be used nginx takes before it gives the hash up.
const maxSkips = 20

// Ring is a set of servers under one of the two schemes.
type Ring struct {
	servers []Server
	total   uint32  // the sum of the weights
	points  []point // sorted by hash, no two alike; nil for the modulo scheme
}

// NewConsistent returns the ring of `hash KEY consistent`. The servers are those of the upstream block in its order,
// down ones included, backup servers not. The ring takes 1,280 bytes for each unit of weight.
func NewConsistent(servers []Server) (*Ring, error) {
	r, err := newRing(servers)
	if err != nil {
		return nil, err
	}
	r.points = newPoints(r.servers, int(r.total))
	return r, nil
}

// NewModulo returns the ring of `hash KEY`. The servers are those of the upstream block in its order, down ones
// included, backup servers not.
func NewModulo(servers []Server) (*Ring, error) { return newRing(servers) }

// newRing checks and copies the servers, with every weight filled in.
func newRing(servers []Server) (*Ring, error) {
	if len(servers) == 0 {
		return nil, errors.New("ring: no servers")
	}
	if len(servers) > MaxServers {
		return nil, fmt.Errorf("ring: %d servers, at most %d are possible", len(servers), MaxServers)
	}
	r := &Ring{servers: slices.Clone(servers)}
	seen := make(map[string]bool, len(servers))
	for i := range r.servers {
		s := &r.servers[i]
		switch {
		case s.Addr == "":
			return nil, fmt.Errorf("ring: server %d has no address", i+1)
		case seen[s.Addr]:
			return nil, fmt.Errorf("ring: server %s is listed twice", s.Addr)
		case s.Weight < 0:
			return nil, fmt.Errorf("ring: server %s: weight %d is negative", s.Addr, s.Weight)
		case s.Weight == 0:
			s.Weight = 1
		}
		seen[s.Addr] = true
		// Compared before it is added: the sum of two huge weights would wrap.
		if s.Weight > MaxWeight-int(r.total) {
			return nil, fmt.Errorf("ring: server %s: the weights sum up to more than %d", s.Addr, MaxWeight)
		}
		r.total += uint32(s.Weight)
	}
	return r, nil
}

// Servers returns the number of servers, down ones included.
func (r *Ring) Servers() int { return len(r.servers) }

// Pick returns the index of the server that holds the raw key, or -1 if every server is down.
func (r *Ring) Pick(rawKey []byte) int {
	w := r.Walk(rawKey)
	return w.Next()
}

// Walk returns the order in which nginx asks the servers for the raw key, from the start. The key must not change
// while the walk is used. A Walk is a value for one goroutine; it needs no end.
func (r *Ring) Walk(rawKey []byte) Walk {
	w := Walk{ring: r, key: rawKey}
	switch {
	case len(r.servers) == 1 || len(rawKey) == 0:
		w.skips = maxSkips + 1 // nginx does not hash then
	case r.points != nil:
		w.at = find(r.points, crc32.ChecksumIEEE(rawKey))
	}
	return w
}

// Walk is a way through the servers of a ring for one key. Servers that it returned count as tried.
type Walk struct {
	ring   *Ring
	key    []byte
	tried  [MaxServers / 64]uint64
	at     int    // consistent: the present point
	sum    uint32 // modulo: the sum of the hashes so far
	rehash uint32 // modulo: how many hashes there were
	skips  int    // steps to servers that cannot be used
}

// Exclude keeps a server out of the walk, as nginx does with one that has failed lately.
func (w *Walk) Exclude(server int) { w.tried[server/64] |= 1 << (server % 64) }

// Next returns the index of the next server, or -1 if all others are down, excluded or tried.
func (w *Walk) Next() int {
	for w.skips <= maxSkips {
		server := w.candidate()
		if w.usable(server) {
			w.Exclude(server)
			return server
		}
		w.skips++
		w.at++
	}
	server := w.heaviest()
	if server >= 0 {
		w.Exclude(server)
	}
	return server
}

// candidate returns the server that the hash points at, usable or not.
func (w *Walk) candidate() int {
	if points := w.ring.points; points != nil {
		return int(points[w.at%len(points)].server)
	}
	w.sum += moduloHash(w.rehash, w.key)
	w.rehash++
	server := 0
	for rest := int(w.sum % w.ring.total); rest >= w.ring.servers[server].Weight; server++ {
		rest -= w.ring.servers[server].Weight
	}
	return server
}

func (w *Walk) usable(server int) bool {
	return w.tried[server/64]&(1<<(server%64)) == 0 && !w.ring.servers[server].Down
}

// heaviest returns the first usable server of those with the greatest weight, or -1.
func (w *Walk) heaviest() int {
	best := -1
	for i, s := range w.ring.servers {
		if w.usable(i) && (best < 0 || s.Weight > w.ring.servers[best].Weight) {
			best = i
		}
	}
	return best
}
