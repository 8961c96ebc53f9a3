package door

import (
	"cmp"
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"pagegate/internal/fill"
	"pagegate/internal/page"
)

// debugField carries the token of a request that wants to know what became of it, and the answer to that.
const debugField = "X-Cache-Debug"

// debugs tells whether a visit asks what became of it and may know.
func (d *Door) debugs(v *Visit) bool {
	return v.fields.debug != "" && d.DebugToken != "" &&
		subtle.ConstantTimeCompare([]byte(v.fields.debug), []byte(d.DebugToken)) == 1
}

// debugHit tells a client that may know how it came to an answer from the cache.
func (d *Door) debugHit(ctx *fasthttp.RequestCtx, v *Visit, outcome string, p *page.Page, now time.Time) {
	if d.debugs(v) {
		ctx.Response.Header.Set(debugField, d.debug(v, outcome, "", p, now))
	}
}

// debugAnswer tells a client that may know how it came to an answer of the miss path.
func (d *Door) debugAnswer(ctx *fasthttp.RequestCtx, v *Visit, a *fill.Answer, now time.Time) {
	if d.debugs(v) {
		ctx.Response.Header.Set(debugField, d.debug(v, a.Outcome, string(a.Reason), a.Page, now))
	}
}

// debug is the field's value: what the page is stored as, where, what was decided and why, and the page's times.
func (d *Door) debug(v *Visit, outcome, reason string, p *page.Page, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "key=%+q; route=%+q; server=%+q; outcome=%s", v.Key, v.Policy.Name, d.Fill.Where(v.Key), outcome)
	if reason != "" {
		b.WriteString("; reason=" + reason)
	}
	if p == nil || p.BodyOnly {
		return b.String()
	}
	seconds := func(name string, span time.Duration) {
		b.WriteString("; " + name + "=" + strconv.FormatInt(int64(span/time.Second), 10))
	}
	seconds("age", p.Age(now))
	seconds("ttl", p.FreshUntil.Sub(now))
	seconds("stale", p.StaleUntil.Sub(now))
	fmt.Fprintf(&b, "; nginx=%t", p.NginxReadable)
	return b.String()
}

// Explain writes for people what a GET of a URL (http://host/path?query, or a target of the site) with those fields would
// get, and what is stored of the page. An error is the reader's mistake.
func (d *Door) Explain(ctx context.Context, w io.Writer, url string, fields http.Header) error {
	target, host, err := cutURL(url)
	if err != nil {
		return err
	}
	var rc fasthttp.RequestCtx
	h := &rc.Request.Header
	h.SetRequestURI(target)
	h.SetHost(cmp.Or(host, d.Fill.Host()))
	for name, values := range fields {
		for _, value := range values {
			h.Add(name, value)
		}
	}
	var v Visit
	if status, err := d.look(&rc, &v); err != nil {
		return fmt.Errorf("such a request is refused with %d: %w", status, err)
	}
	fmt.Fprintf(w, "route     %s\n", v.Policy.Name)
	switch {
	case v.Fill:
		fmt.Fprintln(w, "request   shares the page with others")
	case v.Share:
		fmt.Fprintf(w, "request   may be answered from the cache, and is a pass if there is nothing: %s\n", v.Why)
	default:
		fmt.Fprintf(w, "request   is a pass: %s\n", v.Why)
	}
	d.Fill.Explain(ctx, w, &fill.Explained{Key: v.Key, Policy: v.Policy, Wishes: v.Wishes, Header: fields})
	return nil
}
