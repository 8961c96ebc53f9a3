package store

import (
	"sync"
	"sync/atomic"
)

// page is the bookkeeping of one page. Fields that are not atomic belong to the lock of the class that owns the page,
// and to the pool's while none does.
type page struct {
	owner    atomic.Uint32 // number of the class; 0 while the page is in the pool
	epoch    atomic.Uint32 // the store's epoch when an item of the page was last linked
	deadline atomic.Uint32 // latest expiry of the items linked since the page was cut; 0 if there was none yet
	count    uint16        // chunks
	fresh    uint16        // chunks from here on were never used since the page was cut
	free     uint16        // 1 + number of the first chunk that was used and freed; 0 is none
	used     uint16        // chunks in use
	cut      uint8         // which of the class's cuts
	draining bool          // the page is being emptied: its chunks are not given out
	kept     bool          // nothing is in the page, but it stays with its class: it was given that, or see Automove.Keep
	prev     uint32        // neighbours in the class's list of pages with room, by page number
	next     uint32
}

// never is the deadline of a page with an item that does not expire.
const never = 1<<32 - 1

// noteLink keeps the page's epoch and deadline up to date when an item is linked or its expiry changes. window is for how
// long items are of use behind their expiry.
func (p *page) noteLink(epoch, exptime, window uint32) {
	p.epoch.Store(epoch)
	p.extend(exptime, window)
}

// extend keeps the deadline up to date.
func (p *page) extend(exptime, window uint32) {
	if exptime == 0 || exptime > never-window {
		exptime = never
	} else {
		exptime += window
	}
	for {
		d := p.deadline.Load()
		if d >= exptime || p.deadline.CompareAndSwap(d, exptime) {
			return
		}
	}
}

// dead says whether all items of the page are flushed or expired: it errs only towards false.
func (p *page) dead(epoch, now uint32) bool {
	d := p.deadline.Load()
	return d != 0 && p.owner.Load() != 0 && (p.epoch.Load() != epoch || d <= now)
}

// hasRoom says whether the page belongs in its class's list of pages with room.
func (p *page) hasRoom() bool { return !p.draining && p.used < p.count }

// pool hands out the pages that no class owns, at most limit of them at a time.
type pool struct {
	mu       sync.Mutex
	limit    int           // pages that classes may own together
	reserved int           // pages that there is address space for
	taken    int64         // see Config.Taken
	owned    int           // pages that classes own
	extra    int           // of these, beyond the limit: each class may have one page in any case
	fresh    atomic.Uint32 // pages from this number on were never used
	used     []uint32      // returned pages, their memory still taken
	cold     []uint32      // returned pages, their memory given back to the system
	spare    atomic.Int64  // limit - owned, so that a full pool is seen without the lock
}

func (p *pool) init(limit, reserved int) {
	p.reserved = reserved
	p.fresh.Store(1)
	p.setLimit(limit)
}

func (p *pool) setLimit(pages int) {
	p.limit = pages
	p.count(0)
}

// count adds to the pages that are owned.
func (p *pool) count(more int) {
	p.owned += more
	p.extra = max(0, min(p.extra, p.owned-p.limit))
	p.spare.Store(int64(p.limit + p.extra - p.owned))
}

// take returns the number of a page, or 0 if the limit is reached. A class's first page may be beyond it.
func (p *pool) take(first bool) uint32 {
	if p.spare.Load() <= 0 && !first {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.owned >= p.limit {
		if !first || len(p.used)+len(p.cold) == 0 && int(p.fresh.Load()) > p.reserved {
			return 0
		}
		p.extra++
	}
	p.count(1)
	if n := len(p.used); n > 0 {
		page := p.used[n-1]
		p.used = p.used[:n-1]
		return page
	}
	if n := len(p.cold); n > 0 {
		page := p.cold[n-1]
		p.cold = p.cold[:n-1]
		return page
	}
	return p.fresh.Add(1) - 1
}

// put takes a page back.
func (p *pool) put(page uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count(-1)
	p.used = append(p.used, page)
}

// restore takes note of the pages that classes own from the start.
func (p *pool) restore(pages []metaPage) {
	if len(pages) == 0 {
		return
	}
	last := pages[len(pages)-1].Number
	p.fresh.Store(last + 1)
	owned := make([]bool, last+1)
	for _, o := range pages {
		owned[o.Number] = true
	}
	for n := uint32(1); n < last; n++ {
		if !owned[n] {
			p.cold = append(p.cold, n)
		}
	}
	p.owned = len(pages)
	p.setLimit(p.limit)
}

// refuse takes a page back that there is no memory for, and asks for no more of them.
func (p *pool) refuse(page uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count(-1)
	p.cold = append(p.cold, page)
	p.setLimit(min(p.limit, p.owned))
}

// excess returns how many pages are owned beyond the limit; negative are those still to be had.
func (p *pool) excess() int { return -int(p.spare.Load()) }

// allTaken says whether as much memory is taken as the limit allows, by classes or by returned pages.
func (p *pool) allTaken() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.owned+len(p.used) >= p.limit
}

// overcommitted says whether returned pages take memory beyond the limit.
func (p *pool) overcommitted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.used) > 0 && p.owned+len(p.used) > p.limit+p.extra
}

// coolOne gives the memory of one returned page back to the system if more memory is taken than the limit allows.
func (p *pool) coolOne(slabs *region) bool { return p.overcommitted() && p.cool(slabs) }

// cool gives the memory of one returned page back to the system.
func (p *pool) cool(slabs *region) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.used)
	if n == 0 {
		return false
	}
	page := p.used[n-1]
	p.used = p.used[:n-1]
	slabs.giveBack(int(page)<<pageShift, pageSize)
	p.cold = append(p.cold, page)
	return true
}

// takePage takes a page from the pool, 0 if there is none; first as in pool.take.
func (s *Store) takePage(first bool) uint32 {
	n := s.pool.take(first)
	if n != 0 && !s.slabs.ensure(int(n)<<pageShift, pageSize) {
		s.pool.refuse(n)
		return 0
	}
	return n
}

// SetMemoryLimit sets the bound on slab pages, in bytes, at run time; at least 2 MiB. What is over a lower bound is evicted bit by
// bit: by later calls of Alloc and of Maintain. ErrLimit if the address space that New reserved, four times
// the first limit or 1 GiB, does not reach that far.
func (s *Store) SetMemoryLimit(bytes int64) error {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	limit := int(max(bytes, leastMemory)-min(s.pool.taken, bytes)) >> pageShift
	if limit > s.pool.reserved {
		return ErrLimit
	}
	s.pool.setLimit(limit)
	return nil
}

// MemoryLimit returns the bound on slab pages in bytes.
func (s *Store) MemoryLimit() int64 {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	return s.pool.limitBytes()
}

// limitBytes returns the bound on pages in bytes, with what counts as taken.
func (p *pool) limitBytes() int64 {
	return (int64(p.limit)<<pageShift + p.taken + pageSize - 1) &^ (pageSize - 1)
}
