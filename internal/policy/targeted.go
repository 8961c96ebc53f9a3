package policy

import (
	"time"

	"github.com/dunglas/httpsfv"
)

// parseTargeted reads CDN-Cache-Control (RFC 9213): a structured dictionary of the directives of Cache-Control. ok is
// false when there is none, and when it is not valid or gives a directive a value of the wrong type: then it is as if it
// were not there (section 2.1).
func parseTargeted(values []string) (c cacheControl, ok bool) {
	if len(values) == 0 {
		return c, false
	}
	dict, err := httpsfv.UnmarshalDictionary(values)
	if err != nil || len(dict.Names()) == 0 {
		return c, false
	}
	c.set = ccTargeted
	for _, name := range dict.Names() {
		member, _ := dict.Get(name)
		item, isItem := member.(httpsfv.Item)
		if !isItem {
			return cacheControl{}, false
		}
		if !c.addTargeted(name, item.Value) {
			return cacheControl{}, false
		}
	}
	return c, true
}

// addTargeted takes one member in and tells whether its type is the directive's.
func (c *cacheControl) addTargeted(name string, value any) bool {
	switch name {
	case "max-age":
		return c.seconds(ccMaxAge, &c.maxAge, value)
	case "s-maxage":
		return c.seconds(ccSMaxAge, &c.sMaxAge, value)
	case "stale-if-error":
		return c.seconds(ccStaleIfError, &c.staleIfError, value)
	case "stale-while-revalidate":
		return c.seconds(ccStaleWhileRevalidate, &c.staleWhileRevalidate, value)
	case "private", "no-cache":
		if names, isString := value.(string); isString {
			c.add(listed{name: name, arg: names})
			return true
		}
	}
	switch v := value.(type) {
	case bool:
		if v {
			c.add(listed{name: name})
		}
		return true
	default:
		d := cacheControl{}
		d.add(listed{name: name})
		return d.has(ccOther) // an extension may have any type
	}
}

func (c *cacheControl) seconds(bit directive, to *time.Duration, value any) bool {
	n, ok := value.(int64)
	if !ok || n < 0 {
		return false
	}
	c.set |= bit
	*to = min(time.Duration(min(n, int64(maxDelta/time.Second)))*time.Second, maxDelta)
	return true
}
