// Package pagecache is the contract between the flow and the places where pages are kept: in the process's own store
// (embedded) or on cache servers that nginx reads too (remote). The flow does not know which it has.
package pagecache

import (
	"context"
	"errors"
	"time"

	"pagegate/internal/page"
	"pagegate/internal/purge"
)

// Outcomes of a look-up or a write that are not the cache's failure.
var (
	// ErrMiss says that no page is there.
	ErrMiss = errors.New("pagecache: no such page")
	// ErrKey says that this cache cannot write a page of that key (too long, or a byte that its protocol does not take).
	ErrKey = errors.New("pagecache: the cache cannot hold this key")
	// ErrTooLarge says that the page is larger than the largest item.
	ErrTooLarge = errors.New("pagecache: the page is too large for the cache")
)

// Cache keeps pages by their raw page key. Every method may be called by any number of goroutines at once, returns
// within a bound (the cache's own timeouts, or ctx), and keeps neither key nor page after it returns.
//
// Besides the outcomes above an error means that the cache, or the server that holds the key, is out of order. The
// caller goes on without it; an outage is never told as a miss, so that it is counted as what it is.
type Cache interface {
	// Get reads the page of a key into p, fresh or stale: the reader looks at its times. On success p's bytes belong to
	// the cache until p.Release, which the caller owes; otherwise p is empty.
	Get(ctx context.Context, key []byte, p *page.Page) error
	// Set stores a page until its KeepUntil (or less long, if memory is short). A page that is not NginxReadable takes
	// an earlier body of the key away from nginx.
	Set(ctx context.Context, key []byte, p *page.Page) error
	// Delete removes a page, whoever stored it, on every server that could hold it. A key that is not there is no error.
	Delete(ctx context.Context, key []byte) error
	// Close ends the use of the cache. No other method is called afterwards, no page is held.
	Close() error
}

// Locker is what a cache that several processes share can do besides: let them agree on who fetches a page. A Cache that
// belongs to one process does not have it.
type Locker interface {
	// Lock tries to take the key's lock for ttl (2 s at least: shorter ones can end at once) and tells whether it did.
	Lock(ctx context.Context, key []byte, ttl time.Duration) (bool, error)
	// Extend lets a lock that the caller holds last for ttl from now.
	Extend(ctx context.Context, key []byte, ttl time.Duration) error
	// Unlock gives back a lock that the caller holds.
	Unlock(ctx context.Context, key []byte) error
}

// Purger is what a cache can do besides: go through its pages and take many away.
type Purger interface {
	// Purge removes the pages that a rule matches, or makes them stale if it is a soft one, and tells how many they were
	// (a key with variants counts once, or by tag each variant). Pages that are stored meanwhile may be missed: the one
	// who stores them looks for purges (Fence). ctx bounds it.
	Purge(ctx context.Context, r purge.Rule) (int, error)
}

// Fence is what a cache that several processes share can do besides: let a fill that began before a purge see it, in
// whatever process it was made.
type Fence interface {
	// NotePurge makes a purge known to all, before it is made.
	NotePurge(ctx context.Context, r purge.Rule) error
	// Purges returns the purges that are known where the page of a key is kept.
	Purges(ctx context.Context, key []byte) (purge.Entries, error)
}

// Batcher is what such a cache can do at the price of one exchange, where a Locker and a Fence need several.
type Batcher interface {
	Locker
	Fence
	// Begin is Lock, then Purges, then Get into p, in this order, whether the lock was taken or not. An error is about all
	// of them.
	Begin(ctx context.Context, key []byte, ttl time.Duration, p *page.Page) (Start, error)
	// Finish is Set, then Purges, then Unlock. After an error the lock may still be held.
	Finish(ctx context.Context, key []byte, p *page.Page) (purge.Entries, error)
}

// Start is what Begin found out.
type Start struct {
	Locked bool          // the caller has the lock
	Purges purge.Entries // that were known when the page was read
	Found  bool          // a page was there
}

// Updater is what a cache can do besides: change a page where it lies.
type Updater interface {
	// Update reads the page of a key, has fn change it, and stores the result, unless something else has been stored or
	// removed meanwhile; what was is not an error, nor that there is no page. fn returns false to leave all as it is.
	// The page and its bytes are fn's while it runs.
	Update(ctx context.Context, key []byte, fn func(p *page.Page) bool) error
}

// Local is a cache in this process: no method of its waits for anything but other callers' short steps.
type Local interface{ Local() }

// Sizes are what a cache in this process holds.
type Sizes struct {
	Pages     uint64 // items: a mark and each variant count as one
	Bytes     uint64 // of keys, records and bodies
	Limit     uint64 // bytes of memory that it may use
	Evictions uint64 // pages that went for others, since the start
}

// Sized is a cache that knows its sizes. Sizes may be called at any time.
type Sized interface{ Sizes() Sizes }

// Locator is a cache that can tell in words where the page of a key is kept, for people.
type Locator interface{ Where(key []byte) string }
