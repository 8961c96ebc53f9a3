package origin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// body is a response's body with its rules: a bound for each wait, an *Error for each end but the right one, and the
// exchange's context ended with it.
type body struct {
	*bounds
	src    io.ReadCloser
	sent   *requestBody
	ctx    context.Context // the caller's
	inner  context.Context // the exchange's: ends with ctx, when the body stalls, and when it is over
	cancel context.CancelCauseFunc
	whole  func() // called once, before io.EOF is returned

	clock  *time.Timer
	err    error // what Read goes on to return
	closed atomic.Bool
	once   sync.Once
}

// Read implements io.Reader as Response.Body promises.
func (b *body) Read(p []byte) (int, error) {
	switch {
	case b.closed.Load():
		return 0, http.ErrBodyReadAfterClose
	case b.err != nil:
		return 0, b.err
	case len(p) == 0:
		return 0, nil
	}
	if b.clock == nil {
		b.clock = time.AfterFunc(b.idle, func() { b.cancel(errStalled) })
	} else {
		b.clock.Reset(b.idle)
	}
	n, err := b.src.Read(p)
	b.clock.Stop()
	if err == nil {
		return n, nil
	}
	b.err = b.ending(err)
	b.cancel(nil)
	return n, b.err
}

// ending tells what a body's last error means to the reader.
func (b *body) ending(err error) error {
	cause := context.Cause(b.inner)
	switch {
	case err == io.EOF:
		if b.whole != nil {
			b.whole()
		}
		return io.EOF
	case b.closed.Load():
		return http.ErrBodyReadAfterClose
	case cause != nil:
		return b.failure(b.ctx, cause, err)
	}
	return b.cut(err)
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.once.Do(func() {
		b.closed.Store(true)
		b.cancel(nil)
		b.src.Close() // its error would be about a connection that is given up anyway
		b.sent.detach()
	})
	return nil
}

// requestBody lends the caller's body to a transport, which may hold on to it for longer than the loan lasts.
type requestBody struct {
	turn chan struct{} // holds one token: whoever has it may touch what is below
	r    io.Reader     // nil when the loan is over
	left int64         // bytes still to come, -1 for unknown
	err  error         // why reading it failed
}

// newRequestBody returns nil for a request without a body.
func newRequestBody(r *Request) *requestBody {
	if r.Body == nil || r.ContentLength == 0 {
		return nil
	}
	b := &requestBody{turn: make(chan struct{}, 1), r: r.Body, left: max(r.ContentLength, -1)}
	b.turn <- struct{}{}
	return b
}

// readAhead reads the first piece of content of unknown length, so that one whose first chunk is malformed is refused before
// the backend hears of it, and could answer. b may be nil. It is called before anybody reads.
func (b *requestBody) readAhead() error {
	if b == nil || b.left >= 0 {
		return nil
	}
	first := make([]byte, 4<<10)
	n, err := b.r.Read(first)
	switch err {
	case nil:
		b.r = io.MultiReader(bytes.NewReader(first[:n]), b.r)
	case io.EOF:
		b.r = bytes.NewReader(first[:n])
	default:
		return err
	}
	return nil
}

var errLoanOver = errors.New("origin: the exchange is over")

// Read reads from the caller's body. A body that ends before its length is a failure of the caller's.
func (b *requestBody) Read(p []byte) (int, error) {
	<-b.turn
	defer func() { b.turn <- struct{}{} }()
	switch {
	case b.r == nil:
		return 0, errLoanOver
	case b.err != nil:
		return 0, b.err
	case b.left == 0:
		return 0, io.EOF
	case b.left > 0 && int64(len(p)) > b.left:
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	if b.left > 0 {
		b.left -= int64(n)
		if err == io.EOF && b.left > 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

// Close does nothing: the loan ends with detach.
func (b *requestBody) Close() error { return nil }

// detach ends the loan, after the Read that is going on, and tells why reading failed if it did. b may be nil.
func (b *requestBody) detach() error {
	if b == nil {
		return nil
	}
	<-b.turn
	defer func() { b.turn <- struct{}{} }()
	b.r = nil
	return b.err
}
