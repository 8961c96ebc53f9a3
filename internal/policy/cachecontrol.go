package policy

import (
	"strings"
	"time"
)

// directive is a set of the Cache-Control directives that are looked at (RFC 9111, section 5.2.2; RFC 5861; RFC 8246).
type directive uint16

const (
	ccNoStore directive = 1 << iota
	ccPrivate
	ccNoCache
	ccPublic
	ccMaxAge
	ccSMaxAge
	ccMustRevalidate
	ccProxyRevalidate
	ccStaleIfError
	ccInvalid // a delta-seconds that is none, or given twice with different values
	ccOther   // a directive that changes what a browser does with the answer and that is none of the above
)

// cacheControl is a parsed Cache-Control field.
type cacheControl struct {
	set                           directive
	maxAge, sMaxAge, staleIfError time.Duration
}

func (c cacheControl) has(d directive) bool { return c.set&d != 0 }

// maxDelta is what a larger delta-seconds counts as (RFC 9111, section 1.2.2: 2^31 seconds).
const maxDelta = (1 << 31) * time.Second

// parseCacheControl reads the joined values of Cache-Control (RFC 9111, section 5.2): a comma-separated list of
// directives, names without regard to case, arguments as tokens or quoted strings. It allocates nothing.
func parseCacheControl(value string) (c cacheControl) {
	for value != "" {
		var item string
		item, value = cutListItem(value)
		name, arg, hasArg := strings.Cut(item, "=")
		name = strings.TrimSpace(name)
		arg = strings.Trim(strings.TrimSpace(arg), `"`)
		switch {
		case name == "":
		case strings.EqualFold(name, "no-store"):
			c.set |= ccNoStore
		case strings.EqualFold(name, "private"):
			// The form with field names would let the rest be stored; it is treated as the plain form (allowed by 5.2.2.7).
			c.set |= ccPrivate
		case strings.EqualFold(name, "no-cache"):
			c.set |= ccNoCache
		case strings.EqualFold(name, "public"):
			c.set |= ccPublic
		case strings.EqualFold(name, "must-revalidate"):
			c.set |= ccMustRevalidate
		case strings.EqualFold(name, "proxy-revalidate"):
			c.set |= ccProxyRevalidate
		case strings.EqualFold(name, "max-age"):
			c.delta(ccMaxAge, &c.maxAge, arg, hasArg)
		case strings.EqualFold(name, "s-maxage"):
			c.delta(ccSMaxAge, &c.sMaxAge, arg, hasArg)
		case strings.EqualFold(name, "stale-if-error"):
			c.delta(ccStaleIfError, &c.staleIfError, arg, hasArg)
		case strings.EqualFold(name, "immutable"), strings.EqualFold(name, "stale-while-revalidate"):
		default:
			c.set |= ccOther
		}
	}
	return c
}

// delta stores a directive's seconds. A value that cannot be read, or two that differ, make the response stale
// (RFC 9111, section 4.2.1).
func (c *cacheControl) delta(d directive, to *time.Duration, arg string, hasArg bool) {
	n, ok := deltaSeconds(arg)
	if !hasArg || !ok || c.has(d) && *to != n {
		c.set |= ccInvalid
		return
	}
	c.set |= d
	*to = n
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
			return strings.TrimSpace(list[:i]), list[i+1:]
		}
	}
	return strings.TrimSpace(list), ""
}
