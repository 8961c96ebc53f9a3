package door

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"pagegate/internal/fill"
	"pagegate/internal/metrics"
	"pagegate/internal/origin"
	"pagegate/internal/page"
	"pagegate/internal/policy"
	"pagegate/internal/purge"
)

// CacheName is how pagegate calls itself in Cache-Status (RFC 9211).
const CacheName = "pagegate"

// via names this intermediary to those behind it (RFC 9110, section 7.6.3).
const via = policy.Via

// WriteAnswer sends what the miss path found. The body is streamed as it arrives, and closed when it has been sent.
func WriteAnswer(ctx *fasthttp.RequestCtx, v *Visit, a *fill.Answer, now time.Time) {
	resp := &ctx.Response
	resp.SetStatusCode(a.Status)
	for name, values := range a.Header {
		if ownField(name) {
			continue
		}
		for _, v := range values {
			resp.Header.Add(name, v)
		}
	}
	if date := a.Header.Get("Date"); date != "" {
		setDate(&resp.Header, []byte(date))
	} else {
		setDateNow(&resp.Header, now)
	}
	if a.Page != nil && !a.Page.BodyOnly {
		setAge(resp, a.Page, now)
	} else if age := a.Header.Get("Age"); age != "" {
		resp.Header.Set("Age", age)
	}
	if a.VariesByCoding {
		varyByCoding(&resp.Header)
	}
	if a.Page != nil && a.Page.GzippedHere {
		weaken(&resp.Header)
	}
	resp.Header.Add("Via", via)
	resp.Header.Set("Cache-Status", cacheStatus(a, now))
	setBody(ctx, v, a)
}

// setBody answers with the body, or with what of it the client asked for.
func setBody(ctx *fasthttp.RequestCtx, v *Visit, a *fill.Answer) {
	resp := &ctx.Response
	shared := a.Outcome != metrics.Pass // a pass was made with the client's own conditions and codings
	etag, modified := a.Header.Get("Etag"), a.Header.Get("Last-Modified")
	since := modified
	if since == "" && a.Page != nil {
		since = a.Header.Get("Date")
	}
	switch {
	case shared && a.Status == http.StatusOK && v.fields.notModified(etag, since):
		a.Body.Close()
		setNotModified(resp)
	case ctx.IsHead() || bodiless(a.Status):
		a.Body.Close()
		resp.SkipBody = true
		if n := a.Header.Get("Content-Length"); n != "" && !bodiless(a.Status) {
			resp.Header.Set("Content-Length", n)
		}
	case shared && gzipped(a.Header.Get("Content-Encoding")) && !acceptsGzip(v.fields.acceptEncoding):
		setPlainBody(ctx, a.Body)
	case a.Page != nil && a.Page.GzippedHere: // parts are of what the backend sent
		setStream(ctx, a.Body, int(a.ContentLength))
	case shared && a.Status == http.StatusOK && a.ContentLength >= 0 && v.fields.wantsRange(etag, modified):
		setStreamRange(ctx, v, a)
	default:
		passTrailers(ctx, a)
		setWhole(ctx, a)
	}
}

// setWhole answers with all of a body: with its bytes if they are there, else as they arrive.
func setWhole(ctx *fasthttp.RequestCtx, a *fill.Answer) {
	if body, ok := a.Whole(); ok {
		a.Body.Close()
		ctx.Response.SetBodyRaw(body)
		return
	}
	setStream(ctx, a.Body, int(a.ContentLength))
}

// setStreamRange answers with the part that the client asked for of a body that arrives; with the whole where it asked
// for several.
func setStreamRange(ctx *fasthttp.RequestCtx, v *Visit, a *fill.Answer) {
	spans, ok := parseRanges(v.fields.ranges, a.ContentLength)
	switch {
	case ok && len(spans) == 0:
		a.Body.Close()
		notSatisfiable(&ctx.Response, a.ContentLength)
	case ok && len(spans) == 1:
		setStreamSpan(&ctx.Response, spans[0], a.Body, a.ContentLength)
	default:
		setStream(ctx, a.Body, int(a.ContentLength))
	}
}

// ownField tells which fields each answer gets in a way of its own: the length belongs to the transfer, Age is counted at
// the time of the answer, Date is set apart, tags are for caches.
func ownField(name string) bool {
	return name == "Content-Length" || name == "Date" || name == "Age" || purge.TagField(name)
}

// bodiless tells which statuses have no content (RFC 9110, section 6.4.1).
func bodiless(status int) bool {
	return status < 200 || status == http.StatusNoContent || status == http.StatusNotModified
}

func setAge(resp *fasthttp.Response, p *page.Page, now time.Time) {
	var buf [20]byte
	resp.Header.SetBytesV("Age", p.AppendAge(buf[:0], now))
}

// cacheStatus says what became of the request (RFC 9211, section 2).
func cacheStatus(a *fill.Answer, now time.Time) string {
	var b strings.Builder
	b.WriteString(CacheName)
	switch a.Outcome {
	case metrics.Hit, metrics.Stale:
		b.WriteString("; hit")
		if a.Page != nil && !a.Page.FreshUntil.IsZero() {
			b.WriteString("; ttl=" + strconv.FormatInt(int64(a.Page.FreshUntil.Sub(now)/time.Second), 10))
		}
		if a.Outcome == metrics.Stale {
			b.WriteString("; detail=backend-failed")
		}
		return b.String()
	case metrics.Pass:
		fwd := "bypass"
		if a.Reason == policy.ReasonMethod {
			fwd = "method"
		}
		b.WriteString("; fwd=" + fwd)
	case metrics.Revalidated:
		// The backend answered 304; what the client gets is the stored page (RFC 9211, section 2.3).
		return CacheName + "; fwd=stale; fwd-status=304" + storedMark(a)
	default:
		b.WriteString("; fwd=uri-miss")
	}
	b.WriteString("; fwd-status=" + strconv.Itoa(a.Status))
	if a.Outcome == metrics.Collapsed {
		b.WriteString("; collapsed")
	}
	b.WriteString(storedMark(a))
	if a.Reason != policy.ReasonNone {
		b.WriteString("; detail=" + string(a.Reason))
	}
	return b.String()
}

func storedMark(a *fill.Answer) string {
	if a.Stored {
		return "; stored"
	}
	return ""
}

// WriteError answers a request whose backend gave nothing: 504 if it was too slow, or cannot be reached to confirm a page that
// requires it; 400 if the request cannot be sent on; else 502.
func WriteError(ctx *fasthttp.RequestCtx, err error) {
	status, what, detail := http.StatusBadGateway, "The backend's answer is not valid HTTP.", "backend-failed"
	var oe *origin.Error
	if errors.Is(err, fill.ErrNotCached) {
		writeText(ctx, http.StatusGatewayTimeout, "The page is not in the cache, and the request wants no other.")
		ctx.Response.Header.Set("Cache-Status", CacheName+"; detail=only-if-cached")
		return
	}
	if errors.As(err, &oe) {
		switch oe.Kind {
		case origin.KindConnect:
			what = "The backend cannot be reached."
			if errors.Is(err, fill.ErrNotValidated) {
				status = http.StatusGatewayTimeout
			}
		case origin.KindTimeout:
			status, what = http.StatusGatewayTimeout, "The backend does not answer in time."
		case origin.KindRequest:
			status, what, detail = http.StatusBadRequest, "The request cannot be sent to the backend.", "bad-request"
		case origin.KindCanceled:
			status, what = http.StatusServiceUnavailable, "The service is stopping."
		}
	}
	writeText(ctx, status, what)
	ctx.Response.Header.Set("Cache-Status", CacheName+"; fwd=miss; detail="+detail)
}

// writeText answers with a line of text that nobody may keep.
func writeText(ctx *fasthttp.RequestCtx, status int, what string) {
	ctx.Response.ResetBody()
	ctx.SetStatusCode(status)
	ctx.SetContentType("text/plain; charset=utf-8")
	setDateNow(&ctx.Response.Header, time.Now())
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.SetBodyString(strconv.Itoa(status) + " " + http.StatusText(status) + "\n" + what + "\n")
}
