package origin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// reply is the body of a response to a request that was sent directly. Its link is ended once: by the Read that comes to
// the body's end, or by a Close before.
type reply struct {
	*exchange
	src   io.Reader // net/http's, over the exchange's buffer
	hr    *http.Response
	resp  *Response
	err   error       // what Read goes on to return
	ended atomic.Bool // the link is somebody else's, or closed
	shut  atomic.Bool // Close has been called
}

// Read implements io.Reader as Response.Body promises.
func (b *reply) Read(p []byte) (int, error) {
	switch {
	case b.shut.Load():
		return 0, http.ErrBodyReadAfterClose
	case b.err != nil:
		return 0, b.err
	case len(p) == 0:
		return 0, nil
	}
	_ = b.link.SetReadDeadline(time.Now().Add(b.o.bounds.idle)) // of a closed link Read tells
	n, err := b.src.Read(p)
	if err == nil {
		return n, nil
	}
	b.err = b.ending(err)
	if b.ended.CompareAndSwap(false, true) {
		b.end(b.err == io.EOF)
	}
	return n, b.err
}

// ending tells what the body's last error means to the reader.
func (b *reply) ending(err error) error {
	switch {
	case err == io.EOF:
		cleanFields(b.hr.Trailer)
		b.resp.Trailer = b.hr.Trailer
		return io.EOF
	case b.shut.Load():
		return http.ErrBodyReadAfterClose
	case b.ctx.Err() != nil:
		return b.o.failure(b.ctx, nil, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return b.o.failure(b.ctx, errStalled, err)
	}
	return b.o.cut(err)
}

// Close implements io.Closer. The buffer is left to a Read that may be going on.
func (b *reply) Close() error {
	b.shut.Store(true)
	if b.ended.CompareAndSwap(false, true) {
		b.stop()
		b.link.Close()
	}
	return nil
}

// cut is the error of a body that ended too early.
func (b *bounds) cut(err error) error {
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
	}
	return b.failf(KindProtocol, "the body was cut short (see its own log): %w", err)
}
