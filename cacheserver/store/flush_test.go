package store

import (
	"fmt"
	"testing"
)

func TestFlush(t *testing.T) {
	clock := newClock()
	s := newStore(t, Config{Now: clock.now})
	there := func(key string) bool { _, ok := get(s, key); return ok }

	set(t, s, "before", nil)
	s.FlushAll(0)
	set(t, s, "after", nil)
	if there("before") || !there("after") {
		t.Error("at once: an item stored after a flush in the same second must survive, one before must not")
	}

	s.FlushAll(clock.now() + 10)
	set(t, s, "between", nil)
	clock.add(9)
	if !there("after") || !there("between") {
		t.Error("a flush to come has acted early")
	}
	clock.add(1)
	set(t, s, "at", nil)
	if there("after") || there("between") || !there("at") {
		t.Error("a flush must act at its time on all that was there")
	}

	s.FlushAll(clock.now() + 10)
	s.FlushAll(clock.now() + 100)
	clock.add(10)
	if !there("at") {
		t.Error("a flush that was replaced has acted")
	}

	s.FlushAll(clock.now() + 5)
	clock.add(5)
	s.FlushAll(clock.now() + 100)
	if there("at") {
		t.Error("a flush that was due has been lost to its successor")
	}

	set(t, s, "a", nil)
	s.FlushAll(clock.now() + 10)
	s.FlushAll(clock.now() - 1)
	set(t, s, "b", nil)
	clock.add(1000)
	if there("a") || !there("b") {
		t.Error("a flush at once must replace one to come")
	}
	if got := s.Stats(); got.GetFlushed == 0 || got.GetExpired != 0 {
		t.Errorf("%d flushed and %d expired items found", got.GetFlushed, got.GetExpired)
	}
	checkInvariants(t, s, 0)
}

// TestFlushedStayFlushed goes through all values that the epoch in a header can have: no item comes to life again.
func TestFlushedStayFlushed(t *testing.T) {
	s := newStore(t, Config{})
	for i := range 3 << 16 {
		if i%5_000 == 0 {
			set(t, s, fmt.Sprint("k", i), nil)
		}
		s.FlushAll(0)
		if i%5_000 == 4_999 {
			s.Walk(func(key []byte, _ ItemInfo) bool {
				t.Fatalf("after %d flushes %q is there", i, key)
				return false
			})
		}
	}
	if got := s.Stats().CurrItems; got > purgeEvery/5_000+1 {
		t.Errorf("%d flushed items are kept", got)
	}
	checkInvariants(t, s, 0)
}

func TestExpiry(t *testing.T) {
	clock := newClock()
	s := newStore(t, Config{Now: clock.now})
	now := clock.now()
	for _, tt := range []struct {
		exptime int64
		until   int64 // seconds from now in which the item is seen
	}{
		{0, 1 << 31}, {now - 1, 0}, {now, 0}, {now + 1, 1}, {-1, 0}, {now + 100, 100}, {1 << 40, 1 << 31},
	} {
		clock.t.Store(now)
		for _, how := range []string{"set", "touch", "get and touch"} {
			switch how {
			case "set":
				put(s, Set, "k", []byte("v"), 0, tt.exptime, 0)
			case "touch":
				set(t, s, "k", []byte("v"))
				s.Touch([]byte("k"), tt.exptime)
			default:
				set(t, s, "k", []byte("v"))
				it, _ := s.GetAndTouch([]byte("k"), tt.exptime)
				it.Release()
			}
			clock.t.Store(now + tt.until - 1)
			if tt.until > 0 {
				wantValue(t, s, "k", []byte("v"))
			}
			clock.t.Store(now + tt.until)
			if tt.until < 1<<31 {
				wantMiss(t, s, "k")
			}
			clock.t.Store(now)
		}
	}
	if s.Touch([]byte("absent"), 0) != NotFound {
		t.Error("touched a missing item")
	}
	if got := s.Stats().GetExpired; got == 0 {
		t.Error("no expired item counted")
	}
}
