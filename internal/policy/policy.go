// Package policy decides, for both doors, who may share a page and whether a response may be stored, for how long, and
// where. It is pure: the time goes in, a decision with its reason comes out; nothing is read, kept or sent.
//
// The rules are RFC 9111's for a shared cache, narrowed where a mistake would show one visitor's page to another (each
// departure is argued where it is made and listed in docs/design.md), and widened in one place: Policy.TTL lets plain
// anonymous HTML be stored although its backend says nothing about freshness, since most page backends say nothing.
package policy

import (
	"net/http"
	"slices"
	"time"

	"pagegate/internal/glob"
)

// Policy is the operator's part of the rules. It is not changed after its first use, and then any number of goroutines
// may use it at once.
type Policy struct {
	// Name is the path rule that this is the policy of, DefaultRule for none; it labels metrics and logs.
	Name string
	// Bypass makes every request a pass.
	Bypass bool
	// TTL is how long plain anonymous HTML without any freshness of its own is fresh; 0 keeps such pages out.
	TTL time.Duration
	// AnyType lets TTL hold for responses of any type, not HTML only: the operator has named their paths.
	AnyType bool
	// StatusTTL is how long responses of other statuses without any freshness of their own are fresh.
	StatusTTL map[int]time.Duration
	// Stale is how long after its freshness a page may still be served when the backend fails, where the response
	// itself does not say (stale-if-error, RFC 5861) and does not forbid it; 0 for never.
	Stale time.Duration
	// Refresh is how long after its freshness a page is still served while one request fetches it anew, where the
	// response itself does not say (stale-while-revalidate, RFC 5861) and does not forbid it; 0 for never.
	Refresh time.Duration
	// ClientControl obeys a request's Cache-Control (no-cache, max-age, min-fresh, max-stale, stale-if-error), which is
	// advice to a cache (RFC 9111, section 5.2.1). Without it a reload does not reach the backend; no-store and
	// only-if-cached, which cost the backend nothing, are obeyed always.
	ClientControl bool
	// AllFields sends a shared fill with the fields of the request that caused it, less what is personal and what is
	// known to poison pages, and so relies on the backend's Vary. Without it a fill carries only fields that cannot
	// shape a page, and those that the backend has been seen to vary by.
	AllFields bool
	// MaxBody is the largest body in bytes that is stored; 0 for no bound of the policy's own.
	MaxBody int64
	// Cookies tells which cookies make a request personal. The zero value: every cookie does.
	Cookies CookieRule
	// Keyed are the request fields, by canonical name, whose part in a page the page key has already: a response that
	// varies by them needs no variants.
	Keyed []string
	// Nginx is what the operator's nginx configuration gives by itself to an answer from the cache.
	Nginx NginxView
	// Rules are the policies of some paths; the first that matches holds in place of this one. They have no rules of
	// their own.
	Rules []Rule
}

// DefaultRule is the name of the policy of all paths that no rule has.
const DefaultRule = "default"

// Rule is the policy of some paths.
type Rule struct {
	// Paths are patterns of nginx's $uri, the decoded path; `*` stands for any bytes, slashes included.
	Paths  []string
	Policy *Policy
}

// For returns the policy of a path, which is nginx's $uri. It allocates nothing.
func (p *Policy) For(uri string) *Policy {
	for i := range p.Rules {
		if glob.Any(p.Rules[i].Paths, uri) {
			return p.Rules[i].Policy
		}
	}
	return p
}

// Names returns the names of the policy and its rules.
func (p *Policy) Names() []string {
	names := []string{p.Name}
	for _, r := range p.Rules {
		if !slices.Contains(names, r.Policy.Name) {
			names = append(names, r.Policy.Name)
		}
	}
	return names
}

// ttl is the operator's lifetime for a response without one of its own.
func (p *Policy) ttl(x *Exchange) time.Duration {
	if x.Status != http.StatusOK {
		return p.StatusTTL[x.Status]
	}
	if p.AnyType || isHTML(x.Header) {
		return p.TTL
	}
	return 0
}

// Reason is a constant that names why a decision fell as it did; it labels metrics, logs and Cache-Status details.
type Reason string

// Reasons why a request is a pass.
const (
	ReasonNone          Reason = ""
	ReasonRule          Reason = "rule"             // a path rule of the operator's
	ReasonMethod        Reason = "method"           // neither GET nor HEAD
	ReasonRequestBody   Reason = "request-body"     // a GET with a body: what it means is the backend's affair (RFC 9110, 9.3.1)
	ReasonAuthorization Reason = "authorization"    // RFC 9111, 3.5
	ReasonCookie        Reason = "cookie"           // a cookie that may tell one visitor from another
	ReasonConditional   Reason = "conditional"      // If-Match, If-Unmodified-Since: the backend's to judge (RFC 9111, 4.3.2)
	ReasonRequestStore  Reason = "request-no-store" // RFC 9111, 5.2.1.5
	ReasonHost          Reason = "host"             // a host that is not configured would decide what others see
	ReasonUnstorable    Reason = "unstorable"       // a fill of this key was not storable a moment ago
	ReasonSpelling      Reason = "spelling"         // the target is not the one that its key stands for (pagekey.Canonical)
)

// Reasons why a response is not stored.
const (
	ReasonStatus      Reason = "status"        // not a status that is stored without being told to, a partial one, or one not understood
	ReasonNoStore     Reason = "no-store"      // RFC 9111, 5.2.2.5
	ReasonPrivate     Reason = "private"       // RFC 9111, 5.2.2.7
	ReasonNoCache     Reason = "no-cache"      // RFC 9111, 5.2.2.4, and nothing to validate it by
	ReasonSetCookie   Reason = "set-cookie"    // RFC 9111, 7.3, taken strictly
	ReasonVary        Reason = "vary"          // RFC 9111, 4.1: it varies by more than request fields
	ReasonEncoding    Reason = "encoding"      // a content coding that was not asked for, of several that the backend has
	ReasonNoFreshness Reason = "no-freshness"  // RFC 9111, 3: nothing says how long
	ReasonExpired     Reason = "expired"       // stale on arrival
	ReasonTooLarge    Reason = "too-large"     // over MaxBody
	ReasonInvalid     Reason = "invalid-field" // a freshness field that cannot be parsed (RFC 9111, 4.2.1)
)

// Reasons why a stored page stays out of the place that nginx reads.
const (
	ReasonNginxStatus Reason = "nginx-status" // nginx answers 200 from the cache, always
	ReasonNginxOnly   Reason = "nginx-only"   // a type that the operator keeps out of that place
	ReasonNginxType   Reason = "nginx-type"   // nginx would give another Content-Type for this URL
	ReasonNginxField  Reason = "nginx-field"  // a field that nginx would lose
	ReasonNginxVary   Reason = "nginx-vary"   // a Vary that nginx would lose
	ReasonNginxStale  Reason = "nginx-stale"  // the backend has to be asked before each use
)
