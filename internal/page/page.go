// Package page says what a stored page is, and how it lies in a cache.
//
// A page is the backend's answer to a shared fill: status, end-to-end fields, body, and the times that say how long it
// may be used. A cache keeps it in one of two shapes:
//
//   - whole: one item that holds a record (all but the body) and, right behind it, the body;
//   - split: the bare body under the page key, where nginx reads it, and the record beside it under a key of its own.
//
// The invariant of the split shape: the record carries the body's length and checksum, so that a reader can tell
// whether the two items that it found belong together. Only pages that are NginxReadable may be split.
package page

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Page is a stored response. Header and Body are owned by whoever made the page: after a cache's Get they point into
// the cache's memory and are valid until Release. A Page is used by one goroutine at a time.
type Page struct {
	Status int
	// Header is the block of end-to-end field lines, each ending in CR LF, in the order in which they are sent. It holds
	// neither Content-Length nor Age nor any hop-by-hop field.
	Header []byte
	Body   []byte
	// Coded holds the body in the codings that it is kept in, nil for the others.
	Coded [Codings][]byte

	StoredAt   time.Time     // when the response was stored
	InitialAge time.Duration // the response's age at StoredAt (RFC 9111, section 4.2.3: corrected_initial_age)
	FreshUntil time.Time     // the end of the freshness lifetime; zero when nobody said (a body that an app stored)
	StaleUntil time.Time     // until when it may still be served if the backend fails; never before FreshUntil
	// RefreshUntil is until when it may be served past its freshness while it is refreshed behind the visitor's back
	// (RFC 5861, section 3); zero or not after FreshUntil for never.
	RefreshUntil time.Time
	// Took is how long the backend needed for the page, in whole milliseconds: how early a refresh has to begin.
	Took time.Duration

	// NoStale forbids to serve the page past its freshness whatever a request allows (RFC 9111, section 4.2.4).
	NoStale bool
	// Immutable says that the page does not change while it is fresh (RFC 8246).
	Immutable bool
	// Variants is not 0 on a mark: a page without a body that stands for the variants of its key (variants.go).
	Variants uint64

	// NginxReadable says that nginx's own answer from the bare body would equal the backend's, so the body may stand
	// under the page key.
	NginxReadable bool
	// GzippedHere says that the body is gzip, as Content-Encoding says, by this project's doing: the backend sent it plain.
	GzippedHere bool
	// TaggedHere says that the entity tag is this project's, made from the body: the backend does not know it.
	TaggedHere bool
	// Codable says that the page is a text that may be kept in codings, so that its answers depend on Accept-Encoding;
	// Uncoded that nobody has tried to code it yet.
	Codable, Uncoded bool
	// BodyOnly marks a page made up from a bare body that an app stored by itself under the page key.
	BodyOnly bool

	release Releaser
}

// Releaser gives a page's bytes back to the cache that lent them.
type Releaser interface{ Release() }

// SetReleaser is for caches whose Get lends memory.
func (p *Page) SetReleaser(r Releaser) { p.release = r }

// Detach makes the caller the one who gives the page's bytes back: they stay until it calls the result's Release, whatever
// becomes of the page. nil if they are nobody's.
func (p *Page) Detach() Releaser {
	r := p.release
	p.release = nil
	return r
}

// Release gives borrowed bytes back and empties the page. It may be called on any page, and again.
func (p *Page) Release() {
	r := p.release
	*p = Page{}
	if r != nil {
		r.Release()
	}
}

// Times returns a copy of the page without its bytes, which outlives Release.
func (p *Page) Times() *Page {
	t := *p
	t.Header, t.Body, t.release = nil, nil, nil
	t.Coded = [Codings][]byte{}
	return &t
}

// Age returns the page's current age at now (RFC 9111, section 4.2.3), never negative; 0 when nobody said when the page
// was stored.
func (p *Page) Age(now time.Time) time.Duration {
	if p.StoredAt.IsZero() {
		return 0
	}
	return max(0, p.InitialAge+max(0, now.Sub(p.StoredAt)))
}

// Fresh tells whether the page may be served at now without asking the backend. A page whose freshness nobody stated is
// fresh for as long as the cache keeps it, as it is to nginx.
func (p *Page) Fresh(now time.Time) bool {
	return p.FreshUntil.IsZero() || now.Before(p.FreshUntil)
}

// Mark tells whether this is no page but the mark that its key has variants.
func (p *Page) Mark() bool { return p.Variants != 0 }

// Outdated returns the page as one whose freshness ended at now: what is left of it serves as a stale page may. It lends
// the same bytes.
func (p *Page) Outdated(now time.Time) *Page {
	o := *p
	o.release = nil
	o.NginxReadable = false // nginx cannot tell stale from fresh
	if o.BodyOnly || o.FreshUntil.After(now) {
		o.FreshUntil = now
	}
	for _, t := range []*time.Time{&o.StaleUntil, &o.RefreshUntil} {
		if t.Before(o.FreshUntil) {
			*t = o.FreshUntil
		}
	}
	return &o
}

// keepValidatable is how long past its last use a page that the backend can confirm (304) is kept, at least and at most;
// between the two it is the page's own freshness lifetime.
const (
	keepValidatableMin = 10 * time.Minute
	keepValidatableMax = 24 * time.Hour
)

// KeepUntil is until when the page is of any use: as a fresh or stale answer, or to be confirmed by the backend.
func (p *Page) KeepUntil() time.Time {
	until := p.FreshUntil
	for _, t := range []time.Time{p.StaleUntil, p.RefreshUntil} {
		if t.After(until) {
			until = t
		}
	}
	if p.Validatable() {
		spare := min(max(p.FreshUntil.Sub(p.StoredAt), keepValidatableMin), keepValidatableMax)
		if t := p.FreshUntil.Add(spare); t.After(until) {
			until = t
		}
	}
	return until
}

// Validatable tells whether the backend could confirm the page: whether it has an entity tag of the backend's or a date of
// modification.
func (p *Page) Validatable() bool { return p.BackendTag() != nil || p.Field("Last-Modified") != nil }

// BackendTag returns the entity tag that the backend gave the page, nil for none.
func (p *Page) BackendTag() []byte {
	if p.TaggedHere {
		return nil
	}
	return p.Field("Etag")
}

// Tag gives a page without an entity tag a strong one, made from its body, which must not change any more: the same body
// has the same tag, whenever and wherever it was stored.
func (p *Page) Tag() {
	if p.Status != http.StatusOK || p.Field("Etag") != nil {
		return
	}
	p.Header = fmt.Appendf(p.Header, "Etag: \"%x-%016x\"\r\n", len(p.Body), xxhash.Sum64(p.Body))
	p.TaggedHere = true
}

// UsableStale tells whether a page that is no longer fresh may be served at now because the backend failed.
func (p *Page) UsableStale(now time.Time) bool { return now.Before(p.StaleUntil) }

// EachField calls fn with the name and value of each stored field, without allocating. The slices are valid as long as
// the page's Header.
func (p *Page) EachField(fn func(name, value []byte)) {
	for rest := p.Header; len(rest) > 0; {
		var name, value []byte
		name, value, rest = nextField(rest)
		fn(name, value)
	}
}

// Field returns the value of the first field of that canonical name, or nil.
func (p *Page) Field(name string) []byte {
	for rest := p.Header; len(rest) > 0; {
		var n, v []byte
		if n, v, rest = nextField(rest); string(n) == name {
			return v
		}
	}
	return nil
}

// HTTPHeader returns the stored fields as a new http.Header.
func (p *Page) HTTPHeader() http.Header {
	h := make(http.Header)
	p.EachField(func(name, value []byte) { h.Add(string(name), string(value)) })
	return h
}

// AppendAge appends the value of the Age field at now: whole seconds.
func (p *Page) AppendAge(dst []byte, now time.Time) []byte {
	return strconv.AppendInt(dst, int64(p.Age(now)/time.Second), 10)
}
