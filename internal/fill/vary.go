package fill

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"pagegate/internal/page"
	"pagegate/internal/policy"
)

// place says where a response is kept.
type place struct {
	key  string
	only string     // the key whose requests the response answers, where it has variants; "" for all who wait
	mark *page.Page // to be stored under the page key first; nil for none
	// elsewhere says that the response is not the requester's variant, since the fill did not carry a field that it
	// turns out to depend on: everybody has to go on by the mark.
	elsewhere bool
}

// place finds where a storable response belongs (RFC 9111, section 4.1).
func (f *Filler) place(fl *flight, e *errand, x *fetched, d *policy.Decision, now time.Time) place {
	if len(d.Vary) == 0 {
		return place{key: fl.primary}
	}
	until := newPage(0, policy.Stored(x.resp.Header, now), d, now, 0).KeepUntil()
	if fl.mark != nil && fl.mark.SameNames(d.Vary) {
		p := place{key: fl.key}
		if fl.mark.StaleUntil.Before(until) { // the mark has to outlast its variants
			p.mark = page.NewMark(d.Vary, fl.mark.Variants, now, until)
		}
		return p
	}
	mark := page.NewMark(d.Vary, rand.Uint64()|1, now, until)
	if !carried(d.Vary, e.asked, x.header) {
		return place{mark: mark, elsewhere: true}
	}
	key := variantKey(fl.primary, mark, d.Vary, e.asked)
	return place{key: key, only: key, mark: mark}
}

// carried tells whether a fill was sent with the request's own values of those fields.
func carried(names []string, asked, sent http.Header) bool {
	for _, name := range names {
		if !slices.Equal(asked[name], sent[name]) {
			return false
		}
	}
	return true
}
