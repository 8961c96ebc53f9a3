package door

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"pagegate/internal/page"
)

// WritePage answers from a page in the cache that is fresh. The page's bytes are copied into the response, so the caller
// may release it at once.
func WritePage(ctx *fasthttp.RequestCtx, p *page.Page, now time.Time) {
	resp := &ctx.Response
	resp.SetStatusCode(p.Status)
	p.EachField(func(name, value []byte) {
		if string(name) != "Date" {
			resp.Header.AddBytesKV(name, value)
		}
	})
	if !p.BodyOnly {
		setAge(resp, p, now)
	}
	var buf [64]byte
	resp.Header.SetBytesV("Cache-Status", appendHit(buf[:0], p, now))
	f := fields{&ctx.Request.Header}
	if p.Status == http.StatusOK && notModified(f, alias(p.Field("Etag")), alias(p.Field("Last-Modified"))) {
		resp.SetStatusCode(http.StatusNotModified)
		resp.SkipBody = true
		return
	}
	if gzipped(alias(p.Field("Content-Encoding"))) && !acceptsGzip(f.Field("Accept-Encoding")) {
		body := io.NopCloser(bytes.NewReader(bytes.Clone(p.Body)))
		setPlainBody(ctx, body)
		return
	}
	if bodiless(p.Status) {
		return
	}
	resp.SetBody(p.Body)
}

// appendHit says that the answer is a hit and how long it stays one (RFC 9211, sections 2.1 and 2.4).
func appendHit(dst []byte, p *page.Page, now time.Time) []byte {
	dst = append(dst, CacheName+"; hit"...)
	if !p.FreshUntil.IsZero() {
		dst = append(dst, "; ttl="...)
		dst = strconv.AppendInt(dst, int64(p.FreshUntil.Sub(now)/time.Second), 10)
	}
	return dst
}

func gzipped(coding string) bool { return strings.EqualFold(coding, "gzip") }

// setPlainBody undoes gzip for a client that does not take it. The length is not known before the end, and an entity tag
// of the coded form is not this one's.
func setPlainBody(ctx *fasthttp.RequestCtx, coded io.ReadCloser) {
	h := &ctx.Response.Header
	h.Del("Content-Encoding")
	if etag := string(h.Peek("Etag")); etag != "" && !strings.HasPrefix(etag, "W/") {
		h.Set("Etag", "W/"+etag)
	}
	if !strings.Contains(strings.ToLower(string(h.Peek("Vary"))), "accept-encoding") {
		h.Add("Vary", "Accept-Encoding")
	}
	if ctx.IsHead() {
		coded.Close()
		ctx.Response.SkipBody = true
		return
	}
	ctx.Response.SetBodyStream(&gunzip{coded: coded}, -1)
}

// gunzip decodes a body while it is read.
type gunzip struct {
	coded io.ReadCloser
	plain *gzip.Reader
}

func (g *gunzip) Read(b []byte) (int, error) {
	if g.plain == nil {
		var err error
		if g.plain, err = gzip.NewReader(g.coded); err != nil {
			return 0, err
		}
	}
	return g.plain.Read(b)
}

func (g *gunzip) Close() error { return g.coded.Close() }
