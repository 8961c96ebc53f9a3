package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// handlerOrigin is a backend in this process. Each exchange runs in a goroutine of its own, as on a server.
type handlerOrigin struct {
	bounds
	h   http.Handler
	now func() time.Time
	log zerolog.Logger

	mu      sync.Mutex // guards closed, and Add of running against its Wait
	closed  bool
	running sync.WaitGroup
}

// Handler makes an Origin of an http.Handler in this process, with the default bounds.
//
// The handler sees what it would see behind a server: its request's context ends when the response's body is closed,
// its Write waits until the reader has taken what was written before (some KiB are kept between them), and fails when
// nobody reads any more. A panic is answered with 500 if nothing has been sent yet and cuts the body otherwise.
// Trailers are not passed. If h is an io.Closer, Close closes it after the last exchange.
func Handler(h http.Handler) Origin {
	o, err := Options{}.withDefaults()
	if err != nil {
		panic(err) // the zero value is valid
	}
	return newHandlerOrigin(bounds{name: "in this process", header: o.HeaderTimeout, idle: o.IdleTimeout}, h, o)
}

func newHandlerOrigin(b bounds, h http.Handler, o Options) *handlerOrigin {
	return &handlerOrigin{bounds: b, h: h, now: o.Now, log: o.Log}
}

// Fetch implements Origin.
func (o *handlerOrigin) Fetch(ctx context.Context, r *Request) (*Response, error) {
	if err := ctx.Err(); err != nil {
		return nil, o.failure(ctx, nil, err)
	}
	sent := newRequestBody(r)
	inner, cancel := context.WithCancelCause(ctx)
	hr, err := serverRequest(inner, r, sent)
	if err != nil {
		cancel(nil)
		return nil, o.fail(KindRequest, err)
	}
	if !o.begin() {
		cancel(nil)
		return nil, o.fail(KindCanceled, net.ErrClosed)
	}
	pr, pw := io.Pipe()
	context.AfterFunc(inner, func() { pw.CloseWithError(context.Cause(inner)) })
	w := newResponder(r, pw, o.now)
	go func() {
		defer o.running.Done()
		o.serve(w, hr)
	}()

	resp, err := o.await(ctx, w.ready)
	w.quiet()
	if err != nil {
		cancel(nil)
		sent.detach()
		return nil, err
	}
	resp.Body = &body{bounds: &o.bounds, src: pr, sent: sent, ctx: ctx, inner: inner, cancel: cancel}
	return resp, nil
}

// begin counts one more exchange, unless the Origin is closed.
func (o *handlerOrigin) begin() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed {
		o.running.Add(1)
	}
	return !o.closed
}

// await waits for the response's head.
func (o *handlerOrigin) await(ctx context.Context, ready <-chan *Response) (*Response, error) {
	clock := time.NewTimer(o.header)
	defer clock.Stop()
	select {
	case resp := <-ready:
		if resp == nil && ctx.Err() == nil {
			return nil, o.failf(KindProtocol, "gave up without an answer: %w", io.ErrUnexpectedEOF)
		}
		if resp != nil {
			return resp, nil
		}
	case <-clock.C:
		return nil, o.failure(ctx, nil, timeoutError{})
	case <-ctx.Done():
	}
	return nil, o.failure(ctx, nil, ctx.Err())
}

// serve runs the handler and ends the response in every case.
func (o *handlerOrigin) serve(w *responder, r *http.Request) {
	defer func() {
		switch p := recover(); {
		case p == nil:
			w.finish(r.Context())
		case p == http.ErrAbortHandler:
			w.abort()
		default:
			o.log.Error().Str("backend", o.name).Str("target", r.RequestURI).Interface("panic", p).
				Bytes("stack", debug.Stack()).Msg("the handler panicked")
			w.fault()
		}
	}()
	o.h.ServeHTTP(w, r)
}

// Close implements Origin.
func (o *handlerOrigin) Close() error {
	o.mu.Lock()
	before := o.closed
	o.closed = true
	o.mu.Unlock()
	o.running.Wait()
	if c, ok := o.h.(io.Closer); ok && !before {
		return c.Close()
	}
	return nil
}

// timeoutError is what a handler's silence amounts to.
type timeoutError struct{}

func (timeoutError) Error() string   { return "the handler was silent" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

// serverRequest makes the request that a server would make of what a client sent.
func serverRequest(ctx context.Context, r *Request, sent *requestBody) (*http.Request, error) {
	if err := checkTarget(r.Method, r.Target); err != nil {
		return nil, err
	}
	if err := checkFields(r); err != nil {
		return nil, err
	}
	u, err := url.ParseRequestURI(r.Target)
	if err != nil {
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, fmt.Errorf("the target %q: %w", r.Target, err)
	}
	h := r.Header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	StripHopByHop(h)
	h.Del("Host")
	h.Del("Content-Length")
	hr := &http.Request{
		Method:     r.Method,
		URL:        u,
		Host:       r.Host,
		Header:     h,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		RequestURI: r.Target,
		Body:       http.NoBody,
	}
	if hr.Host == "" {
		hr.Host = "localhost"
	}
	if sent != nil {
		hr.Body, hr.ContentLength = sent, r.ContentLength
	}
	return hr.WithContext(ctx), nil
}
