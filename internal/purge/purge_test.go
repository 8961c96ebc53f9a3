package purge

import (
	"testing"
	"time"

	"pagegate/internal/page"
)

func TestRules(t *testing.T) {
	tagged := &page.Page{Header: []byte("Cache-Tag: shop, item 7\r\nSurrogate-Key: front news\r\nX-Tag: other\r\n")}
	for _, tt := range []struct {
		rule Rule
		key  string
		want bool
	}{
		{Rule{Kind: Key, Value: "/a?"}, "/a?", true},
		{Rule{Kind: Key, Value: "/a?"}, "/a?x", false},
		{Rule{Kind: Prefix, Value: "/shop/"}, "/shop/1?", true},
		{Rule{Kind: Prefix, Value: "/shop/"}, "/shop?", false},
		{Rule{Kind: Match, Value: "/shop/*?page=*"}, "/shop/7?page=2", true},
		{Rule{Kind: Match, Value: "/shop/*?page=*"}, "/shop/7?", false},
		{Rule{Kind: Match, Value: "*"}, "", true},
		{Rule{Kind: Tag, Value: "shop"}, "/x?", true},
		{Rule{Kind: Tag, Value: "item"}, "/x?", true},
		{Rule{Kind: Tag, Value: "news"}, "/x?", true},
		{Rule{Kind: Tag, Value: "new"}, "/x?", false},
		{Rule{Kind: Tag, Value: "other"}, "/x?", false},
	} {
		if got := tt.rule.MatchesPage([]byte(tt.key), tagged); got != tt.want {
			t.Errorf("%s on %s: %v", tt.rule, tt.key, got)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, r := range []Rule{{}, {Kind: "x", Value: "y"}, {Kind: Key}, {Kind: Prefix}, {Kind: Tag, Value: "a b"}, {Kind: Tag, Value: "a,b"}} {
		if r.Check() == nil {
			t.Errorf("%+v is taken", r)
		}
	}
}

func TestLog(t *testing.T) {
	var l Log
	now := time.Unix(1000, 0)
	all := func(Rule) bool { return true }
	if l.Entries().Since(l.Entries().Last(), all) {
		t.Error("an empty log has entries")
	}
	before := l.Entries().Last()
	l.Add(Rule{Kind: Key, Value: "/a?"}, now)
	after := l.Entries().Last()
	if !l.Entries().Since(before, func(r Rule) bool { return r.Value == "/a?" }) || l.Entries().Since(after, all) {
		t.Error("a purge is seen by those who began before it, and only by them")
	}
	for range maxEntries + 5 {
		l.Add(Rule{Kind: Key, Value: "/b?"}, now)
	}
	if len(l.Entries()) > maxEntries || !l.Entries().Since(after, func(Rule) bool { return false }) {
		t.Error("who began before a forgotten purge must not be sure")
	}
	l.Add(Rule{Kind: Key, Value: "/c?"}, now.Add(2*Remembered))
	if n := len(l.Entries()); n != 1 {
		t.Errorf("%d entries are remembered for too long", n)
	}
	if !Entries(nil).Since(after, all) {
		t.Error("a log that was lost must not be taken for an empty one")
	}
}
