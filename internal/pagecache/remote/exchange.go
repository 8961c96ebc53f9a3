package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"pagegate/internal/pagecache"
)

// do runs one exchange about a page key with the server that holds it, and keeps that server's health. The outcomes that
// every user of memcached expects come back as this project's errors; others name the server.
func (c *Cache) do(key []byte, exchange func() error) error {
	return c.doOn(key, func(int) error { return exchange() })
}

// doOn is do for an exchange that is told the server's index.
func (c *Cache) doOn(key []byte, exchange func(i int) error) error {
	i := c.selector.pick(key)
	if i < 0 {
		return ErrDown
	}
	srv := c.selector.servers[i]
	if !srv.admit() {
		return ErrDown
	}
	err := exchange(i)
	if brokenConn(err) {
		// A pooled connection whose other end has gone says nothing of the server as it is now: drop them all, dial anew.
		_ = c.client.Close()
		c.wires[i].idle.Drop()
		err = exchange(i)
	}
	switch {
	case err == nil, errors.Is(err, memcache.ErrCacheMiss), errors.Is(err, memcache.ErrNotStored),
		errors.Is(err, memcache.ErrCASConflict):
		srv.answered()
		if errors.Is(err, memcache.ErrCacheMiss) {
			return nil
		}
		return err
	case strings.Contains(err.Error(), "object too large"):
		srv.answered()
		return pagecache.ErrTooLarge
	case errors.Is(err, memcache.ErrMalformedKey):
		srv.answered()
		return pagecache.ErrKey
	}
	srv.failed(c.selector.now().Add(c.selector.retryAfter))
	return fmt.Errorf("cache server %v: %w", srv.addr, err)
}

// brokenConn tells whether an exchange failed because the connection was closed at the other end.
func brokenConn(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// Lock implements pagecache.Locker by `add`.
func (c *Cache) Lock(_ context.Context, key []byte, ttl time.Duration) (bool, error) {
	wire, ok := lockKey(key)
	if !ok {
		return true, nil // nobody else can lock it either, and it is never stored
	}
	err := c.do(key, func() error {
		return c.client.Add(&memcache.Item{Key: wire, Value: []byte("1"), Expiration: lockSeconds(ttl)})
	})
	if errors.Is(err, memcache.ErrNotStored) {
		return false, nil
	}
	return err == nil, err
}

// Extend implements pagecache.Locker by `touch`.
func (c *Cache) Extend(_ context.Context, key []byte, ttl time.Duration) error {
	wire, ok := lockKey(key)
	if !ok {
		return nil
	}
	return c.do(key, func() error { return c.client.Touch(wire, lockSeconds(ttl)) })
}

// Unlock implements pagecache.Locker.
func (c *Cache) Unlock(_ context.Context, key []byte) error {
	wire, ok := lockKey(key)
	if !ok {
		return nil
	}
	return c.do(key, func() error { return c.client.Delete(wire) })
}

func lockKey(key []byte) (string, bool) {
	wire, ok := wireKey(key)
	return lockPrefix + wire, ok && len(lockPrefix)+len(wire) <= maxWireKey
}

// lockSeconds rounds up: the clock of a memcached server ticks once a second, and a second that ends at the next tick
// would be none.
func lockSeconds(ttl time.Duration) int32 {
	return int32(max(2, (ttl+time.Second-1)/time.Second))
}
