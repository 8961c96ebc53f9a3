package policy

import (
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// lifetime is the freshness lifetime (RFC 9111, section 4.2.1), the operator's TTL, or a heuristic one (4.2.2). It is 0
// with a reason where nothing gives one.
func (p *Policy) lifetime(now time.Time, x *Exchange, cc *cacheControl) (time.Duration, Reason) {
	if cc.has(ccInvalid) {
		return 0, ReasonInvalid
	}
	switch expires := x.Header["Expires"]; {
	case cc.has(ccSMaxAge):
		return cc.sMaxAge, ReasonExpired
	case cc.has(ccMaxAge):
		return cc.maxAge, ReasonExpired
	case cc.has(ccTargeted): // it replaces Expires too, and heuristics (RFC 9213, section 2.2)
		return 0, ReasonNoFreshness
	case len(expires) > 0:
		at, ok := httpDate(expires[0])
		if !ok || slices.ContainsFunc(expires, func(e string) bool { return e != expires[0] }) {
			return 0, ReasonExpired // an invalid date, "0" above all, is a time in the past (5.3)
		}
		return max(0, at.Sub(date(now, x.Header))), ReasonExpired
	case p.ttl(x) > 0:
		return p.ttl(x), ReasonExpired
	case !heuristicStatus(x.Status) && !cc.has(ccPublic):
		return 0, ReasonStatus
	}
	return heuristic(now, x.Header), ReasonNoFreshness
}

// maxHeuristic bounds a lifetime that nobody stated.
const maxHeuristic = time.Hour

// heuristic is a tenth of the time since the last modification (RFC 9111, section 4.2.2), an hour at most.
func heuristic(now time.Time, h http.Header) time.Duration {
	modified, ok := httpDate(h.Get("Last-Modified"))
	if !ok {
		return 0
	}
	return min(max(0, date(now, h).Sub(modified)/10), maxHeuristic)
}

// heuristicStatus lists the statuses that may be stored without being told to (RFC 9110, section 15.1), less 206, which
// is part of a page.
func heuristicStatus(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

// understood lists the statuses whose rules this cache knows, for must-understand (RFC 9111, section 5.2.2.3).
func understood(status int) bool {
	switch status {
	case 302, 303, 307, 400, 401, 403, 500, 502, 503, 504:
		return true
	}
	return heuristicStatus(status)
}

// initialAge is corrected_initial_age (RFC 9111, section 4.2.3).
func initialAge(now time.Time, x *Exchange) time.Duration {
	apparent := max(0, now.Sub(date(now, x.Header)))
	return max(apparent, toldAge(x.Header)+x.Delay).Truncate(time.Second)
}

// toldAge is the Age field's: of several values the first, of an invalid one nothing (RFC 9111, section 5.1).
func toldAge(h http.Header) time.Duration {
	first, _, _ := strings.Cut(h.Get("Age"), ",")
	told, _ := deltaSeconds(strings.Trim(first, " \t"))
	return told
}

// date is the response's Date, or now where it has none or an invalid one (RFC 9110, section 6.6.1).
func date(now time.Time, h http.Header) time.Time {
	text := h.Get("Date")
	d := lastDate.Load()
	if d == nil || d.text != text {
		d = &readDate{text: strings.Clone(text)}
		d.at, d.ok = httpDate(text)
		lastDate.Store(d)
	}
	if d.ok {
		return d.at
	}
	return now
}

// lastDate is the last Date that was read: those of a second's responses are all alike, and each is looked at several times.
var lastDate atomic.Pointer[readDate]

// readDate is a date and what it means.
type readDate struct {
	text string
	at   time.Time
	ok   bool
}

// httpDate reads a date in one of HTTP's three forms (RFC 9110, section 5.6.7), each to the letter but for case (RFC 9111,
// section 4.2) and which day of the week it was: what is almost a date could mean another time to somebody else.
func httpDate(s string) (time.Time, bool) {
	if at := len(s) - len(" GMT"); at > 0 && strings.EqualFold(s[at:], " GMT") {
		s = s[:at] + " GMT" // the one word that package time compares by case
	}
	for _, layout := range []string{http.TimeFormat, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, strings.EqualFold(behindDay(t.Format(layout)), behindDay(s))
		}
	}
	return time.Time{}, false
}

// behindDay is what follows a date's day of the week.
func behindDay(date string) string {
	_, rest, _ := strings.Cut(date, " ")
	return rest
}

func isHTML(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (media == "text/html" || media == "application/xhtml+xml") && len(h["Content-Type"]) == 1
}
