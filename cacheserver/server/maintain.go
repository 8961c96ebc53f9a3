package server

import (
	"sync"
	"time"

	"pagegate/cacheserver/store"
)

// Crawler says how the store is searched for dead items in the background, as memcached's lru_crawler.
type Crawler struct {
	On    bool
	Sleep time.Duration // between two steps; at most a second
	Most  uint64        // items that one run looks at; 0 is all
}

// crawler is the search. Its methods may be called by any goroutine.
type crawler struct {
	mu      sync.Mutex
	how     Crawler
	wanted  bool         // a run has been asked for
	only    map[int]bool // the slab classes that it is to be about; nil is all
	running bool
	starts  uint64
	checked uint64
	removed uint64
	byClass [store.ClassesMax + 1]struct{ checked, removed uint64 }
	asked   chan struct{} // wakes who waits for something to do
}

// crawlEvery is how long after a run of the crawler the next one begins by itself.
const crawlEvery = time.Minute

func (c *crawler) set(how Crawler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.how = how
}

func (c *crawler) settings() Crawler {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.how
}

// ask asks for a run over some slab classes, nil is all; false if one is under way or about to be.
func (c *crawler) ask(only map[int]bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running || c.wanted {
		return false
	}
	c.wanted, c.only = true, only
	select {
	case c.asked <- struct{}{}:
	default:
	}
	return true
}

// begin starts a run if one is due or was asked for, and tells over which classes.
func (c *crawler) begin(due bool) (only map[int]bool, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.how.On || !c.wanted && !due {
		return nil, false
	}
	if c.wanted {
		only = c.only
	}
	c.wanted, c.only, c.running = false, nil, true
	c.starts++
	return only, true
}

// end ends a run and adds what it has found.
func (c *crawler) end(run *store.Crawl) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked += run.Checked
	c.removed += run.Reclaimed
	for id, n := range run.ByClass {
		c.byClass[id].checked += n.Checked
		c.byClass[id].removed += n.Reclaimed
	}
	c.running = false
}

// ofClass returns how many items of a class have been looked at and removed.
func (c *crawler) ofClass(id int) (checked, removed uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byClass[id].checked, c.byClass[id].removed
}

// reset forgets what has been found.
func (c *crawler) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.starts, c.checked, c.removed = 0, 0, 0
	clear(c.byClass[:])
}

// crawlerFigures are crawler_items_checked, crawler_reclaimed, lru_crawler_starts and lru_crawler_running.
type crawlerFigures struct {
	checked, removed, starts uint64
	running                  bool
}

func (c *crawler) figures() crawlerFigures {
	c.mu.Lock()
	defer c.mu.Unlock()
	return crawlerFigures{c.checked, c.removed, c.starts, c.running || c.wanted}
}

// maintain does the store's background work until the server is closed.
func (s *Server) maintain() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-s.stopped:
			return
		case <-s.crawler.asked:
			s.crawlIfDue(&last)
			continue
		case <-tick.C:
		}
		for s.store.Maintain() && !s.pause(time.Millisecond) {
		}
		s.crawlIfDue(&last)
	}
}

// crawlIfDue lets the crawler run if somebody has asked for that, or if its last run is long ago.
func (s *Server) crawlIfDue(last *time.Time) {
	only, ok := s.crawler.begin(time.Since(*last) >= crawlEvery)
	if !ok {
		return
	}
	s.crawl(only)
	*last = time.Now()
}

// crawl goes over the store once.
func (s *Server) crawl(only map[int]bool) {
	run := store.Crawl{Only: only}
	for more := true; more; {
		how := s.crawler.settings()
		more = s.store.CrawlStep(&run) && how.On && (how.Most == 0 || run.Checked < how.Most)
		more = more && !s.pause(how.Sleep)
	}
	s.crawler.end(&run)
}

// pause waits, and tells whether the server has been closed.
func (s *Server) pause(d time.Duration) (closed bool) {
	select {
	case <-s.stopped:
		return true
	default:
	}
	if d == 0 {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.stopped:
		return true
	case <-t.C:
		return false
	}
}

// How long a page that cannot leave its class yet is let be: longer each time.
const (
	moveWaitLeast = 10 * time.Microsecond
	moveWaitMost  = 5 * time.Millisecond
)

// movePages moves pages from class to class as the automover wants it and as it is asked for, until the server is closed.
func (s *Server) movePages() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-s.stopped:
			return
		case <-s.moveAsked:
		case class := <-s.store.Wanted():
			s.store.Reassign(-1, class)
		case <-tick.C:
			s.store.MovePages()
		}
		wait := moveWaitLeast
		for more, busy := s.store.MoveStep(); more; more, busy = s.store.MoveStep() {
			if !busy {
				continue
			}
			if s.pause(wait) {
				return
			}
			wait = min(2*wait, moveWaitMost)
		}
	}
}
