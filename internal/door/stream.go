package door

import (
	"io"
	"net"

	"github.com/valyala/fasthttp"
)

// setStream answers with a body that arrives, of size bytes or -1 where that is not known; it is the last thing that is done to
// an answer. An HTTP/1.0 client knows no chunks: such a body ends with its connection (RFC 9112, sections 6.1 and 6.3). The HTTP
// server would send it chunks all the same, so that answer is written past the server.
func setStream(ctx *fasthttp.RequestCtx, body io.ReadCloser, size int) {
	resp := &ctx.Response
	if size >= 0 || ctx.Request.Header.IsHTTP11() {
		resp.SetBodyStream(body, size)
		return
	}
	resp.SetConnectionClose()
	head := appendResponse(nil, resp, -1)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(c net.Conn) {
		defer body.Close()
		if _, err := c.Write(head); err == nil {
			_, _ = io.Copy(c, body) // whatever goes wrong, the connection's end is all that can be told
		}
	})
}
