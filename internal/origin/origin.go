// Package origin is where pages come from: an HTTP backend over TCP, TLS or a unix socket, a directory of files and
// templates, the built-in demo site, or any http.Handler of this process. All of them look the same to whoever fills a
// cache: a request goes in, a response with a streamed body comes out.
//
// Two rules hold for every Origin. What goes through is neither judged nor changed: the target is sent byte for byte,
// the fields as given less the ones that belong to one connection, no redirect is followed, nothing is unpacked. And
// what fails is seen to fail: a body that was cut short never ends in a clean EOF, so half a page cannot pass for a
// whole one, and each wait has a bound of its own besides the caller's context.
package origin

import (
	"context"
	"io"
	"net/http"
)

// Request is what a backend is asked. Fetch does not change it.
type Request struct {
	// Method is the method's name, in its own case.
	Method string
	// Target is the raw request target in origin form, "/path?query", as the client wrote it; "*" is allowed with
	// OPTIONS. It is sent byte for byte. One case is different: in the path of a target that begins with "//", bytes
	// that no URI may hold (0x80-0xFF and "<>\^`{|}) are percent-encoded, which keeps the meaning.
	Target string
	// Host is the Host field's value; empty for the backend's own.
	Host string
	// Header holds the other fields. Those that belong to one connection (see StripHopByHop), Host and Content-Length
	// are not taken from it.
	Header http.Header
	// Body is the content, nil for none. It stays the caller's: it is never closed here, and not read any more once
	// Fetch has failed or the response's body is closed. Both wait for a Read that is going on, so a reader that can
	// block without end needs a bound of its own.
	Body io.Reader
	// ContentLength is the number of bytes in Body: -1 when that is not known (sent chunked); with 0 Body is not read.
	ContentLength int64
	// Trailer holds the fields that follow a body of unknown length. The names must be there from the start; the
	// values may be set until Body has returned io.EOF.
	Trailer http.Header
	// Informational, if not nil, is called for each 1xx response but 100, which belongs to one connection (RFC 9110,
	// section 15.2). The calls come one after the other, from any goroutine, and none after Fetch has returned.
	Informational func(status int, h http.Header)
}

// Response is what a backend answered. It belongs to the caller, who must close Body.
type Response struct {
	// Status is the three-digit status code, never 1xx.
	Status int
	// Header holds the end-to-end fields by canonical name, Content-Length among them if the backend sent one.
	Header http.Header
	// Trailer is complete once Body has returned io.EOF. Before, it holds the names that the backend announced. An
	// in-process handler has none.
	Trailer http.Header
	// Body is never nil. It ends in io.EOF only if it is whole: any other end is an *Error, and one of KindProtocol
	// wraps io.ErrUnexpectedEOF. (A body whose end is marked by nothing but the end of the connection is whole by
	// definition: RFC 9112, section 6.3.) Read is for one goroutine at a time; Close may be called beside it, ends it,
	// and may be called again.
	Body io.ReadCloser
	// ContentLength is the number of bytes in Body, -1 when that is not known. For HEAD it is what a GET's would be.
	ContentLength int64
	// AtHand says that all of Body has come already, so that reading it is not expected to wait.
	AtHand bool
}

// Origin is a backend. Any number of goroutines may use it at once.
type Origin interface {
	// Fetch sends r and returns when the response's head is there. ctx governs the whole exchange: when it ends before
	// the body does, reading fails. A response of any status is no error. An error is always an *Error, and then
	// nothing is left to close.
	Fetch(ctx context.Context, r *Request) (*Response, error)
	// Close ends the idle connections and makes later calls of Fetch fail. Exchanges that are under way go on; those of
	// an in-process handler are waited for, so their bodies must have been closed or their contexts ended.
	Close() error
}
