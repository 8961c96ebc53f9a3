package embedded

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/pagecache/pagecachetest"
)

func open(t testing.TB, o Options) *Cache {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestSuite(t *testing.T) {
	pagecachetest.Run(t, func(t *testing.T, now func() time.Time) pagecache.Cache {
		return open(t, Options{Memory: 64 << 20, MaxBody: 8 << 20, Now: now})
	})
}

func testPage(body string, stale time.Time) *page.Page {
	return &page.Page{
		Status: 200, Header: []byte("Content-Type: text/html\r\n"), Body: []byte(body),
		StoredAt: time.Now(), FreshUntil: stale, StaleUntil: stale,
	}
}

func TestPageGoesWithItsStaleTime(t *testing.T) {
	clock := time.Now()
	c := open(t, Options{Memory: 8 << 20, Now: func() time.Time { return clock }})
	if err := c.Set(context.Background(), []byte("/a?"), testPage("x", clock.Add(10*time.Second))); err != nil {
		t.Fatal(err)
	}
	var p page.Page
	clock = clock.Add(9 * time.Second)
	if err := c.Get(context.Background(), []byte("/a?"), &p); err != nil {
		t.Fatal(err)
	}
	p.Release()
	clock = clock.Add(3 * time.Second)
	if err := c.Get(context.Background(), []byte("/a?"), &p); !errors.Is(err, pagecache.ErrMiss) {
		t.Errorf("past its stale time: %v", err)
	}
}

func TestTooLarge(t *testing.T) {
	c := open(t, Options{Memory: 64 << 20, MaxBody: 2 << 20})
	later := time.Now().Add(time.Hour)
	if err := c.Set(context.Background(), []byte("/a?"), testPage(strings.Repeat("x", 2<<20), later)); err != nil {
		t.Errorf("the largest page: %v", err)
	}
	if err := c.Set(context.Background(), []byte("/a?"), testPage(strings.Repeat("x", 4<<20), later)); !errors.Is(err, pagecache.ErrTooLarge) {
		t.Errorf("too large a page: %v", err)
	}
}

// More pages than memory: old ones go, none is wrong.
func TestMemoryIsBounded(t *testing.T) {
	c := open(t, Options{Memory: 4 << 20})
	later := time.Now().Add(time.Hour)
	for i := range 2000 {
		body := strings.Repeat(fmt.Sprintf("%04d", i), 2500)
		if err := c.Set(context.Background(), fmt.Append(nil, "/", i), testPage(body, later)); err != nil {
			t.Fatal(err)
		}
	}
	found := 0
	for i := range 2000 {
		var p page.Page
		if c.Get(context.Background(), fmt.Append(nil, "/", i), &p) == nil {
			found++
			if !strings.HasPrefix(string(p.Body), fmt.Sprintf("%04d", i)) {
				t.Fatalf("page %d holds %.8q", i, p.Body)
			}
			p.Release()
		}
	}
	if found < 200 || found > 420 {
		t.Errorf("%d pages of 10,000 bytes in 4 MiB", found)
	}
}

func BenchmarkGet(b *testing.B) {
	c := open(b, Options{Memory: 64 << 20})
	key := []byte("/shop/1?")
	if err := c.Set(context.Background(), key, testPage(strings.Repeat("x", 16000), time.Now().Add(time.Hour))); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		var p page.Page
		if err := c.Get(context.Background(), key, &p); err != nil {
			b.Fatal(err)
		}
		p.Release()
	}
}
