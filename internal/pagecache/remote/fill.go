package remote

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/purge"
)

var _ pagecache.Batcher = (*Cache)(nil)

// Begin implements pagecache.Batcher: the lock's `add`, and behind it one `get` of the notes of purges and of the page.
func (c *Cache) Begin(_ context.Context, key []byte, ttl time.Duration, p *page.Page) (s pagecache.Start, err error) {
	var b batch
	lock, lockable := lockKey(key)
	s.Locked = true
	if lockable {
		b.store("add", lock, 0, lockSeconds(ttl), &s.Locked, []byte("1"))
	}
	var notes, body, record found
	into := map[string]*found{purgesKey: &notes}
	keys := []string{purgesKey}
	if wire, ok := wireKey(key); ok {
		into[wire], keys = &body, append(keys, wire)
		if name := recordPrefix + wire; len(name) <= maxWireKey {
			into[name], keys = &record, append(keys, name)
		}
	}
	b.get(into, keys...)
	if err := c.run(key, &b); err != nil {
		return pagecache.Start{}, err
	}
	s.Purges = entriesOf(notes.value)
	s.Found = c.read(key, &body, &record, p) == nil
	return s, nil
}

// Finish implements pagecache.Batcher: body and record as Set stores them, a `get` of the notes, and the lock's `delete`.
func (c *Cache) Finish(_ context.Context, key []byte, p *page.Page) (purge.Entries, error) {
	var b batch
	if err := c.appendSet(&b, key, p); err != nil {
		return nil, err
	}
	var notes found
	b.get(map[string]*found{purgesKey: &notes}, purgesKey)
	if lock, ok := lockKey(key); ok {
		b.delete(lock)
	}
	if err := c.runSet(key, &b); err != nil {
		return nil, err
	}
	return entriesOf(notes.value), nil
}

// entriesOf reads the notes of purges; those of another program, or damaged ones, are none.
func entriesOf(value []byte) (entries purge.Entries) {
	if len(value) == 0 || json.Unmarshal(value, &entries) != nil {
		return nil
	}
	return entries
}

// run has a batch done by the server of a page key.
func (c *Cache) run(key []byte, b *batch) error {
	return c.doOn(key, func(i int) error { return c.wires[i].run(b) })
}

// runSet is run for a batch that appendSet began. Where the page was too large for the server, nothing stays of it.
func (c *Cache) runSet(key []byte, b *batch) error {
	err := c.run(key, b)
	if errors.Is(err, pagecache.ErrTooLarge) {
		_ = c.Delete(context.Background(), key) // a record without its body counts as no page anyway
	}
	return err
}
