// Package pagecachetest is the conformance suite of pagecache.Cache: what every implementation promises to the flow. An
// implementation's test gives a way to open an empty cache and calls Run.
package pagecachetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pagegate/internal/page"
	"pagegate/internal/pagecache"
)

// Open opens an empty cache on the given clock; it is closed with the test.
type Open func(t *testing.T, now func() time.Time) pagecache.Cache

// Run runs the whole suite.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"Miss":           testMiss,
		"RoundTrip":      testRoundTrip,
		"Replace":        testReplace,
		"Delete":         testDelete,
		"KeysAreBytes":   testKeysAreBytes,
		"LongKeys":       testLongKeys,
		"BorrowedBytes":  testBorrowedBytes,
		"Concurrent":     testConcurrent,
		"LargestHeaders": testLargestHeaders,
		"Locks":          testLocks,
		"Purge":          testPurge,
		"SoftPurge":      testSoftPurge,
		"Fence":          testFence,
		"Batch":          testBatch,
		"Update":         testUpdate,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

var bg = context.Background()

// newPage makes a page that is fresh for an hour.
func newPage(body string, readable bool) *page.Page {
	now := time.Now().Truncate(time.Millisecond)
	return &page.Page{
		Status:        200,
		Header:        []byte("Content-Type: text/html; charset=utf-8\r\nX-For: " + body[:min(len(body), 20)] + "\r\n"),
		Body:          []byte(body),
		StoredAt:      now,
		InitialAge:    3 * time.Second,
		FreshUntil:    now.Add(time.Hour),
		StaleUntil:    now.Add(2 * time.Hour),
		NginxReadable: readable,
	}
}

func mustSet(t *testing.T, c pagecache.Cache, key string, p *page.Page) {
	t.Helper()
	if err := c.Set(bg, []byte(key), p); err != nil {
		t.Fatalf("Set %q: %v", key, err)
	}
}

// check gets a page and compares it with what was stored.
func check(t *testing.T, c pagecache.Cache, key string, want *page.Page) {
	t.Helper()
	var p page.Page
	if err := c.Get(bg, []byte(key), &p); err != nil {
		t.Fatalf("Get %q: %v", key, err)
	}
	defer p.Release()
	if p.Status != want.Status || !bytes.Equal(p.Header, want.Header) || !bytes.Equal(p.Body, want.Body) ||
		!p.StoredAt.Equal(want.StoredAt) || p.InitialAge != want.InitialAge || !p.FreshUntil.Equal(want.FreshUntil) ||
		!p.StaleUntil.Equal(want.StaleUntil) || p.NginxReadable != want.NginxReadable || p.BodyOnly {
		t.Fatalf("Get %q: got %+v\nwant %+v", key, p, want)
	}
}

func checkMiss(t *testing.T, c pagecache.Cache, key string) {
	t.Helper()
	p := page.Page{Status: 999}
	err := c.Get(bg, []byte(key), &p)
	if !errors.Is(err, pagecache.ErrMiss) {
		t.Fatalf("Get %q: %v, want a miss", key, err)
	}
}

func testMiss(t *testing.T, open Open) {
	checkMiss(t, open(t, time.Now), "/nothing?")
}

func testRoundTrip(t *testing.T, open Open) {
	c := open(t, time.Now)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		key := fmt.Sprintf("/%d?%s", n, rapid.StringMatching(`[a-z=&]{0,20}`).Draw(rt, "args"))
		p := newPage("x", rapid.Bool().Draw(rt, "readable"))
		p.Status = rapid.SampledFrom([]int{200, 301, 404}).Draw(rt, "status")
		p.NginxReadable = p.NginxReadable && p.Status == 200
		size := rapid.SampledFrom([]int{0, 1, 100, 4096, 16000, 70000, 600000}).Draw(rt, "size")
		p.Body = bytes.Repeat([]byte{byte(n)}, size)
		mustSet(t, c, key, p)
		check(t, c, key, p)
	})
}

func testReplace(t *testing.T, open Open) {
	c := open(t, time.Now)
	for i, readable := range []bool{true, true, false, false, true} {
		p := newPage(fmt.Sprint("version ", i), readable)
		mustSet(t, c, "/a?", p)
		check(t, c, "/a?", p)
	}
}

func testDelete(t *testing.T, open Open) {
	c := open(t, time.Now)
	for _, readable := range []bool{true, false} {
		mustSet(t, c, "/a?", newPage("x", readable))
		mustSet(t, c, "/b?", newPage("y", readable))
		if err := c.Delete(bg, []byte("/a?")); err != nil {
			t.Fatal(err)
		}
		checkMiss(t, c, "/a?")
		check(t, c, "/b?", newPageLike(c, "/b?", t))
	}
	if err := c.Delete(bg, []byte("/never?")); err != nil {
		t.Errorf("deleting what is not there: %v", err)
	}
}

// newPageLike returns a copy of a stored page: that it is there at all is what the caller checks.
func newPageLike(c pagecache.Cache, key string, t *testing.T) *page.Page {
	var p page.Page
	if err := c.Get(bg, []byte(key), &p); err != nil {
		t.Fatalf("Get %q: %v", key, err)
	}
	defer p.Release()
	copied := p.Times()
	copied.Header, copied.Body = bytes.Clone(p.Header), bytes.Clone(p.Body)
	return copied
}

// Raw keys hold any byte that nginx lets into a decoded path.
func testKeysAreBytes(t *testing.T, open Open) {
	c := open(t, time.Now)
	keys := []string{"/a b?", "/a%20b?", "/a\nb?", "/a\r\nset x 0 0 1?", "/\xff\xc3\xa9?", "/%?%25", "/\x01?", `/"?`, "/a#b?"}
	for _, key := range keys {
		mustSet(t, c, key, newPage("page of "+fmt.Sprintf("%x", key), true))
	}
	for _, key := range keys {
		if got := newPageLike(c, key, t); string(got.Body) != "page of "+fmt.Sprintf("%x", key) {
			t.Errorf("%q holds %q", key, got.Body)
		}
	}
}

// A key that the cache cannot hold is told as that, and read as a miss.
func testLongKeys(t *testing.T, open Open) {
	c := open(t, time.Now)
	for _, n := range []int{200, 244, 245, 246, 250, 251, 8000, 9000} {
		key := "/" + strings.Repeat("k", n-1)
		p := newPage("x", true)
		switch err := c.Set(bg, []byte(key), p); {
		case errors.Is(err, pagecache.ErrKey) && n > 250:
			checkMiss(t, c, key)
		case err != nil:
			t.Errorf("%d bytes: %v", n, err)
		default:
			if got := newPageLike(c, key, t); !bytes.Equal(got.Body, p.Body) {
				t.Errorf("%d bytes: %q", n, got.Body)
			}
		}
	}
}

// The bytes of a page that was got stay what they are while others write.
func testBorrowedBytes(t *testing.T, open Open) {
	c := open(t, time.Now)
	want := strings.Repeat("old", 5000)
	mustSet(t, c, "/a?", newPage(want, true))
	var p page.Page
	if err := c.Get(bg, []byte("/a?"), &p); err != nil {
		t.Fatal(err)
	}
	defer p.Release()
	mustSet(t, c, "/a?", newPage(strings.Repeat("new", 5000), true))
	if err := c.Delete(bg, []byte("/a?")); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		mustSet(t, c, fmt.Sprint("/", i), newPage(strings.Repeat("xyz", 5000), true))
	}
	if string(p.Body) != want {
		t.Error("the bytes of a page that is held have changed")
	}
}

func testConcurrent(t *testing.T, open Open) {
	c := open(t, time.Now)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				key := fmt.Sprint("/", i%10)
				if g%2 == 0 {
					body := strings.Repeat(fmt.Sprint(i%7), 3000)
					if err := c.Set(bg, []byte(key), newPage(body, true)); err != nil {
						t.Errorf("Set: %v", err)
					}
					continue
				}
				var p page.Page
				if err := c.Get(bg, []byte(key), &p); err != nil {
					if !errors.Is(err, pagecache.ErrMiss) {
						t.Errorf("Get: %v", err)
					}
					continue
				}
				if len(p.Body) != 3000 || strings.Trim(string(p.Body), string(p.Body[:1])) != "" {
					t.Errorf("a torn page: %.20q", p.Body)
				}
				p.Release()
			}
		})
	}
	wg.Wait()
}

func testLargestHeaders(t *testing.T, open Open) {
	c := open(t, time.Now)
	p := newPage("x", false)
	p.Header = []byte("X-A: " + strings.Repeat("a", 60000) + "\r\n")
	mustSet(t, c, "/a?", p)
	check(t, c, "/a?", p)
	p.Header = append(p.Header, p.Header...)
	if err := c.Set(bg, []byte("/a?"), p); !errors.Is(err, page.ErrHeaderTooLarge) {
		t.Errorf("over 64 KiB of header: %v", err)
	}
}

func testLocks(t *testing.T, open Open) {
	l, ok := open(t, time.Now).(pagecache.Locker)
	if !ok {
		return // a cache of one process needs none
	}
	key := []byte("/a b?")
	take := func(want bool) {
		t.Helper()
		if got, err := l.Lock(bg, key, 5*time.Second); err != nil || got != want {
			t.Fatalf("Lock: %v, %v; want %v", got, err, want)
		}
	}
	take(true)
	take(false)
	if err := l.Extend(bg, key, 10*time.Second); err != nil {
		t.Error(err)
	}
	take(false)
	if err := l.Unlock(bg, key); err != nil {
		t.Error(err)
	}
	take(true)
	if err := l.Unlock(bg, key); err != nil {
		t.Error(err)
	}
	if err := l.Unlock(bg, key); err != nil {
		t.Errorf("unlocking what is not locked: %v", err)
	}
}
