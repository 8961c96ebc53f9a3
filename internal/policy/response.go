package policy

import (
	"net/http"
	"slices"
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
	Store  bool
	Reason Reason // why not, when Store is false
	// Share says that the response may answer other requests that are waiting for it. A stored one that may not be used
	// again without asking the backend (no-cache, max-age=0) is kept to be validated only.
	Share bool

	FreshUntil   time.Time
	StaleUntil   time.Time // for when the backend fails; never before FreshUntil
	RefreshUntil time.Time // for stale-while-revalidate; never before FreshUntil
	InitialAge   time.Duration
	NoStale      bool // never to be used past FreshUntil
	Immutable    bool
	Vary         []string // request fields that the page depends on; none for most

	NginxReadable bool   // with Store: the body may stand where nginx reads it
	NginxReason   Reason // why not, when Store is true and NginxReadable is not
}

// Response decides whether the response of a shared fill is stored, and for how long (RFC 9111, section 3).
func (p *Policy) Response(now time.Time, x *Exchange) Decision {
	cc := effective(x.Header)
	vary, variesByFields := VaryNames(x.Header, p.Keyed)
	why := p.forbidden(x, &cc)
	if why == ReasonNone && !variesByFields {
		why = ReasonVary
	}
	if why != ReasonNone {
		return Decision{Reason: why}
	}
	lifetime, why := p.lifetime(now, x, &cc)
	if cc.has(ccNoCache) || !cc.has(ccTargeted) && !cc.any() && hasToken(x.Header, "Pragma", "no-cache") {
		lifetime, why = 0, ReasonNoCache
		cc.set |= ccNoCache
	}
	d := Decision{Store: true, InitialAge: initialAge(now, x), Vary: vary, Immutable: cc.has(ccImmutable)}
	d.FreshUntil = now.Add(lifetime - d.InitialAge)
	d.NoStale = cc.has(ccMustRevalidate | ccProxyRevalidate | ccSMaxAge | ccNoCache)
	d.StaleUntil = d.FreshUntil.Add(p.stale(&cc, &d))
	d.RefreshUntil = d.FreshUntil.Add(p.refresh(&cc, &d))
	d.Share = now.Before(d.FreshUntil)
	if !d.Share && !p.worthKeeping(now, x, &cc, &d, why) {
		return Decision{Reason: why}
	}
	if d.NginxReason = p.Nginx.refuses(x); !d.Share {
		d.NginxReason = ReasonNginxStale
	}
	d.NginxReadable = d.NginxReason == ReasonNone
	return d
}

// worthKeeping tells whether a response that is stale on arrival is kept: to be validated, or because it says itself
// that it may be served stale.
func (p *Policy) worthKeeping(now time.Time, x *Exchange, cc *cacheControl, d *Decision, why Reason) bool {
	if why == ReasonInvalid || why == ReasonStatus {
		return false
	}
	validatable := x.Header.Get("Etag") != "" || x.Header.Get("Last-Modified") != ""
	return validatable || now.Before(d.RefreshUntil) || cc.has(ccStaleIfError) && now.Before(d.StaleUntil)
}

// forbidden holds the rules that keep a response out whatever its freshness.
func (p *Policy) forbidden(x *Exchange, cc *cacheControl) Reason {
	switch {
	case cc.has(ccNoStore) && !(cc.has(ccMustUnderstand) && understood(x.Status)): // RFC 9111, section 5.2.2.3
		return ReasonNoStore
	case cc.has(ccPrivate):
		return ReasonPrivate
	case len(x.Header["Set-Cookie"]) > 0 && !slices.Contains(cc.fields, "Set-Cookie"):
		// RFC 9111 leaves it to the origin; an origin that forgets must not cost a visitor his session. One that names
		// the field (private="Set-Cookie") has not forgotten: the page is kept without it.
		return ReasonSetCookie
	case x.Status < 200, x.Status == http.StatusPartialContent, x.Status == http.StatusNotModified,
		cc.has(ccMustUnderstand) && !understood(x.Status):
		return ReasonStatus
	case !codingFits(x.Header):
		return ReasonEncoding
	case p.MaxBody > 0 && x.BodyLen > p.MaxBody:
		return ReasonTooLarge
	}
	return ReasonNone
}

// Confined tells whether a response calls itself one client's own or not to be kept.
func Confined(h http.Header) bool {
	cc := effective(h)
	return cc.has(ccNoStore | ccPrivate)
}

func (c *cacheControl) any() bool { return c.set != 0 || len(c.fields) > 0 }

// stale is how long past its freshness the page may be served on failure. must-revalidate, proxy-revalidate, s-maxage
// and no-cache forbid it (RFC 9111, section 4.2.4).
func (p *Policy) stale(cc *cacheControl, d *Decision) time.Duration {
	switch {
	case d.NoStale:
		return 0
	case cc.has(ccStaleIfError):
		return cc.staleIfError
	}
	return p.Stale
}

// refresh is how long past its freshness the page may be served while it is fetched anew (RFC 5861, section 3).
func (p *Policy) refresh(cc *cacheControl, d *Decision) time.Duration {
	switch {
	case d.NoStale:
		return 0
	case cc.has(ccStaleWhileRevalidate):
		return cc.staleWhileRevalidate
	}
	return p.Refresh
}

// codingFits tells whether the body's coding is everybody's. gzip can be told to nginx by a flag, and undone for a client
// that does not take it. Any other came although none was asked for: the backend sends it to all, unless it says that it
// looks at what clients take.
func codingFits(h http.Header) bool {
	return plainOrGzip(h) || !hasToken(h, "Vary", "Accept-Encoding")
}

func plainOrGzip(h http.Header) bool {
	coding := strings.Join(h.Values("Content-Encoding"), ",")
	return coding == "" || strings.EqualFold(coding, "gzip") || strings.EqualFold(coding, "identity")
}
