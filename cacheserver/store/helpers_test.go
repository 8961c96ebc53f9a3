package store

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
)

// clock is a time that a test moves.
type clock struct{ t atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.t.Store(1_000_000)
	return c
}

func (c *clock) now() int64 { return c.t.Load() }

func (c *clock) add(seconds int64) { c.t.Add(seconds) }

// newStore makes a store that ends with the test. A missing clock is one that stands still.
func newStore(t testing.TB, cfg Config) *Store {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = newClock().now
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// put stores a value in one of the modes and tells what came of it.
func put(s *Store, mode Mode, key string, value []byte, flags uint32, exptime int64, cas uint64) (Status, uint64, error) {
	p, err := s.Alloc([]byte(key), flags, exptime, len(value))
	if err != nil {
		return 0, 0, err
	}
	if n := p.Write(value); n != len(value) || p.Remaining() != 0 {
		panic(fmt.Sprintf("wrote %d of %d bytes, %d remain", n, len(value), p.Remaining()))
	}
	status, id := p.Commit(mode, cas)
	return status, id, nil
}

// set stores a value that never expires and returns its CAS id.
func set(t testing.TB, s *Store, key string, value []byte) uint64 {
	t.Helper()
	status, id, err := put(s, Set, key, value, 0, 0, 0)
	if err != nil || status != Stored {
		t.Fatalf("set %q of %d bytes: status %d, %v", key, len(value), status, err)
	}
	return id
}

// valueOf copies the value of an item.
func valueOf(it Item) []byte { return bytes.Join(it.Segments(nil), nil) }

// get returns a copy of a key's value.
func get(s *Store, key string) ([]byte, bool) {
	it, ok := s.Get([]byte(key))
	if !ok {
		return nil, false
	}
	defer it.Release()
	return valueOf(it), true
}

// wantValue fails unless the key has the value.
func wantValue(t testing.TB, s *Store, key string, want []byte) {
	t.Helper()
	got, ok := get(s, key)
	if !ok {
		t.Fatalf("get %q: missing, want %d bytes", key, len(want))
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("get %q: %s, want %s", key, abbreviate(got), abbreviate(want))
	}
}

// wantMiss fails if the key has an item.
func wantMiss(t testing.TB, s *Store, key string) {
	t.Helper()
	if got, ok := get(s, key); ok {
		t.Fatalf("get %q: %s, want a miss", key, abbreviate(got))
	}
}

func abbreviate(b []byte) string {
	if len(b) <= 40 {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q... (%d bytes)", b[:40], len(b))
}

// pattern is a value whose bytes tell their place, so that a piece at the wrong place shows.
func pattern(seed, size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte((i*7 + i>>8 + seed*31) % 251)
	}
	return b
}
