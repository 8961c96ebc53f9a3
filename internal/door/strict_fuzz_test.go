package door

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"

	"pagegate/internal/fill"
	"pagegate/internal/metrics"
	"pagegate/internal/pagekey"
	"pagegate/internal/policy"
)

// A head that the door takes means the same to another parser, net/http's, where that takes it too: as many bytes, the
// same target and host, the same content behind it. What two readers understand differently is what smuggling lives on.
func FuzzHeadsMeanOneThing(f *testing.F) {
	for _, seed := range []string{
		"GET /a HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a?b HTTP/1.0\r\n\r\n", "GET http://o/a HTTP/1.1\r\nHost: h\r\n\r\n", "HEAD /a HTTP/1.1\r\nhost:h\r\n\r\n",
		"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd", "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd", "POST /a HTTP/1.1\r\nHost: h\r\ncontent-length: 04\r\n\r\nabcd",
		"POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n", "GET /a HTTP/1.1\nHost: h\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: h\r\nHost: g\r\n\r\n", "GET /a HTTP/1.1\r\nHost: h \r\nX-A:\t1\t\r\n\r\n", "GET /a HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n 2\r\n\r\n",
		"GET /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\x0bchunked\r\n\r\n", "GET /a\x00b HTTP/1.1\r\nHost: h\r\n\r\n", "GET  /a HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length : 4\r\n\r\nabcd", "\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4, 4\r\n\r\nabcd",
		"GET //a HTTP/1.1\r\nHost: h:80\r\n\r\n", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "GET /\xff HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	key, err := pagekey.Parse(pagekey.Default)
	if err != nil {
		f.Fatal(err)
	}
	d := &Door{Key: key, Policy: new(policy.Policy), Fill: new(fill.Filler), Metrics: metrics.New()}
	f.Fuzz(func(t *testing.T, sent []byte) {
		ours := bufio.NewReaderSize(bytes.NewReader(sent), 64<<10)
		var ctx fasthttp.RequestCtx
		h := &ctx.Request.Header
		if len(sent) > 32<<10 || h.Read(ours) != nil {
			return
		}
		var v Visit
		if !d.Look(&ctx, &v) {
			return
		}
		theirs := bufio.NewReaderSize(bytes.NewReader(sent), 64<<10)
		r, err := http.ReadRequest(theirs)
		if err != nil {
			return
		}
		if a, b := ours.Buffered(), theirs.Buffered(); a != b && r.ContentLength == 0 {
			t.Fatalf("%q: %d bytes behind the head, %d to another", sent, a, b)
		}
		if r.Method != string(h.Method()) || r.RequestURI != string(h.RequestURI()) {
			t.Fatalf("%q: %s %s, to another %s %s", sent, h.Method(), h.RequestURI(), r.Method, r.RequestURI)
		}
		if host, _, _ := strings.Cut(r.Host, " "); host != string(v.Host) && r.URL.Host == "" {
			t.Fatalf("%q: the host %q, to another %q", sent, v.Host, r.Host)
		}
		if n := max(int64(h.ContentLength()), -1); hasBody(h) != (r.ContentLength != 0) || n > 0 && n != r.ContentLength {
			t.Fatalf("%q: content of %d bytes, to another %d", sent, n, r.ContentLength)
		}
	})
}
