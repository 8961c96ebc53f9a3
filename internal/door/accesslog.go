package door

import (
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"github.com/valyala/fasthttp"

	"pagegate/internal/fill"
	"pagegate/internal/metrics"
	"pagegate/internal/origin"
)

// AccessLog is what is logged of requests. The zero value logs none.
type AccessLog struct {
	Log zerolog.Logger
	// Misses logs what the miss path answers; Hits what is answered from the cache before it.
	Misses, Hits bool
	// OneIn samples: of so many requests one is logged; 0 and 1 for each. Errors are always logged.
	OneIn uint32
}

// sampled returns the log with the sampling that was asked for, to be kept for all requests.
func (a AccessLog) sampled() AccessLog {
	if a.OneIn > 1 {
		a.Log = a.Log.Sample(&zerolog.BasicSampler{N: a.OneIn})
	}
	return a
}

// LogTo sets what is logged of requests; before the door's first use.
func (d *Door) LogTo(a AccessLog) { d.access = a.sampled() }

// logHit logs an answer from the cache, if hits are logged.
func (d *Door) logHit(ctx *fasthttp.RequestCtx, v *Visit, outcome string) {
	if d.access.Hits {
		describe(d.access.Log.Info(), ctx, v).Str("outcome", outcome).Msg("request")
	}
}

// logMiss logs what the miss path found.
func (d *Door) logMiss(ctx *fasthttp.RequestCtx, v *Visit, a *fill.Answer, took time.Duration) {
	if d.access.Misses {
		describe(d.access.Log.Info(), ctx, v).Str("outcome", a.Outcome).Str("reason", string(a.Reason)).
			Bool("stored", a.Stored).Dur("took_ms", took).Msg("request")
	}
}

// logFailure logs a request that has no answer, whatever else is logged; but what is told once elsewhere, or was asked for, is
// logged as other requests are.
func (d *Door) logFailure(ctx *fasthttp.RequestCtx, v *Visit, err error, took time.Duration) {
	e := d.Log.Warn()
	if errors.Is(err, origin.ErrDown) || errors.Is(err, fill.ErrNotCached) {
		if !d.access.Misses {
			return
		}
		e = d.access.Log.Info()
	}
	describe(e, ctx, v).Str("outcome", metrics.Failed).Err(err).Dur("took_ms", took).Msg("no answer from the backend")
}

// logRefused logs a bad request, if misses are logged.
func (d *Door) logRefused(ctx *fasthttp.RequestCtx, why error) {
	if e := d.access.Log.Info(); d.access.Misses && e != nil {
		e.Bytes("method", ctx.Method()).Bytes("target", ctx.Request.Header.RequestURI()).Str("client", fmt.Sprint(ctx.RemoteAddr())).
			Int("status", ctx.Response.StatusCode()).Str("outcome", metrics.Refused).Str("reason", why.Error()).Msg("request")
	}
}

// describe adds what is known of a request and of its answer's head. Cookies and credentials stay out.
func describe(e *zerolog.Event, ctx *fasthttp.RequestCtx, v *Visit) *zerolog.Event {
	if e == nil { // left out by the sampler or by the level
		return e
	}
	return e.Bytes("method", ctx.Method()).Bytes("target", v.Target).Bytes("host", v.Host).Str("route", v.Policy.Name).
		Str("client", fmt.Sprint(ctx.RemoteAddr())).Int("status", ctx.Response.StatusCode())
}
