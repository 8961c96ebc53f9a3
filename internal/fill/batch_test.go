package fill

import (
	"context"
	"testing"
	"time"

	"pagegate/internal/origin"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/purge"
)

// batched is a shared memory that does in one step what a flight begins and ends with.
type batched struct {
	*shared
	notes   purge.Log
	between func() // called between a write and the look at the notes; nil for nothing
}

var _ pagecache.Batcher = (*batched)(nil)

func newBatched() *batched { return &batched{shared: newShared()} }

func (b *batched) NotePurge(_ context.Context, r purge.Rule) error {
	b.notes.Add(r, time.Now())
	return nil
}

func (b *batched) Purges(context.Context, []byte) (purge.Entries, error) {
	return b.notes.Entries(), nil
}

func (b *batched) Begin(ctx context.Context, key []byte, ttl time.Duration, p *page.Page) (s pagecache.Start, err error) {
	s.Locked, err = b.Lock(ctx, key, ttl)
	s.Purges = b.notes.Entries()
	s.Found = b.Get(ctx, key, p) == nil
	return s, err
}

func (b *batched) Finish(ctx context.Context, key []byte, p *page.Page) (purge.Entries, error) {
	if err := b.Set(ctx, key, p); err != nil {
		return nil, err
	}
	if b.between != nil {
		b.between()
	}
	return b.notes.Entries(), b.Unlock(ctx, key)
}

// TestPurgesOfOthersInBatches: a page that another process purges while it is fetched is not written, and one that it purges
// while it is written does not stay.
func TestPurgesOfOthersInBatches(t *testing.T) {
	rule := purge.Rule{Kind: purge.Prefix, Value: "/"}
	for name, fetched := range map[string]bool{"while it is fetched": true, "while it is written": false} {
		t.Run(name, func(t *testing.T) {
			b := newBatched()
			note := func() { _ = b.NotePurge(t.Context(), rule) }
			written := false
			b.between = func() {
				written = true
				note()
			}
			back := &backend{answer: func(int64, *origin.Request) (*origin.Response, error) {
				if fetched {
					note()
				}
				return response(200, "page"), nil
			}}
			f := newFiller(t, back, b)
			a, err := f.Serve(t.Context(), get())
			if body := read(t, a, err); body != "page" {
				t.Errorf("body %q", body)
			}
			await(t, "landing", f.flights.empty)
			if b.has("/a?") {
				t.Error("the page came back")
			}
			if written == fetched {
				t.Errorf("written: %t", written)
			}
			if len(b.locks) != 0 {
				t.Error("a lock was left behind")
			}
		})
	}
}
