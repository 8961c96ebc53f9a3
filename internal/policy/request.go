package policy

import (
	"strings"

	"pagegate/internal/glob"
)

// Fields gives the values of request fields by their canonical names, several of one name joined as the field's
// definition says (", ", for Cookie "; "), "" when absent. It lets the hot path ask without building a header map.
type Fields interface{ Field(name string) string }

// Request tells whether a request may share a page with others (RFC 9111, sections 3.5, 4 and 5.2.1): share is true when
// it may be answered from the cache and take part in a shared fill, else why says what makes it a pass. hasBody tells
// whether the request carries content. wishes is what the request asks of a cache. Nothing is allocated.
func (p *Policy) Request(method string, hasBody bool, f Fields) (share bool, why Reason, wishes Wishes) {
	switch {
	case method != "GET" && method != "HEAD":
		return false, ReasonMethod, wishes
	case hasBody:
		return false, ReasonRequestBody, wishes
	case p.Bypass:
		return false, ReasonRule, wishes
	case f.Field("Authorization") != "":
		return false, ReasonAuthorization, wishes
	case p.Cookies.Personal(f.Field("Cookie")):
		return false, ReasonCookie, wishes
	case f.Field("If-Match") != "" || f.Field("If-Unmodified-Since") != "":
		return false, ReasonConditional, wishes
	}
	cc, pragma := f.Field("Cache-Control"), f.Field("Pragma")
	if cc == "" && pragma == "" {
		return true, ReasonNone, wishes
	}
	if wishes = ParseWishes(cc, pragma); wishes.NoStore {
		return false, ReasonRequestStore, wishes
	}
	return true, ReasonNone, wishes
}

// CookieRule tells which cookies make a request personal. The zero value: every one.
type CookieRule struct {
	exact    map[string]struct{}
	prefixes []string
	personal []string // if not nil only these are
}

// NewCookieRule makes a rule by which all cookies are personal but those that it is given: names, or the start of one
// followed by `*`. Names are compared with regard to case, as user agents do (RFC 6265, section 5.3).
func NewCookieRule(anonymous []string) CookieRule {
	r := CookieRule{exact: make(map[string]struct{})}
	for _, pattern := range anonymous {
		if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
			r.prefixes = append(r.prefixes, prefix)
		} else {
			r.exact[pattern] = struct{}{}
		}
	}
	return r
}

// SessionCookies makes a rule by which only the cookies are personal whose names one of the patterns matches; `*` stands
// for any characters.
func SessionCookies(personal []string) CookieRule {
	return CookieRule{personal: append(make([]string, 0, len(personal)), personal...)}
}

// Personal tells whether a Cookie field's value holds a cookie that is personal. Where all but some are, so is whatever
// is no proper cookie pair.
func (r *CookieRule) Personal(cookie string) bool {
	for cookie != "" {
		var pair string
		pair, cookie, _ = strings.Cut(cookie, ";")
		pair = strings.Trim(pair, " \t")
		if pair != "" && r.personalPair(pair) {
			return true
		}
	}
	return false
}

func (r *CookieRule) personalPair(pair string) bool {
	name, _, ok := strings.Cut(pair, "=")
	if r.personal != nil {
		return glob.Any(r.personal, strings.TrimRight(name, " \t"))
	}
	return !ok || !r.anonymous(name)
}

func (r *CookieRule) anonymous(name string) bool {
	if _, ok := r.exact[name]; ok {
		return true
	}
	for _, prefix := range r.prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
