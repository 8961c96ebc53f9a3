package fill

import (
	"context"
	"sync"

	"pagegate/internal/page"
	"pagegate/internal/pagecache"
)

// maxUncoded bounds the pages that wait to be coded. Beyond it a page is given plain until its next hit.
const maxUncoded = 256

// coder keeps pages in codings once they turn out to be wanted twice, behind the visitors' backs and one at a time: it
// costs far more than a hit, or than a miss.
type coder struct {
	codings []page.Coding
	cache   pagecache.Updater // nil for one that cannot
	failed  func(error)

	mu      sync.Mutex
	waiting map[string]struct{} // and the one that is being coded
	keys    chan string
	done    sync.WaitGroup
}

func newCoder(cache pagecache.Cache, codings []page.Coding, failed func(error)) *coder {
	c := &coder{codings: codings, failed: failed, waiting: make(map[string]struct{}), keys: make(chan string, maxUncoded)}
	c.cache, _ = cache.(pagecache.Updater)
	c.done.Go(func() {
		for key := range c.keys {
			c.code(key)
		}
	})
	return c
}

// want has the page of a cache's key coded, unless that is being done or too many wait. It does not wait.
func (c *coder) want(key []byte) {
	if c.cache == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.waiting[string(key)]; ok || len(c.waiting) >= maxUncoded {
		return
	}
	c.waiting[string(key)] = struct{}{}
	c.keys <- string(key) // there is room: it has as much as there are keys waiting
}

func (c *coder) code(key string) {
	err := c.cache.Update(context.Background(), []byte(key), func(p *page.Page) bool {
		if !p.Uncoded {
			return false
		}
		p.Encode(c.codings)
		return true
	})
	if err != nil {
		c.failed(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiting, key)
}

// close waits for the pages that are still to be coded. No want may run or follow.
func (c *coder) close() {
	close(c.keys)
	c.done.Wait()
}

// codable tells whether a page with these decisions is kept in codings: where nginx reads lies the plain body alone.
func (f *Filler) codable(nginxReadable bool) bool {
	return len(f.o.Codings) > 0 && !(f.o.NginxReads && nginxReadable)
}

// CodeBehind has the page of a cache's key coded, as a client who would have taken a coding was given the plain body. It
// does not wait.
func (f *Filler) CodeBehind(key []byte) { f.coder.want(key) }
