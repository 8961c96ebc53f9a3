package fill

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"pagegate/internal/origin"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/pagecache/embedded"
	"pagegate/internal/purge"
)

func newEmbedded(t testing.TB, memory int64) pagecache.Cache {
	t.Helper()
	c, err := embedded.New(embedded.Options{Memory: memory})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func lies(t testing.TB, c pagecache.Cache, key string) bool {
	t.Helper()
	var p page.Page
	defer p.Release()
	return c.Get(t.Context(), []byte(key), &p) == nil
}

// What was asked for before a purge is given to who waits for it, and never stored, whatever the rule goes by.
func TestNothingComesBackAfterAPurge(t *testing.T) {
	for _, rule := range []purge.Rule{
		{Kind: purge.Key, Value: "/a?"}, {Kind: purge.Prefix, Value: "/"}, {Kind: purge.Match, Value: "*"},
		{Kind: purge.Tag, Value: "news"}, {Kind: purge.Key, Value: "/a?", Soft: true},
	} {
		t.Run(rule.String(), func(t *testing.T) {
			release := make(chan struct{})
			b := &backend{answer: func(n int64, _ *origin.Request) (*origin.Response, error) {
				if n == 1 {
					<-release
				}
				return response(200, fmt.Sprint("version ", n), "Surrogate-Key", "front news"), nil
			}}
			c := newEmbedded(t, 4<<20)
			f := newFiller(t, b, c)
			old := make(chan string)
			go func() {
				a, err := f.Serve(t.Context(), get())
				old <- read(t, a, err)
			}()
			await(t, "the fetch", func() bool { return b.asked.Load() == 1 })
			if _, err := f.Purge(t.Context(), rule); err != nil {
				t.Fatal(err)
			}
			// Who comes after the purge does not join the old fetch.
			a, err := f.Serve(t.Context(), get())
			if body := read(t, a, err); body != "version 2" {
				t.Errorf("after the purge: %q", body)
			}
			close(release)
			if body := <-old; body != "version 1" {
				t.Errorf("who waited got %q", body)
			}
			await(t, "landing", f.flights.empty)
			f.storer.idle(t)
			var p page.Page
			defer p.Release()
			if err := c.Get(t.Context(), []byte("/a?"), &p); err != nil || string(p.Body) != "version 2" {
				t.Errorf("in the cache: %q, %v", p.Body, err)
			}
		})
	}
}

// idle waits until nothing is left to be written, by taking a turn of every worker.
func (s *storer) idle(t testing.TB) {
	t.Helper()
	await(t, "the queue to be empty", func() bool { return len(s.jobs) == 0 })
	for range 4 {
		done := make(chan struct{})
		s.jobs <- job{primary: "\x03", mark: page.NewMark([]string{"X"}, 1, time.Now(), time.Now()), flight: &flight{}, land: func() { close(done) }}
		s.metrics.StoreQueue.Inc()
		<-done
	}
}

// A purge that comes between the look and the write takes the page away all the same.
func TestPurgeWhileThePageIsWritten(t *testing.T) {
	b := &backend{answer: func(int64, *origin.Request) (*origin.Response, error) { return response(200, "old"), nil }}
	m := &held{Cache: newEmbedded(t, 4<<20), writing: make(chan struct{}), until: make(chan struct{})}
	f := newFiller(t, b, m)
	a, err := f.Serve(t.Context(), get())
	read(t, a, err)
	<-m.writing
	if _, err := f.Purge(t.Context(), purge.Rule{Kind: purge.Key, Value: "/a?"}); err != nil {
		t.Fatal(err)
	}
	close(m.until)
	await(t, "landing", f.flights.empty)
	await(t, "the page to be gone", func() bool { return !lies(t, m, "/a?") })
}

// held is a cache whose writes wait.
type held struct {
	pagecache.Cache
	writing, until chan struct{}
}

func (h *held) Set(ctx context.Context, key []byte, p *page.Page) error {
	h.writing <- struct{}{}
	<-h.until
	return h.Cache.Set(ctx, key, p)
}

func (h *held) Purge(ctx context.Context, r purge.Rule) (int, error) {
	return h.Cache.(pagecache.Purger).Purge(ctx, r)
}

// A change of a page takes its variants away, those too that are being fetched.
func TestUnsafeMethodInvalidates(t *testing.T) {
	b := &backend{answer: func(n int64, r *origin.Request) (*origin.Response, error) {
		if r.Method == "POST" {
			return response(303, "", "Location", "/b"), nil
		}
		return response(200, fmt.Sprint(n), "Vary", "Accept-Language"), nil
	}}
	c := newEmbedded(t, 4<<20)
	f := newFiller(t, b, c)
	in := func(language string) string {
		r := get()
		r.Header = http.Header{"Accept-Language": {language}}
		a, err := f.Serve(t.Context(), r)
		body := read(t, a, err)
		await(t, "landing", f.flights.empty)
		return body
	}
	de, fr := in("de"), in("fr")
	if in("de") != de || in("fr") != fr || de == fr {
		t.Fatalf("variants: de %q, fr %q", de, fr)
	}
	post := &Request{Key: []byte("/a?"), Method: "POST", Target: "/a", Host: "client.example", Header: http.Header{},
		KeyOf: func(target string) []byte { return []byte(target + "?") }}
	a, err := f.Serve(t.Context(), post)
	read(t, a, err)
	if in("de") == de || in("fr") == fr {
		t.Error("a variant outlived the change")
	}
}

func TestPurgeOfManyPages(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a store")
	}
	c := newEmbedded(t, 256<<20)
	f := newFiller(t, &backend{}, c)
	now := time.Now()
	for i := range 100_000 {
		p := &page.Page{Status: 200, Header: []byte("Surrogate-Key: all\r\n"), Body: make([]byte, 1000), StoredAt: now,
			FreshUntil: now.Add(time.Hour), StaleUntil: now.Add(time.Hour)}
		if err := c.Set(t.Context(), fmt.Appendf(nil, "/%d?", i), p); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	n, err := f.Purge(t.Context(), purge.Rule{Kind: purge.Tag, Value: "all"})
	if n != 100_000 || err != nil {
		t.Errorf("%d pages, %v", n, err)
	}
	t.Logf("100,000 pages of one tag in %v", time.Since(begun))
}
