package door

import (
	"net"
	"net/http"
	"unsafe"

	"github.com/valyala/fasthttp"

	"pagegate/internal/fill"
	"pagegate/internal/pagekey"
	"pagegate/internal/policy"
)

// fields lets the policy and the key's template read a request's fields where they lie. It is one pointer, so that
// handing it over as an interface allocates nothing.
type fields struct{ h *fasthttp.RequestHeader }

var (
	_ policy.Fields  = fields{}
	_ pagekey.Fields = fields{}
)

// Field implements policy.Fields. The result is valid while the request is.
func (f fields) Field(name string) string {
	all := f.h.PeekAll(name)
	switch len(all) {
	case 0:
		return ""
	case 1:
		return alias(all[0])
	}
	sep := ", "
	if name == "Cookie" {
		sep = "; "
	}
	joined := string(all[0])
	for _, v := range all[1:] {
		joined += sep + string(v)
	}
	return joined
}

// AppendField implements pagekey.Fields.
func (f fields) AppendField(dst []byte, name string, n int) ([]byte, bool) {
	all := f.h.PeekAll(name)
	if n >= len(all) {
		return dst, false
	}
	return append(dst, all[n]...), true
}

// alias gives bytes of a request as a string without copying them; it must not outlive the request.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

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
		default:
			h.Add(n, string(value))
		}
	}
	r := &fill.Request{
		Key:        v.Key,
		URI:        string(v.URI),
		Method:     string(ctx.Method()),
		Target:     string(v.Target),
		Host:       string(v.Host),
		Header:     h,
		ClientIP:   clientIP(ctx.RemoteAddr()),
		Share:      v.Fill,
		PassReason: v.Why,
	}
	if hasBody(&ctx.Request.Header) {
		r.ContentLength = int64(ctx.Request.Header.ContentLength())
		if r.Body = ctx.RequestBodyStream(); r.Body == nil {
			r.Body = bytesReader(ctx.Request.Body())
		}
	}
	return r
}

func clientIP(a net.Addr) string {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	return ""
}
