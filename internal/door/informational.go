package door

import (
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/valyala/fasthttp"

	"pagegate/internal/fill"
)

// relay passes the backend's 1xx responses on to a client. A nil one has nothing to pass.
type relay struct {
	client  io.Writer
	mu      sync.Mutex
	stopped bool
}

// relayInformational has the backend's 1xx responses passed on to the client (RFC 9110, section 15.2) until the relay is
// stopped, which has to be before the final answer is sent. They are written past the HTTP server, so only where no
// earlier answer can be waiting in it: a client that pipelines gets none.
func (d *Door) relayInformational(ctx *fasthttp.RequestCtx, r *fill.Request) *relay {
	c, ok := ctx.Conn().(interface {
		io.Writer
		NothingOwed() bool
	})
	if d.FinalOnly || !ok || r.Body != nil || !ctx.Request.Header.IsHTTP11() || !c.NothingOwed() {
		return nil
	}
	rl := &relay{client: c}
	r.Informational = rl.pass
	return rl
}

func (r *relay) pass(status int, h http.Header) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stopped {
		_, _ = r.client.Write(appendInformational(nil, status, h)) // a broken connection shows with the final answer
	}
}

func (r *relay) stop() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
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
