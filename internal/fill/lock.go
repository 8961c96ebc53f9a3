package fill

import (
	"context"
	"sync"
	"time"

	"pagegate/internal/metrics"
	"pagegate/internal/pagecache"
)

// Pauses between two attempts to take another process's lock.
const (
	lockPauseFirst = 5 * time.Millisecond
	lockPauseLast  = 50 * time.Millisecond
)

// lock makes this process the only one that fetches the flight's page, where processes share the cache, and returns what
// gives that back. It waits while another process has it, LockWait at most: that one unlocks when the page is stored, so
// the look-up that follows finds it. A lock only saves the backend work; without one (the cache is out of order, the
// wait was too long) the fetch goes on all the same.
func (f *Filler) lock(fl *flight) (unlock func()) {
	none := func() {}
	locker, ok := f.o.Cache.(pagecache.Locker)
	if !ok || fl.alone {
		return none
	}
	ctx, cancel := context.WithTimeout(fl.ctx, f.o.LockWait)
	defer cancel()
	key := []byte(fl.key)
	for pause := lockPauseFirst; ; pause = min(2*pause, lockPauseLast) {
		got, err := locker.Lock(ctx, key, f.o.LockTTL)
		if err != nil {
			f.o.Metrics.CacheError(metrics.OpLock)
			return none
		}
		if got {
			return f.keepLock(locker, key)
		}
		select {
		case <-ctx.Done():
			return none
		case <-time.After(pause):
		}
	}
}

// keepLock extends a lock until it is given back, so that a slow backend does not cost a second fetch.
func (f *Filler) keepLock(locker pagecache.Locker, key []byte) (unlock func()) {
	var keeper sync.WaitGroup
	stop := make(chan struct{})
	keeper.Go(func() {
		tick := time.NewTicker(f.o.LockTTL / 3)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if err := locker.Extend(context.Background(), key, f.o.LockTTL); err != nil {
					f.o.Metrics.CacheError(metrics.OpLock)
				}
			}
		}
	})
	return func() {
		close(stop)
		keeper.Wait()
		if err := locker.Unlock(context.Background(), key); err != nil {
			f.o.Metrics.CacheError(metrics.OpLock)
		}
	}
}
