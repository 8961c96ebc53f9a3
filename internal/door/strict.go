package door

import (
	"bytes"
	"errors"
	"net/http"
	"strings"

	"github.com/valyala/fasthttp"
)

// What the HTTP parser lets through and a cache must not: whoever stands before or behind it might see the end of the
// request at another place, and take the rest for a request of its own (RFC 9112, section 11.2).
var (
	errBareLF     = errors.New("a line of the request's head ends in a bare LF")
	errFold       = errors.New("a field of the request's head is folded over two lines")
	errTwoLengths = errors.New("the request has both Content-Length and Transfer-Encoding")
	errVersion    = errors.New("the HTTP version is not 1.0 or 1.1")
)

// strict tells what is wrong with a request's head that the parser took, and the status to refuse it with.
func strict(ctx *fasthttp.RequestCtx) (int, error) {
	h := &ctx.Request.Header
	if p := alias(h.Protocol()); p != "HTTP/1.1" && p != "HTTP/1.0" {
		return http.StatusHTTPVersionNotSupported, errVersion
	}
	if c, ok := ctx.Conn().(interface{ LastRead() []byte }); ok && bareLine(c.LastRead(), h) {
		return http.StatusBadRequest, errBareLF
	}
	return http.StatusBadRequest, strictFields(h.RawHeaders())
}

// bareLine tells whether what was read begins with a request's line, ended by a bare LF. The parser keeps no request line,
// so that one which came in several pieces, or behind another request, is not seen; a recipient may take it (RFC 9112,
// section 2.2).
func bareLine(read []byte, h *fasthttp.RequestHeader) bool {
	end := bytes.IndexByte(read, '\n')
	if end < 0 || end > 0 && read[end-1] == '\r' {
		return false
	}
	line := read[:end]
	for i, part := range [][]byte{h.Method(), h.RequestURI(), h.Protocol()} {
		if i > 0 {
			line = bytes.TrimLeft(line, " ")
		}
		if !bytes.HasPrefix(line, part) {
			return false
		}
		line = line[len(part):]
	}
	return len(line) == 0
}

// strictFields checks the field lines as they came.
func strictFields(raw []byte) error {
	length, coding := false, false
	for len(raw) > 0 {
		end := bytes.IndexByte(raw, '\n')
		if end < 0 {
			return nil
		}
		if end == 0 || raw[end-1] != '\r' {
			return errBareLF
		}
		line := raw[:end-1]
		if len(line) > 0 {
			switch line[0] {
			case ' ', '\t':
				return errFold
			case 'c', 'C':
				length = length || named(line, "Content-Length")
			case 't', 'T':
				coding = coding || named(line, "Transfer-Encoding")
			}
		}
		raw = raw[end+1:]
	}
	if length && coding {
		return errTwoLengths
	}
	return nil
}

// named tells whether a field line has that name.
func named(line []byte, name string) bool {
	return len(line) > len(name) && line[len(name)] == ':' && strings.EqualFold(alias(line[:len(name)]), name)
}
