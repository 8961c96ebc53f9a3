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
	"pagegate/internal/purge"
)

// WritePage answers a visit from a page in the cache. The page's bytes are copied into the response, so the caller may
// release it at once, unless the visit says that they may be lent. Then it returns false, and the response is empty, for an
// answer that has to be made while it is sent.
func WritePage(ctx *fasthttp.RequestCtx, v *Visit, p *page.Page, now time.Time) bool {
	if v.Lend && gzipped(alias(p.Field("Content-Encoding"))) && !acceptsGzip(v.fields.acceptEncoding) {
		return false
	}
	setPageHead(&ctx.Response, p, now)
	setPageBody(ctx, v, p)
	return true
}

// setPageHead answers with a page's status and fields, and those that tell how it was kept.
func setPageHead(resp *fasthttp.Response, p *page.Page, now time.Time) {
	resp.SetStatusCode(p.Status)
	dated := false
	p.EachField(func(name, value []byte) {
		if string(name) == "Date" {
			setDate(&resp.Header, value)
			dated = true
			return
		}
		if purge.TagField(alias(name)) {
			return // the backend tells them to its caches, not to clients
		}
		resp.Header.AddBytesKV(name, value)
	})
	if !dated {
		setDateNow(&resp.Header, now)
	}
	if !p.BodyOnly {
		setAge(resp, p, now)
	}
	resp.Header.Add("Via", via)
	var buf [64]byte
	resp.Header.SetBytesV("Cache-Status", appendHit(buf[:0], p, now))
	if p.VariesByCoding() {
		varyByCoding(&resp.Header)
	}
	if p.GzippedHere {
		weaken(&resp.Header)
	}
}

// setPageBody answers with the body, or with what of it the client asked for.
func setPageBody(ctx *fasthttp.RequestCtx, v *Visit, p *page.Page) {
	resp := &ctx.Response
	etag, modified := alias(p.Field("Etag")), alias(p.Field("Last-Modified"))
	since := modified
	if since == "" {
		since = alias(p.Field("Date"))
	}
	switch {
	case p.Status == http.StatusOK && v.fields.notModified(etag, since):
		if _, other := choose(v.fields.acceptEncoding, p); other {
			weaken(&resp.Header)
		}
		setNotModified(resp)
	case gzipped(alias(p.Field("Content-Encoding"))) && !acceptsGzip(v.fields.acceptEncoding):
		setPlainBody(ctx, io.NopCloser(bytes.NewReader(bytes.Clone(p.Body))))
	case bodiless(p.Status):
	case p.Status == http.StatusOK && ctx.IsGet() && !p.GzippedHere && v.fields.wantsRange(etag, modified) && setRange(resp, v, p):
	default:
		body := p.Body
		if c, ok := choose(v.fields.acceptEncoding, p); ok {
			setCoding(&resp.Header, c)
			body = p.Coded[c]
		}
		if v.Lend {
			resp.SetBodyRaw(body)
		} else {
			resp.SetBody(body)
		}
	}
}

// setRange answers with parts of the plain body, and tells whether the request's Range is one to be followed.
func setRange(resp *fasthttp.Response, v *Visit, p *page.Page) bool {
	spans, ok := parseRanges(v.fields.ranges, int64(len(p.Body)))
	switch {
	case !ok:
		return false
	case len(spans) == 0:
		notSatisfiable(resp, int64(len(p.Body)))
	default:
		setSpans(resp, spans, p.Body)
	}
	return true
}

// setNotModified answers that the client's copy is still good: without a body, and without what would describe one
// (RFC 9110, section 15.4.5).
func setNotModified(resp *fasthttp.Response) {
	resp.SetStatusCode(http.StatusNotModified)
	resp.SkipBody = true
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language", "Content-Disposition"} {
		resp.Header.Del(name)
	}
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
	weaken(h)
	varyByCoding(h)
	if ctx.IsHead() {
		coded.Close()
		ctx.Response.SkipBody = true
		return
	}
	setStream(ctx, &gunzip{coded: coded}, -1)
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
