package origin

import (
	"net/http"
	"strings"
)

// StripHopByHop removes from h the fields that belong to one connection and must not be forwarded (RFC 9110, section
// 7.6.1): Connection and those that it names, Keep-Alive, TE, Transfer-Encoding, Upgrade, and Proxy-*. Every Origin
// does it to requests and responses by itself.
//
// Fields that concern everybody on the way stay even if Connection names them (the RFC forbids to). Otherwise a
// client could take away what was put there about him: his address in X-Forwarded-For, say, or the cookie that keeps
// a page out of the cache.
func StripHopByHop(h http.Header) {
	for name, values := range h {
		if !strings.EqualFold(name, "Connection") {
			continue
		}
		for _, v := range values {
			for option := range strings.SplitSeq(v, ",") {
				option = http.CanonicalHeaderKey(strings.Trim(option, " \t"))
				if !endToEnd(option) {
					h.Del(option)
				}
			}
		}
	}
	for name := range h {
		if hopByHop(http.CanonicalHeaderKey(name)) {
			delete(h, name)
		}
	}
}

// hopByHop tells whether a field, by its canonical name, belongs to one connection whether Connection names it or not.
// "Proxy" is no field of HTTP's, but CGI programs take it for their own proxy setting.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Te", "Transfer-Encoding", "Upgrade", "Proxy":
		return true
	}
	return strings.HasPrefix(name, "Proxy-")
}

// endToEnd tells whether a field, by its canonical name, is for all recipients, so that Connection cannot name it.
func endToEnd(name string) bool {
	switch name {
	case "Age", "Authorization", "Cache-Control", "Cookie", "Date", "Etag", "Expires", "Forwarded", "Host", "Last-Modified",
		"Location", "Pragma", "Range", "Set-Cookie", "Trailer", "Vary", "Via", "Www-Authenticate", "X-Real-Ip":
		return true
	}
	for _, prefix := range []string{"Content-", "If-", "X-Forwarded-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// cleanFields makes received fields fit to be passed on: hop-by-hop ones and those whose name is no token go, and a
// control byte that would end a field early elsewhere becomes a space (RFC 9110, section 5.5).
func cleanFields(h http.Header) {
	StripHopByHop(h)
	for name, values := range h {
		if !isToken(name) {
			delete(h, name)
			continue
		}
		for i, v := range values {
			if strings.ContainsAny(v, "\r\n\x00") {
				values[i] = breaks.Replace(v)
			}
		}
	}
}

var breaks = strings.NewReplacer("\r", " ", "\n", " ", "\x00", " ")
