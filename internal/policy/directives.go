package policy

import (
	"net/http"
	"strings"
	"time"
)

// directive is a set of the cache directives of a response that are looked at (RFC 9111, section 5.2.2; RFC 5861;
// RFC 8246).
type directive uint32

const (
	ccNoStore directive = 1 << iota
	ccPrivate
	ccNoCache
	ccPublic
	ccMaxAge
	ccSMaxAge
	ccMustRevalidate
	ccProxyRevalidate
	ccMustUnderstand
	ccStaleIfError
	ccStaleWhileRevalidate
	ccImmutable
	ccInvalid  // a delta-seconds that is none, or given twice with different values
	ccOther    // a directive that changes what a browser does with the answer and that is none of the above
	ccTargeted // these are CDN-Cache-Control's
)

// cacheControl holds the directives that this cache obeys.
type cacheControl struct {
	set                                directive
	maxAge, sMaxAge                    time.Duration
	staleIfError, staleWhileRevalidate time.Duration
	// fields are the response fields that private="..." and no-cache="..." name, as they are written: they are not
	// kept (RFC 9111, sections 5.2.2.4 and 5.2.2.7).
	fields []string
}

func (c *cacheControl) has(d directive) bool { return c.set&d != 0 }

// effective returns the directives that hold for this cache: CDN-Cache-Control's if it is there and valid, else
// Cache-Control's (RFC 9213, section 2.2).
func effective(h http.Header) cacheControl {
	if cc, ok := parseTargeted(h["Cdn-Cache-Control"]); ok {
		return cc
	}
	return parseCacheControl(joined(h, "Cache-Control"))
}

func joined(h http.Header, name string) string {
	if values := h[name]; len(values) == 1 {
		return values[0]
	}
	return strings.Join(h[name], ",")
}

// maxDelta is what a larger delta-seconds counts as (RFC 9111, section 1.2.2: 2^31 seconds).
const maxDelta = (1 << 31) * time.Second

// parseCacheControl reads the joined values of a response's Cache-Control (RFC 9111, section 5.2): a comma-separated
// list of directives, names without regard to case, arguments as tokens or quoted strings.
func parseCacheControl(value string) (c cacheControl) {
	for value != "" {
		var d listed
		if d, value = cutDirective(value); d.name != "" {
			c.add(d)
		}
	}
	return c
}

// add takes one directive in.
func (c *cacheControl) add(d listed) {
	switch d.name {
	case "no-store":
		c.set |= ccNoStore
	case "private":
		c.confine(ccPrivate, d)
	case "no-cache":
		c.confine(ccNoCache, d)
	case "public":
		c.set |= ccPublic
	case "must-revalidate":
		c.set |= ccMustRevalidate
	case "proxy-revalidate":
		c.set |= ccProxyRevalidate
	case "must-understand":
		c.set |= ccMustUnderstand
	case "immutable":
		c.set |= ccImmutable
	case "max-age":
		c.delta(ccMaxAge, &c.maxAge, d)
	case "s-maxage":
		c.delta(ccSMaxAge, &c.sMaxAge, d)
	case "stale-if-error":
		c.delta(ccStaleIfError, &c.staleIfError, d)
	case "stale-while-revalidate":
		c.delta(ccStaleWhileRevalidate, &c.staleWhileRevalidate, d)
	default:
		c.set |= ccOther
	}
}

// confine takes in private or no-cache: for the whole response, or for the fields that the argument names. An argument
// that names none, or cannot be a list of names, is taken for the stricter form without one.
func (c *cacheControl) confine(whole directive, d listed) {
	var names []string
	for name := range strings.SplitSeq(d.arg, ",") {
		if name = strings.Trim(name, " \t"); name == "" {
			continue
		}
		if !isToken(name) {
			names = nil
			break
		}
		names = append(names, http.CanonicalHeaderKey(name))
	}
	if len(names) == 0 {
		c.set |= whole
		return
	}
	c.fields = append(c.fields, names...)
}

// delta stores a directive's seconds. A value that cannot be read, or two that differ, make the response stale
// (RFC 9111, section 4.2.1).
func (c *cacheControl) delta(bit directive, to *time.Duration, d listed) {
	n, ok := deltaSeconds(d.arg)
	if !ok || d.spaced || c.has(bit) && *to != n {
		c.set |= ccInvalid
		return
	}
	c.set |= bit
	*to = n
}

// listed is one directive of a list.
type listed struct {
	name   string // in lower case
	arg    string // without its quotes
	spaced bool   // there was white space around the equals sign, which the grammar does not allow
}

// cutDirective cuts the first directive off a list. It allocates nothing for the names that are sent in lower case.
func cutDirective(list string) (d listed, rest string) {
	item, rest := cutListItem(list)
	name, arg, hasArg := strings.Cut(item, "=")
	trimmed, value := strings.TrimRight(name, " \t"), strings.TrimLeft(arg, " \t")
	d.spaced = hasArg && (len(trimmed) != len(name) || len(value) != len(arg))
	d.name = strings.ToLower(trimmed)
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	d.arg = value
	return d, rest
}

func deltaSeconds(s string) (time.Duration, bool) {
	if s == "" {
		return 0, false
	}
	var n time.Duration
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		if n = n*10 + time.Duration(s[i]-'0'); n > maxDelta/time.Second {
			n = maxDelta / time.Second
		}
	}
	return n * time.Second, true
}

// cutListItem cuts the first item off a comma-separated list; commas inside a quoted string do not count.
func cutListItem(list string) (item, rest string) {
	quoted := false
	for i := 0; i < len(list); i++ {
		switch {
		case list[i] == '"':
			quoted = !quoted
		case list[i] == '\\' && quoted:
			i++
		case list[i] == ',' && !quoted:
			return strings.Trim(list[:i], " \t"), list[i+1:]
		}
	}
	return strings.Trim(list, " \t"), ""
}

// isToken tells whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}
