package remote

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/purge"
)

var (
	_ pagecache.Purger = (*Cache)(nil)
	_ pagecache.Fence  = (*Cache)(nil)
)

// purgesKey holds the purges of late, on each server, for fills that began before them in whatever process.
const purgesKey = "pg:p"

// NotePurge implements pagecache.Fence: on every server that answers. It fails if one does not, since a fill of a page
// that is kept there could not know.
func (c *Cache) NotePurge(_ context.Context, r purge.Rule) error {
	var errs []error
	for i, client := range c.each {
		if err := c.notePurge(client, r); err != nil {
			errs = append(errs, fmt.Errorf("cache server %v: the purge cannot be noted: %w", c.selector.servers[i].addr, err))
		}
	}
	return errors.Join(errs...)
}

// noteTries bounds the attempts to note a purge where other processes note theirs at the same time.
const noteTries = 20

func (c *Cache) notePurge(client *memcache.Client, r purge.Rule) error {
	for range noteTries {
		item, err := client.Get(purgesKey)
		if err != nil && !errors.Is(err, memcache.ErrCacheMiss) {
			return err
		}
		var entries purge.Entries
		if err == nil && json.Unmarshal(item.Value, &entries) != nil {
			entries = nil // another program's, or damaged: begin anew
		}
		value, merr := json.Marshal(entries.Add(r, c.now()))
		if merr != nil {
			return merr
		}
		expires := int32(2 * purge.Remembered / time.Second)
		if item == nil {
			err = client.Add(&memcache.Item{Key: purgesKey, Value: value, Expiration: expires})
		} else {
			item.Value, item.Expiration = value, expires
			err = client.CompareAndSwap(item)
		}
		if err == nil {
			return nil
		}
		if !errors.Is(err, memcache.ErrCASConflict) && !errors.Is(err, memcache.ErrNotStored) && !errors.Is(err, memcache.ErrCacheMiss) {
			return err
		}
	}
	return errors.New("too many purges at the same time; try again")
}

// Purges implements pagecache.Fence.
func (c *Cache) Purges(_ context.Context, key []byte) (purge.Entries, error) {
	var notes found
	var b batch
	b.get(map[string]*found{purgesKey: &notes}, purgesKey)
	if err := c.run(key, &b); err != nil {
		return nil, err
	}
	return entriesOf(notes.value), nil
}

// Purge implements pagecache.Purger. A rule that is not one key's has each server list its keys (lru_crawler metadump hash: a walk over the LRU lists, "all", misses what moves between them).
func (c *Cache) Purge(ctx context.Context, r purge.Rule) (n int, err error) {
	if r.Kind == purge.Key && !r.Soft {
		return c.purgeKey(ctx, []byte(r.Value))
	}
	if r.Kind == purge.Key {
		return c.outdate(ctx, r, []byte(r.Value))
	}
	var errs []error
	for i, client := range c.each {
		gone, err := c.purgeServer(ctx, i, client, r)
		if n += gone; err != nil {
			errs = append(errs, fmt.Errorf("cache server %v: %w", c.selector.servers[i].addr, err))
		}
	}
	return n, errors.Join(errs...)
}

func (c *Cache) purgeKey(ctx context.Context, key []byte) (int, error) {
	var p page.Page
	n := 0
	if c.Get(ctx, key, &p) == nil {
		n = 1
		p.Release()
	}
	return n, c.Delete(ctx, key)
}

// outdate makes one page stale. A mark goes: its variants are found by it alone.
func (c *Cache) outdate(ctx context.Context, r purge.Rule, key []byte) (int, error) {
	var p page.Page
	if err := c.Get(ctx, key, &p); err != nil {
		if errors.Is(err, pagecache.ErrMiss) {
			err = nil
		}
		return 0, err
	}
	defer p.Release()
	switch {
	case !r.MatchesPage(key, &p):
		return 0, nil
	case !r.Soft || p.Mark():
		return 1, c.Delete(ctx, key)
	}
	return 1, c.Set(ctx, key, p.Outdated(c.now()))
}

// purgeServer purges what matches of one server's pages.
func (c *Cache) purgeServer(ctx context.Context, i int, client *memcache.Client, r purge.Rule) (n int, err error) {
	keys, err := c.pageKeys(ctx, i)
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		if r.ByKey() && (page.IsVariantKey(key) || !r.MatchesKey(key)) {
			continue
		}
		gone := 1
		if r.ByKey() && !r.Soft {
			err = c.deleteOn(client, key)
		} else {
			gone, err = c.outdate(ctx, r, key)
		}
		if err != nil {
			return n, err
		}
		n += gone
	}
	return n, nil
}

// deleteOn removes body and record of a page from one server.
func (c *Cache) deleteOn(client *memcache.Client, key []byte) error {
	wire, ok := wireKey(key)
	if !ok {
		return nil
	}
	for _, k := range []string{wire, recordPrefix + wire} {
		if err := client.Delete(k); err != nil && !errors.Is(err, memcache.ErrCacheMiss) && !errors.Is(err, memcache.ErrMalformedKey) {
			return err
		}
	}
	return nil
}

// listTimeout bounds each wait for more of a server's list of keys.
const listTimeout = 10 * time.Second

// pageKeys lists the raw page keys of what a server holds, each once: of bodies and of records.
func (c *Cache) pageKeys(ctx context.Context, i int) ([][]byte, error) {
	a := c.selector.servers[i].addr
	var d net.Dialer
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	conn, err := d.DialContext(ctx, a.Network(), a.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	for range 50 { // the crawler does one thing at a time
		_ = conn.SetDeadline(time.Now().Add(listTimeout))
		if _, err := conn.Write([]byte("lru_crawler metadump hash\r\n")); err != nil {
			return nil, err
		}
		keys, busy, err := readKeys(bufio.NewReader(conn), func() { _ = conn.SetDeadline(time.Now().Add(listTimeout)) })
		if err != nil || !busy {
			return keys, err
		}
		time.Sleep(100 * time.Millisecond)
	}
	return nil, errors.New("its LRU crawler is busy with something else")
}

// readKeys reads the answer of a metadump.
func readKeys(r *bufio.Reader, alive func()) (keys [][]byte, busy bool, err error) {
	seen := make(map[string]struct{})
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return nil, false, err
		}
		alive()
		line = bytes.TrimRight(line, "\r\n")
		word, _, _ := strings.Cut(string(line), " ")
		switch {
		case word == "END":
			return keys, false, nil
		case word == "OK": // memcached 1.6.18 does not say it
			continue
		case word == "BUSY":
			return nil, true, nil
		case !strings.HasPrefix(word, "key="):
			return nil, false, fmt.Errorf("it does not list its keys: %q", line)
		}
		if key, ok := rawPageKey(word[len("key="):]); ok {
			if _, twice := seen[string(key)]; !twice {
				seen[string(key)] = struct{}{}
				keys = append(keys, key)
			}
		}
	}
}

// rawPageKey returns the page key that an item's key, as a metadump writes it, stands for.
func rawPageKey(dumped string) ([]byte, bool) {
	item, err := url.PathUnescape(dumped)
	if err != nil {
		return nil, false
	}
	wire, isRecord := strings.CutPrefix(item, recordPrefix)
	if !isRecord && strings.HasPrefix(item, "pg:") {
		return nil, false
	}
	return unwire(wire)
}
