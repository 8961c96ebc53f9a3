package policy

import (
	"net/http"
	"slices"
	"strings"
)

// normalised are the request fields that have the same value in every request that shares a page: a fill asks for no
// content coding, and is sent without cookies and credentials, only for requests that have none that matter.
var normalised = []string{"Accept-Encoding", "Cookie", "Authorization"}

// VaryNames returns the request fields that a response depends on besides those that fills make alike and those that the
// page key has already: canonical, in order, each once. ok is false when it depends on more than fields ("*"), or a name
// is none (RFC 9110, section 12.5.5).
func VaryNames(h http.Header, keyed []string) (names []string, ok bool) {
	ok = eachToken(h, "Vary", func(token string) bool {
		if token == "*" || !isToken(token) {
			return false
		}
		name := http.CanonicalHeaderKey(token)
		if !slices.Contains(normalised, name) && !slices.Contains(keyed, name) && !slices.Contains(names, name) {
			names = append(names, name)
		}
		return true
	})
	slices.Sort(names)
	return names, ok
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

func hasToken(h http.Header, field, token string) bool {
	return !eachToken(h, field, func(t string) bool { return !strings.EqualFold(t, token) })
}
