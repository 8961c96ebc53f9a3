package server

import (
	"sync/atomic"

	"pagegate/cacheserver/store"
)

// counters are one worker's part of the statistics: only it adds, so adding is never contended; `stats` sums them up.
type counters struct {
	cmdGet, cmdSet, cmdFlush, cmdTouch         atomic.Uint64
	getHits, getMisses                         atomic.Uint64
	deleteHits, deleteMisses                   atomic.Uint64
	incrHits, incrMisses, decrHits, decrMisses atomic.Uint64
	casHits, casMisses, casBadval              atomic.Uint64
	touchHits, touchMisses                     atomic.Uint64
	bytesRead, bytesWritten                    atomic.Uint64
	tooLarge, noMemory, connYields, idleKicks  atomic.Uint64
	authCmds, authErrors, replyOOM             atomic.Uint64
	diskGets, diskAborted, diskOOM             atomic.Uint64
	diskRecached, diskMisses, diskBadCRC       atomic.Uint64
	hits                                       [store.ClassesMax + 1][store.Segments]atomic.Uint64 // look-ups, but for touches
	_                                          [64]byte                                            // no two workers' counters share a cache line
}

// hit counts a look-up that found an item.
func (c *counters) hit(class int, g store.Segment) { c.hits[class][g].Add(1) }

func (c *counters) got(ok bool) {
	c.cmdGet.Add(1)
	if ok {
		c.getHits.Add(1)
	} else {
		c.getMisses.Add(1)
	}
}

func (c *counters) touched(ok bool) {
	c.cmdTouch.Add(1)
	if ok {
		c.touchHits.Add(1)
	} else {
		c.touchMisses.Add(1)
	}
}

// metaHit counts an mg that has found its item, which is a touch where it sets the expiry.
func (c *counters) metaHit(touches bool) {
	if touches {
		c.touched(true)
		return
	}
	c.got(true)
}

func (c *counters) deleted(ok bool) {
	if ok {
		c.deleteHits.Add(1)
	} else {
		c.deleteMisses.Add(1)
	}
}

func (c *counters) cas(status store.Status) {
	switch status {
	case store.Stored:
		c.casHits.Add(1)
	case store.Exists:
		c.casBadval.Add(1)
	case store.NotFound:
		c.casMisses.Add(1)
	}
}

func (c *counters) delta(decr, hit bool) {
	switch {
	case decr && hit:
		c.decrHits.Add(1)
	case decr:
		c.decrMisses.Add(1)
	case hit:
		c.incrHits.Add(1)
	default:
		c.incrMisses.Add(1)
	}
}

// reset sets all to zero. Others may add meanwhile: what is added at this very moment counts or not.
func (c *counters) reset() {
	for _, n := range []*atomic.Uint64{
		&c.cmdGet, &c.cmdSet, &c.cmdFlush, &c.cmdTouch, &c.getHits, &c.getMisses, &c.deleteHits, &c.deleteMisses,
		&c.incrHits, &c.incrMisses, &c.decrHits, &c.decrMisses, &c.casHits, &c.casMisses, &c.casBadval, &c.touchHits,
		&c.touchMisses, &c.bytesRead, &c.bytesWritten, &c.tooLarge, &c.noMemory, &c.connYields, &c.idleKicks,
		&c.authCmds, &c.authErrors, &c.replyOOM,
		&c.diskGets, &c.diskAborted, &c.diskOOM, &c.diskRecached, &c.diskMisses, &c.diskBadCRC,
	} {
		n.Store(0)
	}
	for class := range c.hits {
		for g := range c.hits[class] {
			c.hits[class][g].Store(0)
		}
	}
}
