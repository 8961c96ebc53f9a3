// Package door is what the filler and the gateway have in common at their front: a raw HTTP request becomes a visit (its
// page key, and whether it may share a page), and what the miss path found becomes the HTTP answer.
//
// Key and policy see the request as it came, before any library has tidied it up: the raw target, the fields where they
// lie. A target that nginx would refuse is refused here too, so that both doors have the same keys.
package door

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"pagegate/internal/fill"
	"pagegate/internal/metrics"
	"pagegate/internal/page"
	"pagegate/internal/pagekey"
	"pagegate/internal/policy"
)

// Door is what both doors share. Its fields are set before its first use; then any number of goroutines may use it.
type Door struct {
	Key     *pagekey.Template
	HTTPS   bool // what clients use, for $scheme
	Policy  *policy.Policy
	Fill    *fill.Filler
	Metrics *metrics.Metrics
	Log     zerolog.Logger
	PurgeBy PurgeRule // who may purge by the method PURGE
	// FinalOnly keeps 1xx responses from clients, for those that would take one for the answer.
	FinalOnly bool
	// DebugToken lets whoever sends it as X-Cache-Debug know what became of the request; empty for nobody.
	DebugToken string
	// Now is the clock; nil for time.Now.
	Now func() time.Time

	access AccessLog
	bodies sync.WaitGroup // answers' bodies that have not been sent to their end
}

// WaitForBodies returns when every body that Miss has answered with is sent or given up. No Miss may run or follow.
func (d *Door) WaitForBodies() { d.bodies.Wait() }

// Visit is a request as the flow sees it. Its slices alias the request or the Visit's own buffer; a Visit that is used
// again keeps its buffers.
type Visit struct {
	Key    []byte         // raw page key
	URI    []byte         // nginx's $uri
	Target []byte         // the target in origin form, as it came
	Host   []byte         // of the absolute form, else of the Host field
	Policy *policy.Policy // of its path
	Share  bool           // may be answered from the cache
	Fill   bool           // may besides take part in a shared fill
	Why    policy.Reason  // why one of them is false
	Wishes policy.Wishes  // what the client asks of a cache
	// Lend says that an answer from the cache may have the page's own bytes for its body: the page outlives the answer.
	Lend   bool
	fields fields
}

var errNoHost = errors.New("the Host field is missing")

// Enter reads a request into v, or refuses it (400 or 505) and returns false. It allocates nothing once v's buffers have
// grown.
func (d *Door) Enter(ctx *fasthttp.RequestCtx, v *Visit) bool {
	if status, err := d.look(ctx, v); err != nil {
		d.Metrics.Request(policy.DefaultRule, metrics.Refused)
		writeText(ctx, status, err.Error())
		ctx.SetConnectionClose()
		d.logRefused(ctx, err)
		return false
	}
	return true
}

// Look is Enter without an answer: a request that it does not take is Enter's to refuse.
func (d *Door) Look(ctx *fasthttp.RequestCtx, v *Visit) bool {
	_, err := d.look(ctx, v)
	return err == nil
}

// look reads a request into v, or says what is wrong with it and the status to refuse it with.
func (d *Door) look(ctx *fasthttp.RequestCtx, v *Visit) (status int, err error) {
	h := &ctx.Request.Header
	if status, err := strict(ctx); err != nil {
		return status, err
	}
	if err := d.read(h, v); err != nil {
		return http.StatusBadRequest, err
	}
	v.fields.read(h)
	v.Policy = d.Policy.For(alias(v.URI))
	v.Share, v.Why, v.Wishes = v.Policy.Request(alias(h.Method()), hasBody(h), &v.fields)
	if v.Fill = v.Share && pagekey.Canonical(h.RequestURI()); v.Share && !v.Fill {
		v.Why = policy.ReasonSpelling
	}
	return 0, nil
}

func (d *Door) read(h *fasthttp.RequestHeader, v *Visit) (err error) {
	raw := h.RequestURI()
	r := pagekey.Request{Target: raw, Host: h.Host(), Method: h.Method(), HTTPS: d.HTTPS, Fields: keyFields{h}}
	if v.Key, err = d.Key.Append(v.Key[:0], &r); err != nil {
		return err
	}
	if v.URI, err = pagekey.AppendURI(v.URI[:0], raw); err != nil {
		return err
	}
	v.Host, v.Target, err = pagekey.Split(raw)
	if err != nil {
		return err
	}
	if len(h.Host()) == 0 && h.IsHTTP11() {
		return errNoHost // even where the target names one (RFC 9112, section 3.2)
	}
	if len(v.Host) == 0 {
		v.Host = h.Host()
	}
	// What follows `#` is no part of any request (RFC 9110, section 7.1); nginx's key leaves it out too.
	if i := bytes.IndexByte(v.Target, '#'); i >= 0 {
		v.Target = v.Target[:i]
	}
	return nil
}

// Miss answers a visit by the miss path, or by a purge if it is one.
func (d *Door) Miss(ctx *fasthttp.RequestCtx, v *Visit) {
	if d.purge(ctx, v) {
		return
	}
	now := d.now()
	r := d.missRequest(ctx, v)
	early := d.relayInformational(ctx, r)
	// Nothing ends it early: nobody tells this goroutine, which reads the connection, that the client has gone.
	a, err := d.Fill.Serve(context.Background(), r)
	early.stop()
	if err != nil {
		WriteError(ctx, err)
		d.logFailure(ctx, v, err, d.now().Sub(now))
		return
	}
	if _, whole := a.Whole(); !whole {
		// The body outlasts this call: the server sends it after the handler has returned.
		d.bodies.Add(1)
		a.Body = &endingBody{ReadCloser: a.Body, end: sync.OnceFunc(d.bodies.Done)}
	}
	then := d.now()
	d.debugAnswer(ctx, v, a, then)
	WriteAnswer(ctx, v, a, then)
	d.logMiss(ctx, v, a, then.Sub(now))
}

// Hit counts an answer from the cache, and tells and logs it where that is wanted.
func (d *Door) Hit(ctx *fasthttp.RequestCtx, v *Visit, outcome string, p *page.Page, now time.Time) {
	d.Metrics.Request(v.Policy.Name, outcome)
	d.debugHit(ctx, v, outcome, p, now)
	d.logHit(ctx, v, outcome)
}

// RefreshBehind has the visit's page fetched anew while the visitor is given the old one. mark is the one that the page
// was found by, nil if by none. It does not wait.
func (d *Door) RefreshBehind(ctx *fasthttp.RequestCtx, v *Visit, mark *page.Page) {
	if v.Fill {
		d.Fill.Refresh(d.missRequest(ctx, v), mark)
	}
}

// AppendVariantKey appends the key of the variant that a mark has for a visit.
func AppendVariantKey(dst []byte, ctx *fasthttp.RequestCtx, v *Visit, mark *page.Page) []byte {
	names := mark.MarkNames()
	return page.AppendVariantKey(dst, v.Key, mark.Variants, names, values(&ctx.Request.Header, names))
}

func (d *Door) now() time.Time {
	if d.Now != nil {
		return d.Now()
	}
	return time.Now()
}

// endingBody ends with a body what that needed.
type endingBody struct {
	io.ReadCloser
	end func()
}

func (b *endingBody) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}

func bytesReader(b []byte) io.Reader { return bytes.NewReader(append([]byte(nil), b...)) }
