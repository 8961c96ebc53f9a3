package policy

import (
	"mime"
	"net/http"
	"strings"
	"time"
)

// Exchange is a shared fill and its response's head: all that a decision looks at.
type Exchange struct {
	URI         string        // nginx's $uri of the request, for the type that nginx would give
	Status      int           //
	Header      http.Header   // end-to-end response fields; not changed
	BodyLen     int64         // bytes, -1 when not known yet
	RequestTime time.Time     // when the request was sent
	Delay       time.Duration // until the response's head was there (RFC 9111, section 4.2.3: response_delay)
}

// Decision says what becomes of a response.
type Decision struct {
	Store      bool
	Reason     Reason // why not, when Store is false
	FreshUntil time.Time
	StaleUntil time.Time // never before FreshUntil
	InitialAge time.Duration

	NginxReadable bool   // with Store: the body may stand where nginx reads it
	NginxReason   Reason // why not, when Store is true and NginxReadable is not
}

// Response decides whether the response of a shared fill is stored, and for how long.
func (p *Policy) Response(now time.Time, x *Exchange) Decision {
	cc := parseCacheControl(strings.Join(x.Header.Values("Cache-Control"), ","))
	if why := p.forbidden(x, cc); why != ReasonNone {
		return Decision{Reason: why}
	}
	lifetime, why := p.lifetime(now, x, cc)
	if why != ReasonNone {
		return Decision{Reason: why}
	}
	age := initialAge(now, x)
	if age >= lifetime {
		return Decision{Reason: ReasonExpired}
	}
	d := Decision{Store: true, InitialAge: age, FreshUntil: now.Add(lifetime - age)}
	d.StaleUntil = d.FreshUntil.Add(p.stale(cc))
	d.NginxReason = p.Nginx.refuses(x, cc)
	d.NginxReadable = d.NginxReason == ReasonNone
	return d
}

// forbidden holds the rules that keep a response out whatever its freshness.
func (p *Policy) forbidden(x *Exchange, cc cacheControl) Reason {
	switch {
	case cc.has(ccNoStore):
		return ReasonNoStore
	case cc.has(ccPrivate):
		return ReasonPrivate
	case cc.has(ccNoCache), !cc.anySet() && hasToken(x.Header, "Pragma", "no-cache"):
		return ReasonNoCache
	case len(x.Header["Set-Cookie"]) > 0:
		// RFC 9111 leaves it to the origin; an origin that forgets must not cost a visitor his session.
		return ReasonSetCookie
	case !storableStatus(x.Status):
		return ReasonStatus
	case !variesOnlyBy(x.Header, "Accept-Encoding", "Cookie"):
		// A fill is sent without cookies and only for requests without personal ones, and asks for no content coding:
		// those two fields have the same value in every request that shares the page.
		return ReasonVary
	case !codingKnown(x.Header):
		return ReasonEncoding
	case p.MaxBody > 0 && x.BodyLen > p.MaxBody:
		return ReasonTooLarge
	}
	return ReasonNone
}

// Confined tells whether a response calls itself one client's own or not to be kept.
func Confined(h http.Header) bool {
	return parseCacheControl(strings.Join(h.Values("Cache-Control"), ",")).has(ccNoStore | ccPrivate)
}

// storableStatus lists the statuses that are cacheable by heuristics (RFC 9110, section 15.1) less 206, which is part of
// a page. Others would need explicit freshness and an understanding of the status.
func storableStatus(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501:
		return true
	}
	return false
}

func (c cacheControl) anySet() bool { return c.set != 0 }

// lifetime is the freshness lifetime (RFC 9111, section 4.2.1), the operator's TTL, or a heuristic one (4.2.2).
func (p *Policy) lifetime(now time.Time, x *Exchange, cc cacheControl) (time.Duration, Reason) {
	if cc.has(ccInvalid) {
		return 0, ReasonInvalid
	}
	switch expires := x.Header.Values("Expires"); {
	case cc.has(ccSMaxAge):
		return cc.sMaxAge, ReasonNone
	case cc.has(ccMaxAge):
		return cc.maxAge, ReasonNone
	case len(expires) > 0:
		at, err := http.ParseTime(expires[0])
		if err != nil || len(expires) > 1 && expires[1] != expires[0] {
			return 0, ReasonExpired // an invalid date, "0" above all, is a time in the past (5.3)
		}
		return at.Sub(date(now, x.Header)), ReasonNone
	case p.TTL > 0 && x.Status == http.StatusOK && isHTML(x.Header):
		return p.TTL, ReasonNone
	}
	return heuristic(now, x.Header)
}

// maxHeuristic bounds a lifetime that nobody stated.
const maxHeuristic = time.Hour

// heuristic is a tenth of the time since the last modification (RFC 9111, section 4.2.2), an hour at most.
func heuristic(now time.Time, h http.Header) (time.Duration, Reason) {
	modified, err := http.ParseTime(h.Get("Last-Modified"))
	if err != nil {
		return 0, ReasonNoFreshness
	}
	if since := date(now, h).Sub(modified); since > 0 {
		return min(since/10, maxHeuristic), ReasonNone
	}
	return 0, ReasonNoFreshness
}

// stale is how long past its freshness the page may be served on failure. must-revalidate, proxy-revalidate and
// s-maxage forbid it (RFC 9111, sections 5.2.2.2, 5.2.2.8 and 5.2.2.10).
func (p *Policy) stale(cc cacheControl) time.Duration {
	switch {
	case cc.has(ccMustRevalidate | ccProxyRevalidate | ccSMaxAge):
		return 0
	case cc.has(ccStaleIfError):
		return cc.staleIfError
	}
	return p.Stale
}

// initialAge is corrected_initial_age (RFC 9111, section 4.2.3).
func initialAge(now time.Time, x *Exchange) time.Duration {
	apparent := max(0, now.Sub(date(now, x.Header)))
	var told time.Duration
	if v := x.Header.Get("Age"); v != "" {
		told, _ = deltaSeconds(strings.TrimSpace(v))
	}
	return max(apparent, told+x.Delay).Truncate(time.Second)
}

// date is the response's Date, or now where it has none or an invalid one (RFC 9110, section 6.6.1).
func date(now time.Time, h http.Header) time.Time {
	if t, err := http.ParseTime(h.Get("Date")); err == nil {
		return t
	}
	return now
}

func isHTML(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (media == "text/html" || media == "application/xhtml+xml") && len(h["Content-Type"]) == 1
}

// codingKnown tells whether the body is plain or gzip: gzip can be told to nginx by a flag, and undone for a client that
// does not take it.
func codingKnown(h http.Header) bool {
	switch coding := strings.Join(h.Values("Content-Encoding"), ","); {
	case coding == "", strings.EqualFold(coding, "gzip"), strings.EqualFold(coding, "identity"):
		return true
	}
	return false
}

// variesOnlyBy tells whether Vary names no other request fields than the given ones.
func variesOnlyBy(h http.Header, allowed ...string) bool {
	return eachToken(h, "Vary", func(token string) bool {
		for _, name := range allowed {
			if strings.EqualFold(token, name) {
				return true
			}
		}
		return false
	})
}

func hasToken(h http.Header, field, token string) bool {
	return !eachToken(h, field, func(t string) bool { return !strings.EqualFold(t, token) })
}

// eachToken calls fn with the items of a list field until it returns false, and tells whether it never did.
func eachToken(h http.Header, field string, fn func(string) bool) bool {
	for _, value := range h.Values(field) {
		for value != "" {
			var item string
			if item, value = cutListItem(value); item != "" && !fn(item) {
				return false
			}
		}
	}
	return true
}
