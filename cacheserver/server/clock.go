package server

import (
	"sync"
	"sync/atomic"
	"time"
)

// Clock tells the unix time in seconds at the cost of one load: it is asked several times in each command.
type Clock struct {
	unix atomic.Int64
	stop chan struct{}
	done sync.WaitGroup
}

// tick is how far a Clock may be behind.
const tick = 100 * time.Millisecond

// NewClock starts a Clock that follows now. Stop ends it.
func NewClock(now func() time.Time) *Clock {
	c := &Clock{stop: make(chan struct{})}
	c.unix.Store(now().Unix())
	c.done.Go(func() {
		t := time.NewTicker(tick)
		defer t.Stop()
		for {
			select {
			case <-c.stop:
				return
			case <-t.C:
				c.unix.Store(now().Unix())
			}
		}
	})
	return c
}

// Unix returns the time in seconds.
func (c *Clock) Unix() int64 { return c.unix.Load() }

// Stop ends the Clock and waits for that.
func (c *Clock) Stop() {
	close(c.stop)
	c.done.Wait()
}
