package origin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// A request that has no content and may be repeated is sent here, by the goroutine that asks: written in one piece, and
// the response read by net/http's parser from the connection itself. net/http's transport has two goroutines for each
// connection, which read while they write; where nothing is written but a head there is nothing to gain from them, and
// they cost more than the exchange.

// goesDirect tells whether a request can be sent so: by a method that is idempotent (RFC 9110, section 9.2.2), since a
// link that was kept may turn out to be dead.
func (o *httpOrigin) goesDirect(r *Request, sent *requestBody) bool {
	if sent != nil || !o.plainHost || strings.IndexByte(r.Host, '%') >= 0 {
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// fetchDirect sends a request and reads the response's head.
func (o *httpOrigin) fetchDirect(ctx context.Context, r *Request) (*Response, error) {
	head := heads.Get().(*[]byte)
	defer heads.Put(head)
	var err error
	if *head, err = o.appendRequest((*head)[:0], r); err != nil {
		return nil, o.fail(KindRequest, err)
	}
	for {
		l := o.takeLink()
		if l == nil {
			conn, err := o.dial(ctx)
			if err != nil {
				return nil, o.failure(ctx, nil, err)
			}
			l = newLink(conn)
		}
		x := &exchange{o: o, link: l, r: r, ctx: ctx}
		resp, err := x.run(*head)
		if err == nil {
			return resp, nil
		}
		if !l.used || x.answered || ctx.Err() != nil || timedOut(err) {
			return nil, o.failure(ctx, nil, err)
		}
		// The backend hung up while the request was on its way: it has not seen it, or has not begun to answer.
	}
}

func timedOut(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// heads are buffers for requests.
var heads = sync.Pool{New: func() any { return new([]byte) }}

// appendRequest appends a request's head, its fields in the order that net/http gives them.
func (o *httpOrigin) appendRequest(dst []byte, r *Request) ([]byte, error) {
	target, err := o.requestTarget(r)
	if err != nil {
		return dst, err
	}
	if err := checkFields(r); err != nil {
		return dst, err
	}
	host := r.Host
	if host == "" {
		host = o.host
	}
	dst = append(append(append(append(dst, r.Method...), ' '), target...), " HTTP/1.1\r\nHost: "...)
	dst = append(append(dst, host...), "\r\n"...)
	h := endToEndFields(r.Header)
	dst = appendField(dst, "User-Agent", h["User-Agent"])
	var space [32]string
	names := space[:0]
	for name := range h {
		switch name {
		case "Host", "User-Agent", "Content-Length", "Trailer":
		default:
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		dst = appendField(dst, name, h[name])
	}
	return append(dst, "\r\n"...), nil
}

// requestTarget is what stands in the request line.
func (o *httpOrigin) requestTarget(r *Request) (string, error) {
	if !strings.HasPrefix(r.Target, "//") {
		return r.Target, checkTarget(r.Method, r.Target)
	}
	u, err := targetURL(o.scheme, o.host, r.Method, r.Target)
	if err != nil {
		return "", err
	}
	return u.RequestURI(), nil
}

func appendField(dst []byte, name string, values []string) []byte {
	for _, v := range values {
		dst = append(append(dst, name...), ": "...)
		dst = append(append(dst, strings.Trim(v, " \t")...), "\r\n"...)
	}
	return dst
}

// endToEndFields returns the fields to be sent: h itself, if all of them are.
func endToEndFields(h http.Header) http.Header {
	for name := range h {
		if hopByHop(http.CanonicalHeaderKey(name)) {
			h = h.Clone()
			StripHopByHop(h)
			return h
		}
	}
	return h
}

// exchange is one request over a link, and the body of its response.
type exchange struct {
	o        *httpOrigin
	link     *link
	r        *Request
	ctx      context.Context // the caller's
	buf      *bufio.Reader
	stop     func() bool // ends the link's end with ctx
	answered bool        // something of an answer has come
	spent    bool        // the link cannot carry another exchange
}

// run sends the request's head and reads the response's.
func (x *exchange) run(head []byte) (*Response, error) {
	x.stop = context.AfterFunc(x.ctx, func() { x.link.Close() })
	x.buf = readers.Get().(*bufio.Reader)
	x.buf.Reset(x.link)
	hr, err := x.converse(head)
	if err == nil {
		if err = checkResponse(hr); err == nil {
			return x.response(hr), nil
		}
	}
	x.end(false)
	return nil, err
}

// converse writes the request and reads up to the head of the final response.
func (x *exchange) converse(head []byte) (*http.Response, error) {
	if _, err := x.link.Write(head); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		x.spent = true // it may have answered before it hung up
	}
	if err := x.link.SetReadDeadline(time.Now().Add(x.o.header)); err != nil {
		return nil, err
	}
	x.link.head = maxHeaderBytes
	defer func() { x.link.head = -1 }()
	if _, err := x.buf.Peek(1); err != nil {
		return nil, silence(err)
	}
	x.answered = true
	asked := &http.Request{Method: x.r.Method}
	for interim := 0; ; interim++ {
		hr, err := http.ReadResponse(x.buf, asked)
		if err != nil {
			return nil, silence(err)
		}
		if hr.StatusCode >= 200 || hr.StatusCode == http.StatusSwitchingProtocols {
			return hr, nil
		}
		if interim >= maxInformational {
			return nil, errTooManyInterim
		}
		if hr.StatusCode != http.StatusContinue && x.r.Informational != nil {
			cleanFields(hr.Header)
			x.r.Informational(hr.StatusCode, hr.Header)
		}
	}
}

var errTooManyInterim = fmt.Errorf("more than %d interim responses", maxInformational)

// silence is the error of a wait for a head that met the deadline: other than one for a write that did.
func silence(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return silentError{err}
	}
	return err
}

// silentError says that no head came in time.
type silentError struct{ cause error }

func (e silentError) Error() string { return "it was silent" }
func (e silentError) Timeout() bool { return true }

// Temporary makes it a net.Error.
func (e silentError) Temporary() bool { return true }

// response makes the caller's response. Where there is no body the link is free at once.
func (x *exchange) response(hr *http.Response) *Response {
	cleanFields(hr.Header)
	x.spent = x.spent || hr.Close
	resp := &Response{Status: hr.StatusCode, Header: hr.Header, Trailer: hr.Trailer, ContentLength: hr.ContentLength}
	b := &reply{exchange: x, src: hr.Body, hr: hr, resp: resp}
	if hr.Body == http.NoBody {
		resp.AtHand = true
		b.ended.Store(true)
		x.end(true)
	} else {
		resp.AtHand = x.atHand(hr)
	}
	resp.Body = b
	return resp
}

// atHand tells whether the body lies in the buffer: by its length, or because what has come ends as a body in chunks does.
func (x *exchange) atHand(hr *http.Response) bool {
	n := x.buf.Buffered()
	if hr.ContentLength >= 0 {
		return int64(n) >= hr.ContentLength
	}
	const last = "\r\n0\r\n\r\n"
	if len(hr.TransferEncoding) == 0 || n < len(last) {
		return false
	}
	b, _ := x.buf.Peek(n)
	return string(b[n-len(last):]) == last
}

// end gives the link back if it is as good as new after a whole response, or else closes it. It is called once.
func (x *exchange) end(whole bool) {
	clean := x.stop() && whole && !x.spent && x.buf.Buffered() == 0
	x.buf.Reset(nil)
	readers.Put(x.buf)
	x.buf = nil
	if clean {
		x.link.used = true
		x.o.links.Put(x.link)
	} else {
		x.link.Close()
	}
}
