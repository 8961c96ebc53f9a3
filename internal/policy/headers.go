package policy

import "net/http"

// fillPasses lists the request fields that a shared fill takes over from the request that caused it. None can make the
// page another one: a client's fields are not part of the page key, so whatever the backend could build a page from is
// left out (X-Forwarded-Host and its kin, Accept-Language, User-Agent, every unknown field), and what is personal too.
var fillPasses = []string{"Traceparent", "X-Request-Id"}

// FillUserAgent is what a shared fill calls itself, since no client's name may shape a shared page.
const FillUserAgent = "pagegate"

// FillHeader returns the fields of a shared fill on behalf of a request with the fields h. scheme is what the operator
// says that clients use ("https" behind a TLS proxy): backends redirect for ever if it is not told. keyed names the
// fields that the page key depends on, which are taken over: each of their values has pages of its own.
func FillHeader(h http.Header, scheme string, keyed []string) http.Header {
	out := http.Header{
		"Accept":            {"*/*"},
		"User-Agent":        {FillUserAgent},
		"Accept-Encoding":   {"identity"},
		"X-Forwarded-Proto": {scheme},
	}
	for _, names := range [][]string{fillPasses, keyed} {
		for _, name := range names {
			if v := h[name]; len(v) > 0 {
				out[name] = v
			}
		}
	}
	return out
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
	return out
}
