// Package embedded keeps pages in the process's own memory, in the same store that the cache server is made of: outside
// the garbage collector's sight, in slab classes, with LRU eviction. A page lies whole in one item under its raw key.
package embedded

import (
	"context"
	"errors"
	"sync"
	"time"

	"pagegate/cacheserver/store"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
)

// keyMax is the longest page key in bytes; a longer one is answered and not stored.
const keyMax = 8000

// Options say how the store is laid out.
type Options struct {
	Memory  int64 // bytes
	MaxBody int64 // bytes of the largest page's body
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Cache is a pagecache.Cache in this process.
type Cache struct {
	store *store.Store
	clock func() time.Time
}

var (
	_ pagecache.Cache   = (*Cache)(nil)
	_ pagecache.Updater = (*Cache)(nil)
	_ pagecache.Local   = (*Cache)(nil)
)

// New makes an empty Cache.
func New(o Options) (*Cache, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	const overhead = 128 << 10 // a page's key, record and chunk heads, amply
	s, err := store.New(store.Config{
		MemoryLimit: o.Memory,
		ItemSizeMax: int(min(max(o.MaxBody, 1<<20)+overhead, 1<<30)),
		KeyMax:      keyMax,
		LRU:         store.LRU{Segmented: true}, // a crawler that reads every page once pushes out no page that visitors read
		Now:         func() int64 { return o.Now().Unix() },
	})
	if err != nil {
		return nil, err
	}
	return &Cache{store: s, clock: o.Now}, nil
}

// loan is an item that a page's bytes point into, or a copy of one that lies in several pieces.
type loan struct {
	item store.Item
	held bool
	copy []byte
}

// maxKeptCopy bounds the copies that are kept for the next use.
const maxKeptCopy = 1 << 20

var loans = sync.Pool{New: func() any { return new(loan) }}

// Release implements page.Releaser.
func (l *loan) Release() {
	if l.held {
		l.item.Release()
	}
	l.item, l.held = store.Item{}, false
	if cap(l.copy) > maxKeptCopy {
		l.copy = nil
	}
	loans.Put(l)
}

// Get implements pagecache.Cache. It allocates nothing for a page in one piece.
func (c *Cache) Get(_ context.Context, key []byte, p *page.Page) error {
	if _, ok := c.get(key, p); !ok {
		return pagecache.ErrMiss
	}
	return nil
}

// get reads a page, and the id of what it was read from.
func (c *Cache) get(key []byte, p *page.Page) (cas uint64, ok bool) {
	item, ok := c.store.Get(key)
	if !ok {
		return 0, false
	}
	cas = item.CAS()
	l := loans.Get().(*loan)
	value, whole := item.Bytes()
	if whole {
		l.item, l.held = item, true
	} else {
		l.copy = l.copy[:0]
		for _, piece := range item.Segments(nil) {
			l.copy = append(l.copy, piece...)
		}
		item.Release()
		value = l.copy
	}
	if err := p.DecodeWhole(value); err != nil {
		*p = page.Page{}
		l.Release()
		return 0, false
	}
	p.SetReleaser(l)
	return cas, true
}

// Set implements pagecache.Cache.
func (c *Cache) Set(_ context.Context, key []byte, p *page.Page) error {
	status, err := c.commit(key, p, store.Set, 0)
	if err == nil && status != store.Stored {
		err = errors.New("embedded: the store refused the page")
	}
	return err
}

// Update implements pagecache.Updater.
func (c *Cache) Update(_ context.Context, key []byte, fn func(*page.Page) bool) error {
	var p page.Page
	cas, ok := c.get(key, &p)
	if !ok {
		return nil
	}
	defer p.Release()
	if !fn(&p) {
		return nil
	}
	_, err := c.commit(key, &p, store.CAS, cas)
	return err
}

// commit writes a page on the terms of mode.
func (c *Cache) commit(key []byte, p *page.Page, mode store.Mode, cas uint64) (store.Status, error) {
	record, err := p.AppendRecord(make([]byte, 0, p.RecordLen()), true)
	if err != nil {
		return 0, err
	}
	// The store's clock ticks in seconds; the page's own times are exact, so the item may end a little later.
	pending, err := c.store.Alloc(key, 0, p.KeepUntil().Unix()+1, len(record)+p.BodiesLen())
	switch {
	case errors.Is(err, store.ErrKey):
		return 0, pagecache.ErrKey
	case errors.Is(err, store.ErrTooLarge):
		return 0, pagecache.ErrTooLarge
	case err != nil:
		return 0, err
	}
	pending.Write(record)
	pending.Write(p.Body)
	for _, coded := range p.Coded {
		pending.Write(coded)
	}
	status, _ := pending.Commit(mode, cas)
	return status, nil
}

// Delete implements pagecache.Cache.
func (c *Cache) Delete(_ context.Context, key []byte) error {
	c.store.Delete(key)
	return nil
}

// Local implements pagecache.Local.
func (c *Cache) Local() {}

// Sizes implements pagecache.Sized.
func (c *Cache) Sizes() pagecache.Sizes {
	s := c.store.Stats()
	return pagecache.Sizes{Pages: s.CurrItems, Bytes: s.Bytes, Limit: uint64(s.LimitMaxBytes), Evictions: s.Evictions}
}

// Where implements pagecache.Locator.
func (c *Cache) Where([]byte) string { return "this process's own store" }

// Stats returns the store's figures.
func (c *Cache) Stats() store.Stats { return c.store.Stats() }

// Close implements pagecache.Cache.
func (c *Cache) Close() error { return c.store.Close() }
