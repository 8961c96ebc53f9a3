package warm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/dunglas/httpsfv"
	"github.com/dustin/go-humanize/english"
)

// fate is what became of a page.
type fate int

const (
	hit       fate = iota // it was in the cache
	stored                // it is now
	notStored             // it is not, though it was fetched
	failed                // there was no whole answer, or one that is an error
)

type outcome struct {
	fate fate
	why  string
}

// Failure is a page or a sitemap that could not be had, and why.
type Failure struct{ URL, Why string }

// maxFailures bounds the failures that a result holds one by one.
const maxFailures = 1000

// Result is what became of the pages.
type Result struct {
	Hits, Stored int
	NotStored    map[string]int // by the reason that Cache-Status gives
	Failed       map[string]int // by what went wrong
	Failures     []Failure      // the first thousand of them
}

func newResult() *Result {
	return &Result{NotStored: make(map[string]int), Failed: make(map[string]int)}
}

func (r *Result) add(u *url.URL, o outcome) {
	switch o.fate {
	case hit:
		r.Hits++
	case stored:
		r.Stored++
	case notStored:
		r.NotStored[o.why]++
	default:
		r.Fail(Failure{URL: u.String(), Why: o.why})
	}
}

// Fail adds a failure.
func (r *Result) Fail(f Failure) {
	if r.Failed[f.Why]++; len(r.Failures) < maxFailures {
		r.Failures = append(r.Failures, f)
	}
}

// Pages is how many pages were asked for.
func (r *Result) Pages() int { return r.Hits + r.Stored + sum(r.NotStored) + sum(r.Failed) }

// OK tells whether none failed.
func (r *Result) OK() bool { return len(r.Failed) == 0 }

// String is the result in a line or some.
func (r *Result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s: %d in the cache already, %d stored now, %d not stored, %d failed\n",
		r.Pages(), english.PluralWord(r.Pages(), "page", ""), r.Hits, r.Stored, sum(r.NotStored), sum(r.Failed))
	for _, list := range []struct {
		name string
		of   map[string]int
	}{{"not stored", r.NotStored}, {"failed", r.Failed}} {
		for _, why := range mostFirst(list.of) {
			fmt.Fprintf(&b, "  %-10s %6d  %s\n", list.name, list.of[why], why)
		}
	}
	return b.String()
}

func sum(of map[string]int) (n int) {
	for _, v := range of {
		n += v
	}
	return n
}

func mostFirst(of map[string]int) []string {
	names := slices.Sorted(maps.Keys(of))
	slices.SortStableFunc(names, func(a, b string) int { return of[b] - of[a] })
	return names
}

// failure tells in few words why there was no answer, so that many of one kind count together.
func failure(err error) outcome {
	var timeout net.Error
	var dial *net.OpError
	switch {
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return outcome{failed, "no whole answer in time"}
	case errors.As(err, &dial) && dial.Op == "dial":
		return outcome{failed, "cannot connect: " + dial.Err.Error()}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return outcome{failed, "the answer was cut short"}
	}
	var about *url.Error
	if errors.As(err, &about) {
		err = about.Err
	}
	return outcome{failed, err.Error()}
}

// outcomeOf judges a whole answer. A redirect is a page like any other; a status of an error is none.
func outcomeOf(resp *http.Response) outcome {
	if resp.StatusCode >= http.StatusBadRequest {
		return outcome{failed, "status " + resp.Status}
	}
	return cacheStatus(resp.Header.Values("Cache-Status"))
}

// cacheStatus reads what the caches on the way say of themselves (RFC 9211, section 2).
func cacheStatus(lines []string) outcome {
	caches, err := httpsfv.UnmarshalList(lines)
	if err != nil || len(caches) == 0 {
		return outcome{notStored, "no Cache-Status tells: is it pagegate that answers?"}
	}
	why := ""
	for _, member := range caches {
		item, ok := member.(httpsfv.Item)
		if !ok {
			continue
		}
		switch {
		case says(item, "hit"):
			return outcome{hit, ""}
		case says(item, "stored"):
			return outcome{stored, ""}
		}
		for _, parameter := range []string{"fwd", "detail"} { // the latter tells more
			if v, ok := item.Params.Get(parameter); ok {
				why = fmt.Sprint(v)
			}
		}
	}
	return outcome{notStored, why}
}

func says(item httpsfv.Item, parameter string) bool {
	v, ok := item.Params.Get(parameter)
	yes, isBool := v.(bool)
	return ok && isBool && yes
}
