package remote

import (
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"pagegate/internal/pagekey"
	"pagegate/internal/ring"
)

// ErrDown says that no server is left that could be asked: each one failed within the last RetryAfter.
var ErrDown = errors.New("no cache server answers")

// Selector chooses the server of a key as nginx's upstream does, from the raw key, and passes over servers that failed a
// moment ago. It implements memcache.ServerSelector, so an application in Go may give it to a client of its own. Any
// number of goroutines may use it at once.
type Selector struct {
	ring       *ring.Ring
	servers    []*server
	retryAfter time.Duration
	now        func() time.Time
}

var _ memcache.ServerSelector = (*Selector)(nil)

// server is one cache server and what is known of its health.
type server struct {
	addr net.Addr
	// retryAt is 0 while the server answers; after a failure, the unix time in nanoseconds before which nobody asks it.
	retryAt atomic.Int64
	// trial is set while one user tries a server whose time out has passed.
	trial atomic.Bool
}

// addr is a server's address as the configuration writes it. A name is resolved at each dial, never before.
type addr struct{ network, address string }

func (a addr) Network() string { return a.network }
func (a addr) String() string  { return a.address }

// NewSelector makes a Selector over servers in the order of nginx's upstream block. A server's Addr is `host:port`, a
// host alone (port 11211), or `unix:/path`.
func NewSelector(r *ring.Ring, servers []ring.Server, retryAfter time.Duration) *Selector {
	s := &Selector{ring: r, retryAfter: retryAfter, now: time.Now}
	for _, srv := range servers {
		s.servers = append(s.servers, &server{addr: parseAddr(srv.Addr)})
	}
	return s
}

func parseAddr(text string) net.Addr {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		return addr{"unix", path}
	}
	if _, _, err := net.SplitHostPort(text); err != nil {
		return addr{"tcp", net.JoinHostPort(strings.Trim(text, "[]"), "11211")}
	}
	return addr{"tcp", text}
}

// PickServer returns the server of a key on the wire. The records and locks beside a page are on the page's server.
func (s *Selector) PickServer(wireKey string) (net.Addr, error) {
	i := s.pick(pageKeyOf(wireKey))
	if i < 0 {
		return nil, ErrDown
	}
	return s.servers[i].addr, nil
}

// Each calls fn with every server's address, working or not, until it returns an error.
func (s *Selector) Each(fn func(net.Addr) error) error {
	for _, srv := range s.servers {
		if err := fn(srv.addr); err != nil {
			return err
		}
	}
	return nil
}

// pick returns the index of the server that a raw page key is on, -1 when all are out of order.
func (s *Selector) pick(rawKey []byte) int {
	now := s.now().UnixNano()
	walk := s.ring.Walk(rawKey)
	i := walk.Next()
	for i >= 0 && s.servers[i].retryAt.Load() > now {
		i = walk.Next() // as nginx does when it cannot connect
	}
	return i
}

// admit tells whether the server may be used now. One that has failed is first tried by a single user, so that a dead
// server costs one wait per interval and not one per request; the others follow when it has answered.
func (s *server) admit() bool {
	return s.retryAt.Load() == 0 || s.trial.CompareAndSwap(false, true)
}

// answered puts a server back to work.
func (s *server) answered() {
	if s.retryAt.Load() != 0 {
		s.retryAt.Store(0)
		s.trial.Store(false)
	}
}

// failed takes a server out until the given time.
func (s *server) failed(until time.Time) {
	s.retryAt.Store(until.UnixNano())
	s.trial.Store(false)
}

// pageKeyOf returns the raw page key that decides where a key on the wire belongs.
func pageKeyOf(wireKey string) []byte {
	wireKey = strings.TrimPrefix(wireKey, recordPrefix)
	wireKey = strings.TrimPrefix(wireKey, lockPrefix)
	raw, err := pagekey.AppendRaw(nil, []byte(wireKey))
	if err != nil {
		return []byte(wireKey) // not one of ours: any fixed choice will do
	}
	return raw
}
