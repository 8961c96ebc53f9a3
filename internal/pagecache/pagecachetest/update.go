package pagecachetest

import (
	"bytes"
	"testing"
	"time"

	"pagegate/internal/page"
	"pagegate/internal/pagecache"
)

// testUpdate changes pages where they lie, and has others store, remove and leave them meanwhile.
func testUpdate(t *testing.T, open Open) {
	c := open(t, time.Now)
	u, ok := c.(pagecache.Updater)
	if !ok {
		t.Fatal("this cache cannot update")
	}
	key := []byte("/update?")
	body := func() string {
		var p page.Page
		defer p.Release()
		if c.Get(bg, key, &p) != nil {
			return ""
		}
		return string(p.Body)
	}
	change := func(meanwhile func()) {
		t.Helper()
		if err := u.Update(bg, key, func(p *page.Page) bool {
			meanwhile()
			p.Body = append(bytes.Clone(p.Body), " changed"...)
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	store := func(text string) {
		if err := c.Set(bg, key, newPage(text, false)); err != nil {
			t.Fatal(err)
		}
	}
	change(func() { t.Error("there is no page to change") })
	store("one")
	for _, tt := range []struct {
		meanwhile func()
		want      string
	}{
		{func() {}, "one changed"},
		{func() { store("two") }, "two"},
		{func() { store("two") }, "two"}, // the same page stored again is another one all the same
		{func() { _ = c.Delete(bg, key) }, ""},
	} {
		change(tt.meanwhile)
		if got := body(); got != tt.want {
			t.Errorf("the page is %q, want %q", got, tt.want)
		}
	}
	store("three")
	if err := u.Update(bg, key, func(p *page.Page) bool {
		p.Status = 500
		return false
	}); err != nil || body() != "three" {
		t.Errorf("what was to be left alone is %q (%v)", body(), err)
	}
}
