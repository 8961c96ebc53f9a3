package embedded

import (
	"context"

	"pagegate/cacheserver/store"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/purge"
)

var _ pagecache.Purger = (*Cache)(nil)

// Purge implements pagecache.Purger by one walk over the store, a few hundred items at a time: no look-up waits for it.
func (c *Cache) Purge(ctx context.Context, r purge.Rule) (n int, err error) {
	if r.Kind == purge.Key {
		return c.purgeOne(ctx, []byte(r.Value), r)
	}
	var sc store.Scanner
	var keys [][]byte
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		keys = keys[:0]
		more = c.store.Scan(&sc, func(key []byte, _ store.ItemInfo) {
			if !r.ByKey() || !page.IsVariantKey(key) && r.MatchesKey(key) {
				keys = append(keys, append([]byte(nil), key...))
			}
		})
		for _, key := range keys {
			gone, err := c.purgeOne(ctx, key, r)
			if err != nil {
				return n, err
			}
			n += gone
		}
	}
	return n, nil
}

// purgeOne purges what is stored under a key, if the rule matches it.
func (c *Cache) purgeOne(ctx context.Context, key []byte, r purge.Rule) (int, error) {
	var p page.Page
	if c.Get(ctx, key, &p) != nil {
		return 0, nil
	}
	defer p.Release()
	if !r.MatchesPage(key, &p) {
		return 0, nil
	}
	if r.Soft && !p.Mark() {
		return 1, c.Set(ctx, key, p.Outdated(c.clock()))
	}
	if c.store.Delete(key) != store.Stored {
		return 0, nil
	}
	return 1, nil
}
