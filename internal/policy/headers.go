package policy

import (
	"net/http"
	"slices"
	"strings"
)

// fillPasses lists the request fields that a shared fill takes over from the request that caused it, unless it takes
// over all. None can make the page another one: a client's fields are not part of the page key, so whatever the backend
// could build a page from is left out (X-Forwarded-Host and its kin, Accept-Language, User-Agent, every unknown field),
// and what is personal too.
var fillPasses = []string{"Traceparent", "X-Request-Id"}

// FillUserAgent is what a shared fill calls itself, since no client's name may shape a shared page.
const FillUserAgent = "pagegate"

// Via is what this intermediary adds to the requests that it makes (RFC 9110, section 7.6.3).
const Via = "1.1 " + FillUserAgent

// Values that all fills are sent with. Nobody changes them.
var anything, fillAgent, identity, via = []string{"*/*"}, []string{FillUserAgent}, []string{"identity"}, []string{Via}

// FillHeader returns the fields of a shared fill on behalf of a request with the fields h. scheme is what the operator
// says that clients use ("https" behind a TLS proxy): backends redirect for ever if it is not told. keyed names the
// fields that the page's key depends on, which are taken over: each of their values has pages of its own. device is the
// class of devices that the key depends on, "" for none.
func (p *Policy) FillHeader(h http.Header, scheme string, keyed []string, device string) http.Header {
	out := http.Header{"Accept": anything, "User-Agent": fillAgent}
	if p.AllFields {
		for name, values := range h {
			if !neverShared(name) {
				out[name] = values
			}
		}
	}
	for _, names := range [][]string{fillPasses, keyed} {
		for _, name := range names {
			if v := h[name]; len(v) > 0 {
				out[name] = v
			} else if slices.Contains(keyed, name) {
				delete(out, name)
			}
		}
	}
	if device != "" {
		out["User-Agent"] = []string{deviceAgent(device)}
		out[DeviceField] = []string{device}
	}
	out["Accept-Encoding"] = identity
	out["Via"] = via
	out["X-Forwarded-Proto"] = []string{scheme}
	return out
}

// DeviceField tells the backend the class of devices that a page is for.
const DeviceField = "X-Device"

// deviceAgent is the user agent that a fill names for a class of devices: one that every backend counts into that class,
// and that is the same for all its visitors.
func deviceAgent(device string) string {
	system := "X11; Linux x86_64"
	suffix := FillUserAgent
	switch device {
	case "mobile":
		system, suffix = "iPhone; CPU iPhone OS 18_0 like Mac OS X", "Mobile/15E148 "+FillUserAgent
	case "tablet":
		system = "iPad; CPU OS 18_0 like Mac OS X"
	}
	return "Mozilla/5.0 (" + system + ") AppleWebKit/605.1.15 (KHTML, like Gecko) " + suffix
}

// neverShared tells which request fields no shared fill carries: what is personal, what asks for less than the whole
// page, and what backends are known to build pages from without saying so in Vary.
func neverShared(name string) bool {
	switch name {
	case "Cookie", "Cookie2", "Authorization", "Range", "Expect", "Content-Type", "Content-Length", "Content-Encoding",
		"Forwarded", "Via", "From", "Front-End-Https", "True-Client-Ip", "Destination", "Base-Url", "Request-Uri",
		"Profile", "Client-Ip", DeviceField, "Fastly-Client-Ip", "Fastly-Host", "Cluster-Client-Ip", "Upgrade-Insecure-Requests":
		return true
	}
	for _, prefix := range []string{"If-", "X-Forward", "X-Original-", "X-Rewrite-", "X-Http-", "X-Host", "X-Method",
		"X-Real-", "X-Client-", "X-Remote-", "X-Url", "X-Proxy-", "X-Wap-", "X-Cluster-", "X-Backend-", "X-Override",
		"X-Originating-", "X-Oxid", "X-Azure-", "X-Amz", "X-Arr-", "X-Ms-", "Cf-", "Sec-", "Proxy-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// PassHeader returns the fields of a pass: the client's own in full, and its address appended to X-Forwarded-For.
func PassHeader(h http.Header, clientIP string) http.Header {
	out := h.Clone()
	if out == nil {
		out = make(http.Header)
	}
	if clientIP != "" {
		if before := out.Get("X-Forwarded-For"); before != "" {
			clientIP = before + ", " + clientIP
		}
		out.Set("X-Forwarded-For", clientIP)
	}
	out.Add("Via", Via)
	return out
}
