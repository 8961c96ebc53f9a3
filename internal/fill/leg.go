package fill

import (
	"errors"
	"net/http"
	"strings"

	"pagegate/internal/origin"
	"pagegate/internal/page"
)

// leg is where a request stands on its way to a page: it starts at the page key, and is sent on to a variant's key where
// the page has variants.
type leg struct {
	key     string     // that is looked up and fetched under
	primary string     // the page key
	mark    *page.Page // of which key is a variant; nil for the page key itself
	// renew says that a fresh page in the cache is not good enough: a client insists, or it is time to refresh it.
	renew bool
	// alone says that the page may not answer two requests (RFC 9111, section 4: not without asking the backend again),
	// so that this request has a fetch of its own.
	alone bool
	// again says that the request has waited for another's flight, and that failed.
	again bool
}

func newLeg(key []byte) leg { return leg{key: string(key), primary: string(key)} }

// follow goes on to the variant that a mark has for a request.
func (l *leg) follow(mark *page.Page, h http.Header) {
	l.mark = mark
	l.key = variantKey(l.primary, mark, mark.MarkNames(), h)
}

// handsOver tells whether a flight's failure is its leader's alone: one of those who waited leads the next flight, which the
// others join, and whose failure is final. It is where the backend broke off, or the leader's request could not be sent as it
// was. A backend that cannot be reached or is too slow would only be waited for twice.
func handsOver(err error) bool {
	var e *origin.Error
	return errors.As(err, &e) && (e.Kind == origin.KindProtocol || e.Kind == origin.KindRequest)
}

// variantKey is the key of the variant for a request with the fields h.
func variantKey(primary string, mark *page.Page, names []string, h http.Header) string {
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = strings.Join(h[name], ",")
	}
	return string(page.AppendVariantKey(nil, []byte(primary), mark.Variants, names, values))
}

// flightKey is what requests that may fly together have in common.
func (l *leg) flightKey() string {
	if l.renew {
		return "\x02" + l.key
	}
	return l.key
}

// copyMark returns a mark that outlives its loan.
func copyMark(p *page.Page) *page.Page {
	m := p.Times()
	m.Header = append([]byte(nil), p.Header...)
	return m
}
