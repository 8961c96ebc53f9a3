package door

import (
	"net/http"
	"strings"
)

// notModified evaluates a request's conditions against a 200 answer (RFC 9110, section 13.2.2): If-None-Match by weak
// comparison, else If-Modified-Since. etag and modified are the answer's fields, "" for none; for an answer from the cache
// without Last-Modified, modified is its Date (RFC 9111, section 4.3.2).
func (f *fields) notModified(etag, modified string) bool {
	if f.ifNoneMatch != "" {
		return matches(f.ifNoneMatch, etag)
	}
	if f.ifModifiedSince == "" || modified == "" {
		return false
	}
	return f.ifModifiedSince == modified || notAfter(modified, f.ifModifiedSince)
}

// notAfter tells whether two dates are valid and the first is not later than the second.
func notAfter(first, second string) bool {
	a, err := http.ParseTime(first)
	if err != nil {
		return false
	}
	b, err := http.ParseTime(second)
	return err == nil && !a.After(b)
}

// matches tells whether a list of entity tags holds etag, weak or strong (RFC 9110, section 8.8.3.2). "*" matches any
// page, with or without a tag.
func matches(list, etag string) bool {
	etag = strings.TrimPrefix(etag, "W/")
	for list != "" {
		list = strings.TrimLeft(list, " \t,")
		if strings.HasPrefix(list, "*") {
			return true
		}
		tag := strings.TrimPrefix(list, "W/")
		if !strings.HasPrefix(tag, `"`) {
			return false // no entity tag: the rest of the list cannot be trusted
		}
		end := strings.IndexByte(tag[1:], '"')
		if end < 0 {
			return false
		}
		if tag[:end+2] == etag {
			return true
		}
		list = tag[end+2:]
	}
	return false
}
