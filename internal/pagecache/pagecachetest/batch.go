package pagecachetest

import (
	"strings"
	"testing"
	"time"

	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/purge"
)

// testBatch: Begin and Finish do what the single steps do.
func testBatch(t *testing.T, open Open) {
	c := open(t, time.Now)
	b, ok := c.(pagecache.Batcher)
	if !ok {
		return // a cache of one process needs none
	}
	begin := func(key string, p *page.Page) pagecache.Start {
		t.Helper()
		s, err := b.Begin(bg, []byte(key), 5*time.Second, p)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for key, want := range map[string]*page.Page{
		"/a b?":                         newPage("small", true),
		"/large?":                       newPage(strings.Repeat("large ", 50_000), true),
		"/whole?":                       newPage(strings.Repeat("whole ", 50_000), false),
		"/" + strings.Repeat("k", 248):  newPage("without a record", true),
		"/" + strings.Repeat("l", 243):  newPage("without a lock", true),
		"/" + strings.Repeat("%", 2000): nil,
	} {
		var p page.Page
		s := begin(key, &p)
		if !s.Locked || s.Found {
			t.Errorf("%.20s: at first %+v", key, s)
		}
		if again := begin(key, &p); again.Locked != (len(key) > 245) || again.Found {
			t.Errorf("%.20s: while it is locked %+v", key, again)
		}
		if want == nil {
			if _, err := b.Finish(bg, []byte(key), newPage("x", true)); err == nil {
				t.Errorf("%.20s: stored under a key that cannot be", key)
			}
			continue
		}
		if err := b.NotePurge(bg, purge.Rule{Kind: purge.Tag, Value: "x"}); err != nil {
			t.Fatal(err)
		}
		notes, err := b.Finish(bg, []byte(key), want)
		if err != nil {
			t.Fatal(err)
		}
		if !notes.Since(s.Purges.Last(), func(r purge.Rule) bool { return r.Value == "x" }) {
			t.Errorf("%.20s: the purge is not known: %v", key, notes)
		}
		if s := begin(key, &p); !s.Locked || !s.Found || string(p.Body) != string(want.Body) || s.Purges.Last() != notes.Last() {
			t.Errorf("%.20s: afterwards %+v", key, s)
		}
		if err := b.Unlock(bg, []byte(key)); err != nil {
			t.Error(err)
		}
		p.Release()
	}
}
