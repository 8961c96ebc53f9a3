package pagecachetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/purge"
)

// has tells whether a page of a key is there, and whether it is fresh.
func has(t *testing.T, c pagecache.Cache, key string) (there, fresh bool) {
	t.Helper()
	var p page.Page
	err := c.Get(bg, []byte(key), &p)
	if errors.Is(err, pagecache.ErrMiss) {
		return false, false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release()
	return true, p.Fresh(time.Now())
}

func mustPurge(t *testing.T, c pagecache.Cache, r purge.Rule) int {
	t.Helper()
	n, err := c.(pagecache.Purger).Purge(bg, r)
	if err != nil {
		t.Fatalf("%s: %v", r, err)
	}
	return n
}

func testPurge(t *testing.T, open Open) {
	c := open(t, time.Now)
	tagged := func(tag string, readable bool) *page.Page {
		p := newPage("body "+tag, readable)
		p.Header = append(p.Header, "Surrogate-Key: all "+tag+"\r\n"...)
		return p
	}
	for i := range 300 {
		mustSet(t, c, fmt.Sprintf("/shop/%d?", i), tagged(fmt.Sprint("item", i%3), i%2 == 0))
	}
	mustSet(t, c, "/a b?x=%20", tagged("spaced", true))
	mustSet(t, c, "/news?", tagged("news", false))
	for _, tt := range []struct {
		rule purge.Rule
		want int
		gone []string
		left []string
	}{
		{purge.Rule{Kind: purge.Key, Value: "/none?"}, 0, nil, []string{"/shop/0?"}},
		{purge.Rule{Kind: purge.Key, Value: "/shop/0?"}, 1, []string{"/shop/0?"}, []string{"/shop/1?"}},
		{purge.Rule{Kind: purge.Tag, Value: "item1"}, 100, []string{"/shop/1?", "/shop/4?"}, []string{"/shop/2?", "/shop/3?"}},
		{purge.Rule{Kind: purge.Match, Value: "/shop/2*?"}, 75, []string{"/shop/2?", "/shop/299?"}, []string{"/shop/3?"}},
		{purge.Rule{Kind: purge.Prefix, Value: "/a b?"}, 1, []string{"/a b?x=%20"}, []string{"/news?"}},
		{purge.Rule{Kind: purge.Prefix, Value: "/shop/"}, 124, []string{"/shop/3?"}, []string{"/news?"}},
		{purge.Rule{Kind: purge.Tag, Value: "all"}, 1, []string{"/news?"}, nil},
	} {
		if n := mustPurge(t, c, tt.rule); n != tt.want {
			t.Errorf("%s: %d pages, want %d", tt.rule, n, tt.want)
		}
		for _, key := range tt.gone {
			if there, _ := has(t, c, key); there {
				t.Errorf("%s left %s", tt.rule, key)
			}
		}
		for _, key := range tt.left {
			if there, _ := has(t, c, key); !there {
				t.Errorf("%s took %s", tt.rule, key)
			}
		}
	}
}

func testSoftPurge(t *testing.T, open Open) {
	c := open(t, time.Now)
	for i := range 4 {
		mustSet(t, c, fmt.Sprintf("/%d?", i), newPage("body", i%2 == 0))
	}
	if n := mustPurge(t, c, purge.Rule{Kind: purge.Prefix, Value: "/", Soft: true}); n != 4 {
		t.Errorf("%d pages", n)
	}
	for i := range 4 {
		if there, fresh := has(t, c, fmt.Sprintf("/%d?", i)); !there || fresh {
			t.Errorf("page %d: there %v, fresh %v", i, there, fresh)
		}
	}
}

func testFence(t *testing.T, open Open) {
	c := open(t, time.Now)
	f, ok := c.(pagecache.Fence)
	if !ok {
		t.Skip("this cache belongs to one process")
	}
	entries := func(key string) purge.Entries {
		e, err := f.Purges(bg, []byte(key))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	before := entries("/a?").Last()
	if err := f.NotePurge(bg, purge.Rule{Kind: purge.Tag, Value: "x"}); err != nil {
		t.Fatal(err)
	}
	for i := range 20 { // on whatever server
		e := entries(fmt.Sprintf("/%d?", i))
		if !e.Since(before, func(r purge.Rule) bool { return r.Kind == purge.Tag && r.Value == "x" }) {
			t.Errorf("a purge is not known where /%d is kept", i)
		}
	}
	if mustPurge(t, c, purge.Rule{Kind: purge.Match, Value: "*"}) != 0 {
		t.Error("what the cache keeps for itself was counted as pages")
	}
}
