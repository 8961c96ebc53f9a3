package door

import (
	"net"
	"net/http"

	"github.com/valyala/fasthttp"

	"pagegate/internal/fill"
	"pagegate/internal/pagekey"
)

// hasBody tells whether a request carries content, known length or not.
func hasBody(h *fasthttp.RequestHeader) bool {
	n := h.ContentLength()
	return n > 0 || n == -1
}

// missRequest makes the miss path's request of a visit. Nothing of it aliases the request but the body.
func (d *Door) missRequest(ctx *fasthttp.RequestCtx, v *Visit) *fill.Request {
	h := make(http.Header)
	for name, value := range ctx.Request.Header.All() {
		switch n := string(name); n {
		case "Host", "Content-Length": // told apart from the others
		case "Expect": // has been answered by this server
		case debugField: // so has this, and its token is nobody else's business
		default:
			h.Add(n, string(value))
		}
	}
	r := &fill.Request{
		Key:        v.Key,
		URI:        string(v.URI),
		Method:     string(ctx.Method()),
		Target:     string(v.Target),
		Policy:     v.Policy,
		Host:       string(v.Host),
		Header:     h,
		ClientIP:   clientIP(ctx.RemoteAddr()),
		Share:      v.Fill,
		PassReason: v.Why,
		Wishes:     v.Wishes,
		KeyOf:      d.keyOf(ctx),
	}
	if d.Key.UsesArguments() {
		r.SharedTarget = string(d.Key.Shared(nil, v.Target))
	}
	if d.Key.UsesDevice() {
		fields := pagekey.Request{Fields: keyFields{&ctx.Request.Header}}
		r.Device = d.Key.Device(&fields)
	}
	if hasBody(&ctx.Request.Header) {
		r.ContentLength = int64(ctx.Request.Header.ContentLength())
		if r.Body = ctx.RequestBodyStream(); r.Body == nil {
			r.Body = bytesReader(ctx.Request.Body())
		}
	}
	return r
}

// keyOf returns what tells the page key of a GET of another target with this request's fields, for the pages that a
// change invalidates. It is valid while the request is.
func (d *Door) keyOf(ctx *fasthttp.RequestCtx) func(string) []byte {
	return func(target string) []byte {
		h := &ctx.Request.Header
		key, err := d.Key.Append(nil, &pagekey.Request{
			Target: []byte(target), Host: h.Host(), Method: []byte("GET"), HTTPS: d.HTTPS, Fields: keyFields{h},
		})
		if err != nil {
			return nil
		}
		return key
	}
}

func clientIP(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	return ""
}
