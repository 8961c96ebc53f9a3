package policy

import (
	"mime"
	"net/http"
	"slices"
	"strings"

	"pagegate/internal/pagekey"
)

// NginxView is what an nginx answer from the cache looks like for a given URL: always 200, the type that the
// configuration gives, and the fields that it adds. A page is readable by nginx only if that equals the backend's answer.
type NginxView struct {
	// Types maps a lower-case extension to the Content-Type of the location's `types` block.
	Types map[string]string
	// DefaultType is the location's `default_type`.
	DefaultType string
	// Adds are response fields that the location adds by itself (`add_header NAME VALUE always`), by canonical name: a
	// page that carries exactly that value loses nothing.
	Adds map[string]string
	// Only are the media types whose pages may stand where nginx reads; none for all.
	Only []string
}

// ContentType returns the type that nginx gives to a hit on that $uri.
func (v *NginxView) ContentType(uri string) string {
	if ext := pagekey.Extension(uri); ext != "" {
		if t, ok := v.Types[ext]; ok {
			return t
		}
	}
	return v.DefaultType
}

// refuses tells why nginx's answer from the bare body would not equal the backend's.
func (v *NginxView) refuses(x *Exchange) Reason {
	switch {
	case x.Status != http.StatusOK:
		return ReasonNginxStatus
	case len(x.Header["Content-Type"]) != 1 || !sameType(x.Header.Get("Content-Type"), v.ContentType(x.URI)):
		return ReasonNginxType
	case !v.only(x.Header.Get("Content-Type")):
		return ReasonNginxOnly
	case !variesOnlyBy(x.Header, "Accept-Encoding", "Cookie") && (len(x.Header["Vary"]) != 1 || v.Adds["Vary"] != x.Header.Get("Vary")):
		return ReasonNginxVary
	case browserMatters(x.Header), !plainOrGzip(x.Header):
		// Without the field a browser may reuse the page by its own heuristics, or cannot read it.
		return ReasonNginxField
	}
	for name, values := range x.Header {
		if !nginxMayLose[name] && (len(values) != 1 || v.Adds[name] != values[0]) {
			return ReasonNginxField
		}
	}
	return ReasonNone
}

// only tells whether pages of that content type may stand where nginx reads.
func (v *NginxView) only(contentType string) bool {
	media, _, _ := mime.ParseMediaType(contentType)
	return len(v.Only) == 0 || slices.Contains(v.Only, media)
}

// nginxMayLose lists the response fields without which a page is still the same page to its reader: nginx makes them
// anew (Date, Connection), they speak of the exchange and not of the page (Server, X-Request-Id), they only save a
// transfer (ETag), or they are checked elsewhere in this package. Any field that is not listed counts as one that
// matters: a policy that fails closed loses speed, never a security header.
var nginxMayLose = map[string]bool{
	"Accept-Ranges": true, "Age": true, "Cache-Control": true, "Cache-Tag": true,
	"Cdn-Cache-Control": true, "Connection": true, "Content-Encoding": true,
	"Content-Length": true, "Content-Type": true, "Date": true, "Etag": true, "Expires": true,
	"Host":          true, // PHP's own server sends it with every answer
	"Keep-Alive":    true,
	"Last-Modified": true, "Pragma": true, "Server": true, "Server-Timing": true, "Surrogate-Key": true, "Vary": true, "Via": true,
	"X-Cache": true, "X-Powered-By": true, "X-Request-Id": true, "X-Runtime": true, "X-Varnish": true,
}

// browserMatters tells whether the Cache-Control that browsers see, whatever another field says to this cache, restricts
// what they may do with the page.
func browserMatters(h http.Header) bool {
	cc := parseCacheControl(joined(h, "Cache-Control"))
	return len(cc.fields) > 0 ||
		cc.has(ccNoStore|ccPrivate|ccNoCache|ccMustRevalidate|ccProxyRevalidate|ccMustUnderstand|ccOther)
}

// sameType compares two media types: names and the charset without regard to case (RFC 9110, section 8.3), other
// parameters to the letter.
func sameType(a, b string) bool {
	if a == b && a != "" {
		return true
	}
	mediaA, paramsA, errA := mime.ParseMediaType(a)
	mediaB, paramsB, errB := mime.ParseMediaType(b)
	if errA != nil || errB != nil || mediaA != mediaB || len(paramsA) != len(paramsB) {
		return false
	}
	for name, value := range paramsA {
		other, ok := paramsB[name]
		if !ok || value != other && !(name == "charset" && strings.EqualFold(value, other)) {
			return false
		}
	}
	return true
}
