package origin

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// handlerBuffer is how much of a body is gathered before the reader has to take it: a response that fits has a length.
const handlerBuffer = 8 << 10

// responder is the http.ResponseWriter of one exchange. All methods but quiet are called by the handler's goroutine.
//
// It has three states: nothing said; the head decided (WriteHeader), which can still be taken back by a panic; the
// head published to Fetch. Publishing comes with the first bytes that leave the buffer, or with the end.
type responder struct {
	r     *Request
	now   func() time.Time
	ready chan *Response // one value, buffered; closed without one by an abort
	body  *io.PipeWriter
	buf   *bufio.Writer

	header    http.Header // the handler's
	decided   *Response   // the head as it was at WriteHeader
	published bool
	ending    bool  // the handler is done: what comes now is the last
	written   int64 // bytes of body that the handler wrote

	mu    sync.Mutex // guards over
	over  bool       // no more calls of r.Informational
	early int        // 1xx responses
}

func newResponder(r *Request, body *io.PipeWriter, now func() time.Time) *responder {
	w := &responder{r: r, now: now, ready: make(chan *Response, 1), body: body, header: make(http.Header)}
	w.buf = bufio.NewWriterSize(leaving{w}, handlerBuffer)
	return w
}

// Header implements http.ResponseWriter.
func (w *responder) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *responder) WriteHeader(status int) {
	switch {
	case status < 100 || status > 999:
		panic(fmt.Sprintf("origin: invalid status code %d", status))
	case w.decided != nil:
		return
	case status < 200:
		w.informational(status)
		return
	}
	h := w.header.Clone()
	cleanFields(h)
	w.decided = &Response{Status: status, Header: h, ContentLength: -1}
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
		w.decided.ContentLength = n
	} else {
		h.Del("Content-Length")
	}
}

// Write implements http.ResponseWriter.
func (w *responder) Write(p []byte) (int, error) {
	if w.decided == nil {
		w.WriteHeader(http.StatusOK)
	}
	if bodiless(w.decided.Status) {
		return 0, http.ErrBodyNotAllowed
	}
	if n := w.decided.ContentLength; n >= 0 && w.written+int64(len(p)) > n {
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	if w.r.Method == http.MethodHead {
		return len(p), nil
	}
	return w.buf.Write(p)
}

// Flush implements http.Flusher.
func (w *responder) Flush() {
	if w.decided == nil {
		w.WriteHeader(http.StatusOK)
	}
	w.buf.Flush() // an error comes back with the next Write
	w.publish(nil)
}

// leaving is where the buffer's bytes go.
type leaving struct{ w *responder }

func (l leaving) Write(p []byte) (int, error) {
	l.w.publish(p)
	return l.w.body.Write(p)
}

// publish gives the decided head to Fetch, once. first are the first bytes of the body, if there are any yet.
func (w *responder) publish(first []byte) {
	if w.published {
		return
	}
	w.published = true
	resp := w.decided
	h := resp.Header
	if _, ok := h["Content-Type"]; !ok && len(first) > 0 && h.Get("Content-Encoding") == "" {
		h.Set("Content-Type", http.DetectContentType(first))
	}
	if _, ok := h["Date"]; !ok {
		h.Set("Date", w.now().UTC().Format(http.TimeFormat))
	}
	switch {
	case bodiless(resp.Status):
		resp.ContentLength = 0
	case resp.ContentLength < 0 && w.ending && (w.r.Method != http.MethodHead || w.written > 0):
		resp.ContentLength = w.written
		h.Set("Content-Length", strconv.FormatInt(w.written, 10))
	}
	w.ready <- resp
}

// finish ends the response of a handler that has returned. One that returned because its context ended has not said
// all.
func (w *responder) finish(ctx context.Context) {
	if ctx.Err() != nil {
		w.abort()
		return
	}
	if w.decided == nil {
		w.WriteHeader(http.StatusOK)
	}
	w.ending = true
	if err := w.buf.Flush(); err != nil {
		return // nobody reads any more
	}
	w.publish(nil)
	if w.r.Method != http.MethodHead && !bodiless(w.decided.Status) && w.written < w.decided.ContentLength {
		w.body.CloseWithError(io.ErrUnexpectedEOF)
		return
	}
	w.body.Close()
}

// fault ends the response of a handler that has panicked: 500, or a cut body if the head is out.
func (w *responder) fault() {
	if w.published {
		w.abort()
		return
	}
	w.buf.Reset(leaving{w})
	w.header, w.decided, w.written = make(http.Header), nil, 0
	http.Error(w, "500 "+http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
	w.finish(context.Background())
}

// abort ends the response as a lost connection would.
func (w *responder) abort() {
	w.body.CloseWithError(io.ErrUnexpectedEOF)
	if !w.published {
		close(w.ready)
	}
}

// informational hands on a 1xx response.
func (w *responder) informational(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.early++
	if w.over || w.r.Informational == nil || status == http.StatusContinue || w.early > maxInformational {
		return
	}
	h := w.header.Clone()
	cleanFields(h)
	w.r.Informational(status, h)
}

// quiet ends the calls of the request's Informational.
func (w *responder) quiet() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}

// bodiless tells which final statuses have no content (RFC 9110, section 6.4.1).
func bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}
