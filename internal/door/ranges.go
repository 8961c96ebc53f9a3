package door

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"
)

// maxRanges bounds the parts of one answer; a request for more gets the whole (RFC 9110, section 14.2, allows to ignore
// a Range that looks like an attack).
const maxRanges = 32

// span is a part of a body: from the byte at first, n bytes.
type span struct{ first, n int64 }

func (s span) contentRange(size int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", s.first, s.first+s.n-1, size)
}

// wantsRange tells whether a GET asks for part of a 200 answer whose validators are etag and modified: by a Range, and
// an If-Range that is fulfilled if there is one (RFC 9110, sections 13.1.5 and 14.2).
func (f *fields) wantsRange(etag, modified string) bool {
	if f.ranges == "" {
		return false
	}
	switch cond := f.ifRange; {
	case cond == "":
		return true
	case strings.HasPrefix(cond, `"`):
		return cond == etag // by strong comparison: a weak tag never fulfils it
	case strings.HasPrefix(cond, "W/"):
		return false
	default:
		return modified != "" && cond == modified
	}
}

// parseRanges reads a Range field against a body of size bytes. ok is false for one that is to be ignored: another unit,
// not valid, too many parts, or parts that overlap so much that the whole is shorter. No span means that none can be
// satisfied.
func parseRanges(value string, size int64) (spans []span, ok bool) {
	unit, list, found := strings.Cut(value, "=")
	if !found || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return nil, false
	}
	total := int64(0)
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.Trim(item, " \t"); item == "" {
			continue
		}
		s, valid, satisfiable := parseRange(item, size)
		switch {
		case !valid:
			return nil, false
		case !satisfiable:
			ok = true
			continue
		}
		spans, ok = append(spans, s), true
		if total += s.n; len(spans) > maxRanges || total > size && len(spans) > 1 {
			return nil, false
		}
	}
	return spans, ok
}

// parseRange reads one item: first-last, first- or -length.
func parseRange(item string, size int64) (s span, valid, satisfiable bool) {
	from, to, found := strings.Cut(item, "-")
	if !found {
		return s, false, false
	}
	if from == "" {
		n, ok := digits(to)
		if !ok {
			return s, false, false
		}
		n = min(n, size)
		return span{size - n, n}, true, n > 0
	}
	first, ok := digits(from)
	if !ok {
		return s, false, false
	}
	last := size - 1
	if to != "" {
		if last, ok = digits(to); !ok || last < first {
			return s, false, false
		}
	}
	if first >= size {
		return s, true, false
	}
	return span{first, min(last, size-1) - first + 1}, true, true
}

// digits reads a number; one that is too large counts as the largest.
func digits(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 1<<63 - 1, true
	}
	return n, true
}

// notSatisfiable answers that no part asked for lies within the body (RFC 9110, section 15.5.17).
func notSatisfiable(resp *fasthttp.Response, size int64) {
	resp.SetStatusCode(http.StatusRequestedRangeNotSatisfiable)
	resp.Header.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
	resp.SetBody(nil)
}

// setSpans answers with parts of a body that lies in memory; the bytes are copied.
func setSpans(resp *fasthttp.Response, spans []span, body []byte) {
	resp.SetStatusCode(http.StatusPartialContent)
	size := int64(len(body))
	if len(spans) == 1 {
		s := spans[0]
		resp.Header.Set("Content-Range", s.contentRange(size))
		resp.SetBody(body[s.first : s.first+s.n])
		return
	}
	contentType := string(resp.Header.ContentType())
	boundary := newBoundary()
	var b bytes.Buffer
	for _, s := range spans {
		fmt.Fprintf(&b, "\r\n--%s\r\n", boundary)
		if contentType != "" {
			fmt.Fprintf(&b, "Content-Type: %s\r\n", contentType)
		}
		fmt.Fprintf(&b, "Content-Range: %s\r\n\r\n", s.contentRange(size))
		b.Write(body[s.first : s.first+s.n])
	}
	fmt.Fprintf(&b, "\r\n--%s--\r\n", boundary)
	resp.Header.SetContentType("multipart/byteranges; boundary=" + boundary)
	resp.SetBody(b.Bytes())
}

// newBoundary is one that no body can hold but by chance.
func newBoundary() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// setStreamSpan answers with one part of a body of size bytes that arrives from a backend.
func setStreamSpan(resp *fasthttp.Response, s span, body io.ReadCloser, size int64) {
	resp.SetStatusCode(http.StatusPartialContent)
	resp.Header.Set("Content-Range", s.contentRange(size))
	resp.SetBodyStream(&part{body: body, skip: s.first, left: s.n}, int(s.n))
}

// part reads a part of a body.
type part struct {
	body       io.ReadCloser
	skip, left int64
}

// Read implements io.Reader. What comes before the part is read and thrown away.
func (p *part) Read(b []byte) (int, error) {
	if p.skip > 0 {
		n, err := io.CopyN(io.Discard, p.body, p.skip)
		if p.skip -= n; err != nil {
			return 0, err
		}
	}
	if p.left == 0 {
		return 0, io.EOF
	}
	n, err := p.body.Read(b[:min(int64(len(b)), p.left)])
	if p.left -= int64(n); p.left == 0 {
		err = io.EOF
	}
	return n, err
}

// Close ends the reading.
func (p *part) Close() error { return p.body.Close() }
