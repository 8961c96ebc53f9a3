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
	wanted  bool // a run has been asked for
	running bool
	starts  uint64
	checked uint64
	removed uint64
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

// ask asks for a run; false if one is under way.
func (c *crawler) ask() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running {
		return false
	}
	c.wanted = true
	return true
}

// begin starts a run if one is due.
func (c *crawler) begin(due bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.how.On || !c.wanted && !due {
		return false
	}
	c.wanted, c.running = false, true
	c.starts++
	return true
}

// note adds what a step has found, and ends the run if it was the last one.
func (c *crawler) note(checked, removed uint64, last bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checked += checked
	c.removed += removed
	c.running = !last
}

// crawlerFigures are crawler_items_checked, crawler_reclaimed, lru_crawler_starts and lru_crawler_running.
type crawlerFigures struct {
	checked, removed, starts uint64
	running                  bool
}

func (c *crawler) figures() crawlerFigures {
	c.mu.Lock()
	defer c.mu.Unlock()
	return crawlerFigures{c.checked, c.removed, c.starts, c.running}
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
		case <-tick.C:
		}
		for s.store.Maintain() && !s.pause(time.Millisecond) {
		}
		for s.store.Juggle() && !s.pause(time.Millisecond) {
		}
		s.store.MovePages()
		if s.crawler.begin(time.Since(last) >= crawlEvery) {
			s.crawl()
			last = time.Now()
		}
	}
}

// crawl goes over the store once.
func (s *Server) crawl() {
	var run store.Crawl
	for more := true; more; {
		checked, removed := run.Checked, run.Reclaimed
		how := s.crawler.settings()
		more = s.store.CrawlStep(&run) && how.On && (how.Most == 0 || run.Checked < how.Most)
		more = more && !s.pause(how.Sleep)
		s.crawler.note(run.Checked-checked, run.Reclaimed-removed, !more)
	}
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
