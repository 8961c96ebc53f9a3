package door

import (
	"net/http"
	"strings"

	"pagegate/internal/policy"
)

// notModified evaluates a request's conditions against a 200 answer (RFC 9110, section 13.2.2): If-None-Match by weak
// comparison, else If-Modified-Since. etag and modified are the answer's fields, "" for none.
func notModified(f policy.Fields, etag, modified string) bool {
	if list := f.Field("If-None-Match"); list != "" {
		return etag != "" && matches(list, etag)
	}
	since := f.Field("If-Modified-Since")
	if since == "" || modified == "" {
		return false
	}
	if since == modified {
		return true
	}
	s, err := http.ParseTime(since)
	if err != nil {
		return false
	}
	m, err := http.ParseTime(modified)
	return err == nil && !m.After(s)
}

// matches tells whether a list of entity tags holds etag, weak or strong (RFC 9110, section 8.8.3.2).
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

// acceptsGzip tells whether an Accept-Encoding field allows gzip (RFC 9110, section 12.5.3). A request without the field
// would allow any coding; it gets the plain body, which nobody fails to read.
func acceptsGzip(value string) bool {
	any := false
	for value != "" {
		var item string
		item, value, _ = strings.Cut(value, ",")
		coding, weight, _ := strings.Cut(item, ";")
		coding = strings.TrimSpace(coding)
		refused := zeroWeight(weight)
		switch {
		case strings.EqualFold(coding, "gzip"), strings.EqualFold(coding, "x-gzip"):
			return !refused
		case coding == "*":
			any = !refused
		}
	}
	return any
}

// zeroWeight tells whether a `q=` parameter is zero (RFC 9110, section 12.4.2).
func zeroWeight(parameter string) bool {
	q, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(parameter)), "q=")
	return ok && q != "" && strings.Trim(q, "0.") == "" && strings.HasPrefix(q, "0")
}
