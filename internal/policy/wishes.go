package policy

import (
	"strings"
	"time"
)

// Wishes is what a request's Cache-Control asks for (RFC 9111, section 5.2.1). The zero value asks for nothing.
type Wishes struct {
	NoCache      bool
	NoStore      bool
	OnlyIfCached bool
	// The spans, each with whether it was given.
	MaxAge, MinFresh, MaxStale, StaleIfError span
}

// span is a directive's argument.
type span struct {
	Given bool
	For   time.Duration
}

// forever is what max-stale without an argument allows.
const forever = 1<<63 - 1

// Picky tells whether the request may refuse a page that is fresh.
func (w *Wishes) Picky() bool { return w.NoCache || w.MaxAge.Given || w.MinFresh.Given }

// ParseWishes reads the joined values of a request's Cache-Control and Pragma. A value that cannot be read counts as not
// given, but for max-age and min-fresh, where it asks for a new answer: a client that wanted something gets the best.
// Nothing is allocated for lower-case directives.
func ParseWishes(cacheControl, pragma string) (w Wishes) {
	for cacheControl != "" {
		var d listed
		d, cacheControl = cutDirective(cacheControl)
		switch d.name {
		case "no-cache":
			w.NoCache = true
		case "no-store":
			w.NoStore = true
		case "only-if-cached":
			w.OnlyIfCached = true
		case "max-age":
			w.MaxAge = newest(d)
		case "min-fresh":
			if w.MinFresh = newest(d); w.MinFresh.For == 0 && !validDelta(d) {
				w.MinFresh.For = forever
			}
		case "max-stale":
			if d.arg == "" {
				w.MaxStale = span{true, forever}
			} else if n, ok := deltaSeconds(d.arg); ok {
				w.MaxStale = span{true, n}
			}
		case "stale-if-error":
			if n, ok := deltaSeconds(d.arg); ok {
				w.StaleIfError = span{true, n}
			}
		}
	}
	// RFC 9111, section 5.4: Pragma speaks only where Cache-Control does not.
	if pragma != "" && !w.any() && strings.EqualFold(strings.Trim(pragma, " \t"), "no-cache") {
		w.NoCache = true
	}
	return w
}

func (w *Wishes) any() bool { return *w != Wishes{} }

func newest(d listed) span {
	n, _ := deltaSeconds(d.arg)
	return span{true, n}
}

func validDelta(d listed) bool {
	_, ok := deltaSeconds(d.arg)
	return ok
}
