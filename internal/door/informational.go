package door

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/valyala/fasthttp"

	"pagegate/internal/fill"
)

// relayInformational has the backend's 1xx responses passed on to the client (RFC 9110, section 15.2) until stop is called,
// which has to be before the final answer is sent. They are written past the HTTP server, so only where no earlier
// answer can be waiting in it: a client that pipelines gets none.
func (d *Door) relayInformational(ctx *fasthttp.RequestCtx, r *fill.Request) (stop func()) {
	c, ok := ctx.Conn().(interface {
		NothingOwed() bool
		Write([]byte) (int, error)
	})
	if d.FinalOnly || !ok || r.Body != nil || !ctx.Request.Header.IsHTTP11() || !c.NothingOwed() {
		return func() {}
	}
	var mu sync.Mutex
	stopped := false
	r.Informational = func(status int, h http.Header) {
		mu.Lock()
		defer mu.Unlock()
		if !stopped {
			_, _ = c.Write(appendInformational(nil, status, h)) // a broken connection shows with the final answer
		}
	}
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
	}
}

func appendInformational(dst []byte, status int, h http.Header) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(append(append(dst, ' '), http.StatusText(status)...), "\r\n"...)
	for name, values := range h {
		for _, v := range values {
			dst = append(append(append(append(dst, name...), ": "...), v...), "\r\n"...)
		}
	}
	return append(dst, "\r\n"...)
}
