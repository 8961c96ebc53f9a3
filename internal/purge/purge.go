// Package purge says which pages a purge takes away, and remembers purges for as long as a fill that began before one
// could still bring such a page back. It knows no cache: those are given a Rule and go through what they hold.
package purge

import (
	"fmt"
	"strings"
	"unicode"

	"pagegate/internal/glob"
	"pagegate/internal/page"
)

// Kind is what a rule goes by.
type Kind string

// Kinds.
const (
	Key    Kind = "key"    // the page key, with all variants
	Prefix Kind = "prefix" // what the page key begins with
	Match  Kind = "match"  // a pattern for the whole page key, in which * stands for any bytes
	Tag    Kind = "tag"    // a tag that the backend gave the page (Surrogate-Key, Cache-Tag)
)

// Rule says which pages are purged. A Rule is not changed after it is made, and may be used by any number of goroutines.
type Rule struct {
	Kind  Kind   `json:"kind"`
	Value string `json:"value"`
	// Soft keeps the pages, as stale ones: the backend may confirm them, and they help when it fails.
	Soft bool `json:"soft,omitempty"`
}

// Check tells what is wrong with a rule.
func (r Rule) Check() error {
	switch r.Kind {
	case Key, Prefix, Match:
		if r.Value == "" {
			return fmt.Errorf("%s: it is empty; to purge everything say match=*", r.Kind)
		}
	case Tag:
		if r.Value == "" || strings.ContainsFunc(r.Value, func(c rune) bool { return c == ',' || unicode.IsSpace(c) }) {
			return fmt.Errorf("tag %q: want one tag, without white space or commas", r.Value)
		}
	default:
		return fmt.Errorf("kind %q: want key, prefix, match or tag", r.Kind)
	}
	return nil
}

// String is the rule as a log names it.
func (r Rule) String() string {
	if r.Soft {
		return fmt.Sprintf("soft %s %q", r.Kind, r.Value)
	}
	return fmt.Sprintf("%s %q", r.Kind, r.Value)
}

// ByKey tells whether the page key alone decides.
func (r Rule) ByKey() bool { return r.Kind != Tag }

// MatchesKey tells whether the pages of a page key are purged; false for a rule that goes by tags.
func (r Rule) MatchesKey(key []byte) bool {
	switch r.Kind {
	case Key:
		return string(key) == r.Value
	case Prefix:
		return strings.HasPrefix(string(key), r.Value)
	case Match:
		return glob.Match(r.Value, string(key))
	}
	return false
}

// MatchesPage tells whether a page under a page key is purged.
func (r Rule) MatchesPage(key []byte, p *page.Page) bool {
	if r.ByKey() {
		return r.MatchesKey(key)
	}
	found := false
	p.EachField(func(name, value []byte) {
		found = found || holdsTag(string(name), string(value), r.Value)
	})
	return found
}

// Tag fields: what a backend calls its pages by. Clients do not see them.
const (
	surrogateKey = "Surrogate-Key" // tags between spaces
	cacheTag     = "Cache-Tag"     // tags between commas
)

// TagField tells whether a field, by its canonical name, holds tags.
func TagField(name string) bool { return name == surrogateKey || name == cacheTag }

func holdsTag(name, value, tag string) bool {
	if !TagField(name) || !strings.Contains(value, tag) {
		return false
	}
	for v := range strings.FieldsFuncSeq(value, func(c rune) bool { return c == ' ' || c == '\t' || c == ',' && name == cacheTag }) {
		if v == tag {
			return true
		}
	}
	return false
}
