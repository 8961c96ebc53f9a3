package fill

import (
	"context"
	"sync"
	"time"

	"pagegate/internal/metrics"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
)

// Pauses between two attempts to take another process's lock.
const (
	lockPauseFirst = 5 * time.Millisecond
	lockPauseLast  = 50 * time.Millisecond
)

// approach does what a flight begins with: it makes this process the only one that fetches the page, where processes share the
// cache, notes the purges so far, and looks the page up. It tells whether a page was there.
func (f *Filler) approach(fl *flight, old *page.Page) (found bool) {
	batcher, ok := f.batcher(fl)
	if !ok {
		if locker, ok := f.o.Cache.(pagecache.Locker); ok && !fl.alone {
			f.lock(fl, locker, func() (bool, error) { return locker.Lock(fl.ctx, []byte(fl.key), f.o.LockTTL) })
		}
		fl.since = f.beginning(fl.ctx, fl.primary)
		return f.get(fl.ctx, fl.key, old)
	}
	f.lock(fl, batcher, func() (bool, error) {
		old.Release()
		fl.since.own = f.purges.Entries().Last()
		s, err := batcher.Begin(fl.ctx, []byte(fl.key), f.o.LockTTL, old)
		fl.since.shared, fl.since.unknown = s.Purges.Last(), err != nil
		found = s.Found
		return s.Locked, err
	})
	return found
}

// batcher returns the cache as one that does in one exchange what a flight needs, if it is one and the flight's page is kept
// where the page key's locks and notes are.
func (f *Filler) batcher(fl *flight) (pagecache.Batcher, bool) {
	b, ok := f.o.Cache.(pagecache.Batcher)
	return b, ok && !fl.alone && fl.key == fl.primary
}

// lock tries to take the flight's lock, and waits while another process has it, LockWait at most: that one unlocks when the page
// is stored, so the look-up that follows finds it. A lock only saves the backend work; without one (the cache is out of
// order, the wait was too long) the fetch goes on all the same.
func (f *Filler) lock(fl *flight, locker pagecache.Locker, try func() (bool, error)) {
	var patience <-chan time.Time
	for pause := lockPauseFirst; ; pause = min(2*pause, lockPauseLast) {
		got, err := try()
		switch {
		case err != nil:
			f.o.Metrics.CacheError(metrics.OpLock)
			return
		case got:
			fl.held = f.hold(locker, []byte(fl.key))
			return
		case patience == nil:
			patience = time.After(f.o.LockWait)
		}
		select {
		case <-fl.ctx.Done():
			return
		case <-patience:
			return
		case <-time.After(pause):
		}
	}
}

// lease is a lock that this process has. It is extended until it is given back, so that a slow backend does not cost a second
// fetch. A nil one is none.
type lease struct {
	f      *Filler
	locker pagecache.Locker
	key    []byte

	mu       sync.Mutex
	over     bool
	extender *time.Timer
}

func (f *Filler) hold(locker pagecache.Locker, key []byte) *lease {
	h := &lease{f: f, locker: locker, key: key}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.extender = time.AfterFunc(f.o.LockTTL/3, h.extend)
	return h
}

func (h *lease) extend() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return
	}
	if err := h.locker.Extend(context.Background(), h.key, h.f.o.LockTTL); err != nil {
		h.f.o.Metrics.CacheError(metrics.OpLock)
	}
	h.extender.Reset(h.f.o.LockTTL / 3)
}

// forget ends the extending of a lock, and tells whether this call did. Nothing extends it afterwards.
func (h *lease) forget() bool {
	if h == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.over
	h.over = true
	h.extender.Stop()
	return !before
}

// release gives a lock back, unless it has been.
func (h *lease) release() {
	if !h.forget() {
		return
	}
	if err := h.locker.Unlock(context.Background(), h.key); err != nil {
		h.f.o.Metrics.CacheError(metrics.OpLock)
	}
}
