package origin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// Kind tells on which side a Fetch failed, and how. Kinds are few and fixed, to label metrics with.
type Kind string

const (
	// KindConnect: there was no connection (refused, unknown name, TLS failed, not there within the connect timeout).
	// The backend has seen nothing of the request.
	KindConnect Kind = "connect"
	// KindTimeout: the backend was connected, and then was silent for longer than a timeout or the context allowed.
	KindTimeout Kind = "timeout"
	// KindProtocol: what came back was not a whole, valid HTTP response.
	KindProtocol Kind = "protocol"
	// KindCanceled: the caller's context was cancelled, or the Origin is closed. The backend is not to blame.
	KindCanceled Kind = "canceled"
	// KindRequest: the request cannot be sent as it is (a control byte in the target, an invalid field), or reading
	// its body failed. The backend is not to blame.
	KindRequest Kind = "request"
)

// Error says why there is no response, or why its body ended early.
type Error struct {
	Kind    Kind
	Backend string // as given to Open
	Err     error  // the cause, and what to do about it
}

// Error names the backend, the cause and the remedy. The text is for the operator's log, not for clients.
func (e *Error) Error() string { return "backend " + e.Backend + ": " + e.Err.Error() }

// Unwrap returns the cause: errors.Is finds io.ErrUnexpectedEOF, context.Canceled, context.DeadlineExceeded and the
// system's own errors.
func (e *Error) Unwrap() error { return e.Err }

// Timeout tells whether a wait ended without result; it is true for a connect timeout too.
func (e *Error) Timeout() bool {
	var t interface{ Timeout() bool }
	return e.Kind == KindTimeout || errors.As(e.Err, &t) && t.Timeout()
}

// Blames tells whether an error of a Fetch or a body is the backend's fault, and not the request's or the caller's.
func Blames(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Kind != KindCanceled && e.Kind != KindRequest
}

// errStalled is the cause with which an exchange is ended whose body did not move on in time.
var errStalled = errors.New("the body stalled")

// connectError marks what went wrong before there was a connection.
type connectError struct{ err error }

func (e *connectError) Error() string { return e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// failure makes the Error for an exchange's failure that is not the request body's. ctx is the caller's, cause that of
// the exchange's own context.
func (b *bounds) failure(ctx context.Context, cause, err error) *Error {
	var connect *connectError
	var timed net.Error
	switch {
	case errors.Is(cause, errStalled):
		return b.failf(KindTimeout, "%w for %v (raise timeouts.idle if its pages pause that long)", errStalled, b.idle)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return b.failf(KindTimeout, "no whole answer within the request's own bound: %w", context.DeadlineExceeded)
	case ctx.Err() != nil:
		return b.failf(KindCanceled, "the request was given up: %w", ctx.Err())
	case errors.As(err, &connect):
		return b.fail(KindConnect, connect.err)
	case errors.Is(err, os.ErrDeadlineExceeded): // the only deadline on a connection is that for writing
		return b.failf(KindTimeout, "took nothing of the request for %v (raise timeouts.idle if it needs that long): %w", b.idle, err)
	case errors.As(err, &timed) && timed.Timeout():
		return b.failf(KindTimeout, "no answer within %v (raise timeouts.header if its pages take longer): %w", b.header, err)
	case errors.Is(err, io.EOF):
		return b.failf(KindProtocol, "closed the connection without an answer (see its own log): %w", io.ErrUnexpectedEOF)
	}
	return b.failf(KindProtocol, "no valid HTTP response (does it speak HTTP/1.1 at this address?): %w", err)
}

// fail makes an Error in the backend's name.
func (b *bounds) fail(k Kind, err error) *Error { return &Error{Kind: k, Backend: b.name, Err: err} }

func (b *bounds) failf(k Kind, format string, args ...any) *Error {
	return b.fail(k, fmt.Errorf(format, args...))
}
