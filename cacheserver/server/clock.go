package server

import (
	"sync"
	"sync/atomic"
	"time"
)

// Clock tells the unix time in seconds at the cost of one load: it is asked several times in each command.
type Clock struct {
	unix   atomic.Int64
	stop   chan struct{}
	done   sync.WaitGroup
	shift  atomic.Int64 // seconds that it is ahead of the time
	paused atomic.Bool
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
				if !c.paused.Load() {
					c.unix.Store(now().Unix() + c.shift.Load())
				}
			}
		}
	})
	return c
}

// Unix returns the time in seconds.
func (c *Clock) Unix() int64 { return c.unix.Load() }

// Pause lets the Clock stand still, for tests; Resume lets it go on.
func (c *Clock) Pause() { c.paused.Store(true) }

// Resume ends a Pause.
func (c *Clock) Resume() { c.paused.Store(false) }

// Shift lets the Clock jump by some seconds, for tests.
func (c *Clock) Shift(seconds int64) {
	c.shift.Add(seconds)
	c.unix.Add(seconds)
}

// Stop ends the Clock and waits for that.
func (c *Clock) Stop() {
	close(c.stop)
	c.done.Wait()
}
