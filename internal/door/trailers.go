package door

import (
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"

	"pagegate/internal/fill"
)

// Fields behind a body are no header fields, whoever sends them (RFC 9110, section 6.5.1): a client's end here, since some
// backends would take them for header fields that nobody has checked, and those of a page that may be shared are not kept
// (RFC 9111, section 3, lets a cache discard them). A pass hands on its backend's to a client that says it takes them.

// passTrailers has the trailer fields that a pass's backend has announced sent behind the body.
func passTrailers(ctx *fasthttp.RequestCtx, a *fill.Answer) {
	if a.Trailer == nil || a.ContentLength >= 0 || !ctx.Request.Header.IsHTTP11() || !takesTrailers(ctx) {
		return
	}
	h := &ctx.Response.Header
	var names []string
	for name := range a.Trailer() {
		// A name that the head has too would be moved there out of it.
		if _, ahead := a.Header[name]; !ahead && fitForTrailers(name) && h.AddTrailer(name) == nil {
			names = append(names, name)
		}
	}
	a.Body = &trailed{ReadCloser: a.Body, end: func() {
		late := a.Trailer()
		for _, name := range names {
			for _, value := range late[name] {
				h.Add(name, value)
			}
		}
	}}
}

// takesTrailers tells whether a client does (RFC 9110, section 10.1.4).
func takesTrailers(ctx *fasthttp.RequestCtx) bool {
	for _, value := range ctx.Request.Header.PeekAll("Te") {
		for coding := range strings.SplitSeq(alias(value), ",") {
			if strings.EqualFold(strings.Trim(coding, " \t"), "trailers") {
				return true
			}
		}
	}
	return false
}

// fitForTrailers tells whether a field may come late; fasthttp refuses those besides that frame, route or authenticate a
// message. What decides how an answer is used comes too late behind it (RFC 9110, section 6.5.1).
func fitForTrailers(name string) bool {
	return !slices.Contains([]string{
		"Age", "Cache-Control", "Cache-Status", "Cdn-Cache-Control", "Date", "Expires", "Pragma", "Retry-After", "Surrogate-Key",
		"Cache-Tag", "Vary", "Via", "Warning",
	}, http.CanonicalHeaderKey(name))
}

// trailed is a body behind which something is to be done before its end is told.
type trailed struct {
	io.ReadCloser
	end func()
}

func (t *trailed) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	if err == io.EOF && t.end != nil {
		t.end()
		t.end = nil
	}
	return n, err
}
