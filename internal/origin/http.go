package origin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"pagegate/internal/idle"
)

// maxHeaderBytes bounds a response's head.
const maxHeaderBytes = 256 << 10

// maxInformational bounds the 1xx responses before a final one: each that is looked at resets net/http's own bound.
const maxInformational = 16

// httpOrigin is an HTTP/1.1 server. Requests with content go through net/http's transport, which can read an answer while it
// still writes; all others, and that is nearly all, are sent directly (direct.go). A connection that has carried content
// carries nothing after it: to a backend that has not read all of it the rest would be a request, written by one client
// and answered to another. HTTP/2 is not spoken: it would save nothing on the short way to a backend, and could not carry
// every target as it is.
type httpOrigin struct {
	bounds
	scheme, host string
	plainHost    bool // host can be sent as it stands
	dial         func(context.Context) (net.Conn, error)
	links        idle.Pool[*link]
	transport    *http.Transport
	closed       atomic.Bool
}

func newHTTPOrigin(b bounds, scheme, host string, d dialer, o Options) *httpOrigin {
	d.timeout, d.idle = o.ConnectTimeout, o.IdleTimeout
	from := &httpOrigin{
		bounds:    b,
		scheme:    scheme,
		host:      host,
		plainHost: validHost(host) && !strings.Contains(host, "%"), // no zone, and none of other alphabets
		dial:      d.dial,
		links:     idle.Pool[*link]{Keep: o.KeepIdle},
	}
	if scheme == "https" {
		from.dial = tlsDialer{dialer: d, config: o.TLS}.dial
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return from.dial(ctx) }
	from.transport = &http.Transport{
		DialContext:            dial,
		DialTLSContext:         dial,
		DisableCompression:     true,
		DisableKeepAlives:      true, // see httpOrigin
		ResponseHeaderTimeout:  o.HeaderTimeout,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	return from
}

// Fetch implements Origin.
func (o *httpOrigin) Fetch(ctx context.Context, r *Request) (*Response, error) {
	if o.closed.Load() {
		return nil, o.fail(KindCanceled, net.ErrClosed)
	}
	sent := newRequestBody(r)
	if o.goesDirect(r, sent) {
		return o.fetchDirect(ctx, r)
	}
	return o.fetchWhileSending(ctx, r, sent)
}

// fetchWhileSending is Fetch by net/http's transport.
func (o *httpOrigin) fetchWhileSending(ctx context.Context, r *Request, sent *requestBody) (*Response, error) {
	hr, err := o.request(r, sent)
	if err != nil {
		return nil, o.fail(KindRequest, err)
	}
	if err := sent.readAhead(); err != nil {
		return nil, o.failf(KindRequest, "reading the request's body: %w", err)
	}
	inner, cancel := context.WithCancelCause(ctx)
	traced, quiet := traceInformational(inner, r.Informational)
	resp, err := o.transport.RoundTrip(hr.WithContext(traced))
	quiet()
	if err == nil {
		if err = checkResponse(resp); err != nil {
			resp.Body.Close()
		}
	}
	if err != nil {
		cancel(nil)
		if berr := sent.detach(); berr != nil {
			return nil, o.failf(KindRequest, "reading the request's body: %w", berr)
		}
		return nil, o.failure(ctx, nil, err)
	}
	return o.response(resp, &body{bounds: &o.bounds, src: resp.Body, sent: sent, ctx: ctx, inner: inner, cancel: cancel}), nil
}

// request makes net/http's request.
func (o *httpOrigin) request(r *Request, sent *requestBody) (*http.Request, error) {
	u, err := targetURL(o.scheme, o.host, r.Method, r.Target)
	if err != nil {
		return nil, err
	}
	if err := checkFields(r); err != nil {
		return nil, err
	}
	h := r.Header.Clone()
	if h == nil {
		h = make(http.Header)
	}
	StripHopByHop(h)
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = nil // or net/http puts in its own
	}
	hr := &http.Request{Method: r.Method, URL: u, Host: r.Host, Header: h, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	if sent != nil {
		hr.Body, hr.ContentLength = sent, r.ContentLength
		if r.ContentLength < 0 {
			hr.TransferEncoding = []string{"chunked"} // said here, or net/http waits to see whether a body comes
			hr.Trailer = r.Trailer
		}
	}
	return hr, nil
}

// checkResponse refuses what net/http lets through: a switch to a protocol that nobody asked for, and a field name
// that is no token. Another reader might take "Transfer-Encoding :" for the field, and see another end of the body.
func checkResponse(hr *http.Response) error {
	if hr.StatusCode == http.StatusSwitchingProtocols {
		return errors.New("it switched protocols unasked")
	}
	for name := range hr.Header {
		if !isToken(name) {
			return fmt.Errorf("the field name %q is no token", name)
		}
	}
	return nil
}

// response makes the caller's response.
func (o *httpOrigin) response(hr *http.Response, b *body) *Response {
	cleanFields(hr.Header)
	resp := &Response{
		Status:        hr.StatusCode,
		Header:        hr.Header,
		Trailer:       hr.Trailer,
		Body:          b,
		ContentLength: hr.ContentLength,
	}
	b.whole = func() {
		cleanFields(hr.Trailer)
		resp.Trailer = hr.Trailer
	}
	return resp
}

// Close implements Origin.
func (o *httpOrigin) Close() error {
	o.closed.Store(true)
	o.links.Close()
	return nil
}

// traceInformational has report called for each 1xx response but 100, until quiet has been called.
func traceInformational(ctx context.Context, report func(int, http.Header)) (traced context.Context, quiet func()) {
	if report == nil {
		return ctx, func() {}
	}
	var mu sync.Mutex
	seen, over := 0, false
	got := func(status int, h textproto.MIMEHeader) error {
		mu.Lock()
		defer mu.Unlock()
		if seen++; seen > maxInformational {
			return errTooManyInterim
		}
		if !over && status != http.StatusContinue {
			fields := http.Header(h).Clone()
			cleanFields(fields)
			report(status, fields)
		}
		return nil
	}
	quiet = func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: got}), quiet
}

// dialer makes connections to one address. Whatever goes wrong before there is one is a connectError.
type dialer struct {
	network, addr string
	name          string // the server's, for TLS
	timeout       time.Duration
	idle          time.Duration
}

func (d dialer) dial(ctx context.Context) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: d.timeout}).DialContext(ctx, d.network, d.addr)
	if err != nil {
		return nil, &connectError{fmt.Errorf("cannot connect (is it running, and is the address right?): %w", err)}
	}
	return &writeBoundConn{Conn: conn, idle: d.idle}, nil
}

// tlsDialer makes connections for https; the bound holds for both steps together.
type tlsDialer struct {
	dialer
	config *tls.Config
}

func (d tlsDialer) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	raw, err := d.dialer.dial(ctx)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{}
	if d.config != nil {
		config = d.config.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = d.name
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, &connectError{fmt.Errorf("no TLS connection (does it speak TLS, with a certificate for this name?): %w", err)}
	}
	return conn, nil
}

// writeBoundConn bounds each wait for the peer to take more. Reading has bounds elsewhere: an idle connection is always
// being read from.
type writeBoundConn struct {
	net.Conn
	idle time.Duration
}

func (c *writeBoundConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
