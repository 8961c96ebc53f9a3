package fill

import (
	"net/http"
	"strings"
)

// address is a backend's own, by which visitors cannot reach it. A response that names it would send them there; what they are
// told instead is the place alone, which is on whatever host they have asked: a redirect may be kept, and is then for the
// visitors of all hosts. RFC 9110 allows references without a host in Location (section 10.2.2) and Content-Location (section
// 8.7). nginx does so too (proxy_redirect), but for Content-Location.
type address struct {
	schemes []string // its own, and the one that it is told visitors use
	host    string   // as plainHost makes it; "" for a backend without an address
}

// newAddress reads "scheme://host:port". scheme is the visitors'.
func newAddress(own, scheme string) address {
	its, host, ok := strings.Cut(own, "://")
	if !ok {
		return address{}
	}
	return address{schemes: []string{its, scheme}, host: plainHost(its, host)}
}

// plainHost is an authority as it is compared: in lower case, without the port that its scheme has anyway.
func plainHost(scheme, authority string) string {
	host := strings.ToLower(authority)
	switch strings.ToLower(scheme) {
	case "http":
		host = strings.TrimSuffix(host, ":80")
	case "https":
		host = strings.TrimSuffix(host, ":443")
	}
	return strings.TrimSuffix(host, ":")
}

// conceal takes the address out of a response's fields.
func (a *address) conceal(h http.Header) {
	if a.host == "" {
		return
	}
	for _, name := range []string{"Location", "Content-Location"} {
		for i, reference := range h[name] {
			h[name][i] = a.place(reference)
		}
	}
	for i, v := range h["Refresh"] {
		at := urlOfRefresh(v)
		h["Refresh"][i] = v[:at] + a.place(v[at:])
	}
}

// place is a reference without the address, if it begins with it, in the form "/path?query".
func (a *address) place(reference string) string {
	scheme, rest, _ := strings.Cut(reference, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	if !a.speaks(scheme) || plainHost(scheme, rest[:end]) != a.host {
		return reference
	}
	place := rest[end:]
	switch {
	case !strings.HasPrefix(place, "/"):
		return "/" + place
	case len(place) > 1 && (place[1] == '/' || place[1] == '\\' || place[1] <= ' '):
		// Browsers would take what follows for a host: they read \ as /, and pass over tabs.
		return "/." + place
	}
	return place
}

// speaks tells whether references by that scheme can be the backend's own.
func (a *address) speaks(scheme string) bool {
	for _, own := range a.schemes {
		if strings.EqualFold(scheme, own) {
			return true
		}
	}
	return false
}

// urlOfRefresh returns where the reference begins in a Refresh field, "5; url=/a" or "5; url='/a'": its end where there is none.
func urlOfRefresh(v string) int {
	const name = "url="
	for i := range len(v) - len(name) + 1 {
		if !strings.EqualFold(v[i:i+len(name)], name) {
			continue
		}
		at := i + len(name)
		if at < len(v) && (v[at] == '\'' || v[at] == '"') {
			at++
		}
		return at
	}
	return len(v)
}
