package door

import (
	"unsafe"

	"github.com/valyala/fasthttp"

	"pagegate/internal/pagekey"
	"pagegate/internal/policy"
)

// fields are the request fields that decide what a request gets, read in one pass over the head. Several of one name are
// joined as its definition says. The values alias the request and are valid while it is.
type fields struct {
	authorization, cookie        string
	cacheControl, pragma         string
	ifMatch, ifUnmodifiedSince   string
	ifNoneMatch, ifModifiedSince string
	ifRange, ranges              string
	acceptEncoding               string
	debug                        string
}

var _ policy.Fields = (*fields)(nil)

// read takes the fields from a request's head.
func (f *fields) read(h *fasthttp.RequestHeader) {
	*f = fields{}
	for name, value := range h.All() {
		to := f.at(alias(name))
		switch {
		case to == nil:
		case *to == "":
			*to = alias(value)
		case to == &f.cookie:
			*to += "; " + string(value)
		default:
			*to += ", " + string(value)
		}
	}
}

// at is where the values of a field go, by its canonical name; nil for a field that decides nothing.
func (f *fields) at(name string) *string {
	switch name {
	case "Authorization":
		return &f.authorization
	case "Cookie":
		return &f.cookie
	case "Cache-Control":
		return &f.cacheControl
	case "Pragma":
		return &f.pragma
	case "If-Match":
		return &f.ifMatch
	case "If-Unmodified-Since":
		return &f.ifUnmodifiedSince
	case "If-None-Match":
		return &f.ifNoneMatch
	case "If-Modified-Since":
		return &f.ifModifiedSince
	case "If-Range":
		return &f.ifRange
	case "Range":
		return &f.ranges
	case "Accept-Encoding":
		return &f.acceptEncoding
	case debugField:
		return &f.debug
	}
	return nil
}

// Field implements policy.Fields for the fields above.
func (f *fields) Field(name string) string {
	if at := f.at(name); at != nil {
		return *at
	}
	return ""
}

// keyFields lets the key's template read any field where it lies. It is one pointer, so that handing it over as an
// interface allocates nothing.
type keyFields struct{ h *fasthttp.RequestHeader }

var _ pagekey.Fields = keyFields{}

// AppendField implements pagekey.Fields.
func (f keyFields) AppendField(dst []byte, name string, n int) ([]byte, bool) {
	all := f.h.PeekAll(name)
	if n >= len(all) {
		return dst, false
	}
	return append(dst, all[n]...), true
}

// values returns a request's values of the named fields, those of one name joined by commas, "" for none.
func values(h *fasthttp.RequestHeader, names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		for j, v := range h.PeekAll(name) {
			if j > 0 {
				out[i] += ","
			}
			out[i] += string(v)
		}
	}
	return out
}

// alias gives bytes of a request as a string without copying them; it must not outlive the request.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
