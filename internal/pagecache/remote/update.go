package remote

import (
	"context"
	"errors"

	"github.com/bradfitz/gomemcache/memcache"

	"pagegate/internal/page"
	"pagegate/internal/pagecache"
)

var _ pagecache.Updater = (*Cache)(nil)

// Update implements pagecache.Updater for pages that lie whole, by memcached's cas; one that nginx reads stays as it is.
func (c *Cache) Update(_ context.Context, key []byte, fn func(*page.Page) bool) error {
	wire, ok := wireKey(key)
	record := recordPrefix + wire
	if !ok || len(record) > maxWireKey {
		return nil
	}
	var item *memcache.Item
	err := c.do(key, func() (err error) {
		item, err = c.client.Get(record)
		return err
	})
	if err != nil || item == nil {
		return unlessGone(err)
	}
	var p page.Page
	if p.DecodeWhole(item.Value) != nil || !fn(&p) {
		return nil
	}
	if item.Value, err = p.AppendRecord(make([]byte, 0, p.RecordLen()+p.BodiesLen()), true); err != nil {
		return err
	}
	item.Value = p.AppendBodies(item.Value)
	if item.Expiration, ok = c.expiration(p.KeepUntil()); !ok {
		return nil
	}
	return unlessGone(c.do(key, func() error { return c.client.CompareAndSwap(item) }))
}

// unlessGone is an error that is not about the item having gone or changed.
func unlessGone(err error) error {
	for _, gone := range []error{memcache.ErrCacheMiss, memcache.ErrCASConflict, memcache.ErrNotStored, pagecache.ErrMiss} {
		if errors.Is(err, gone) {
			return nil
		}
	}
	return err
}
