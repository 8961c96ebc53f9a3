package door

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"pagegate/internal/page"
)

// Answers that are sent by event loops (internal/loop) are written here, from the page to the bytes; WritePage makes the
// same answers for fasthttp's server. TestHeadsAreAlike holds the two together.

// statusLines are ready-made.
var statusLines = func() (lines [1000]string) {
	for status := range lines {
		if text := http.StatusText(status); text != "" {
			lines[status] = "HTTP/1.1 " + strconv.Itoa(status) + " " + text + "\r\n"
		}
	}
	return lines
}()

func appendStatusLine(dst []byte, status int) []byte {
	if status >= 0 && status < len(statusLines) && statusLines[status] != "" {
		return append(dst, statusLines[status]...)
	}
	return append(strconv.AppendInt(append(dst, "HTTP/1.1 "...), int64(status), 10), " \r\n"...)
}

// AppendHit answers a visit from a page in the cache: the head goes behind dst, and the body is the page's own bytes, nil
// if none is to be sent. It returns false, and dst as it was, for an answer that has to be made while it is sent.
func AppendHit(dst []byte, ctx *fasthttp.RequestCtx, v *Visit, p *page.Page, now time.Time) (head, body []byte, ok bool) {
	if v.fields.debug != "" {
		return dst, nil, false
	}
	if p.Status == http.StatusOK && !p.BodyOnly && !p.GzippedHere && !v.fields.selective() && p.Field("Content-Encoding") == nil {
		return appendWhole(dst, ctx, v, p, now)
	}
	resp := &ctx.Response
	resp.Reset()
	resp.Header.SetNoDefaultContentType(true)
	v.Lend = true
	ok = WritePage(ctx, v, p, now)
	v.Lend = false
	if !ok {
		return dst, nil, false
	}
	body = resp.Body()
	head = appendResponse(dst, resp, len(body))
	if resp.SkipBody || ctx.IsHead() || bodiless(p.Status) {
		body = nil
	}
	return head, body, true
}

// selective tells whether a request asks for less than the page, or on a condition.
func (f *fields) selective() bool {
	return f.ifNoneMatch != "" || f.ifModifiedSince != "" || f.ranges != ""
}

// appendWhole answers with the whole of a page as it is stored: most hits, and so in one pass over its fields.
func appendWhole(dst []byte, ctx *fasthttp.RequestCtx, v *Visit, p *page.Page, now time.Time) (head, body []byte, ok bool) {
	ctx.Response.SetStatusCode(p.Status) // for the log
	body = p.Body
	coding, coded := choose(v.fields.acceptEncoding, p)
	dated, varied := false, !p.VariesByCoding()
	dst = appendStatusLine(dst, p.Status)
	for rest := p.Header; len(rest) > 0; {
		line := rest[:bytes.IndexByte(rest, '\n')+1]
		rest = rest[len(line):]
		switch line[0] {
		case 'C', 'S':
			if tagLine(line) {
				continue
			}
		case 'D':
			dated = dated || bytes.HasPrefix(line, []byte("Date: "))
		case 'E':
			if coded && bytes.HasPrefix(line, []byte(`Etag: "`)) {
				dst, line = append(dst, "Etag: W/"...), line[len("Etag: "):]
			}
		case 'V':
			varied = varied || bytes.HasPrefix(line, []byte("Vary: ")) && bytes.Contains(bytes.ToLower(line), []byte("accept-encoding"))
		}
		dst = append(dst, line...)
	}
	if !dated {
		dst = append(now.UTC().AppendFormat(append(dst, "Date: "...), http.TimeFormat), "\r\n"...)
	}
	dst = append(p.AppendAge(append(dst, "Age: "...), now), "\r\nVia: "+via+"\r\nCache-Status: "...)
	dst = append(appendHit(dst, p, now), "\r\n"...)
	if !varied {
		dst = append(dst, "Vary: Accept-Encoding\r\n"...)
	}
	if coded {
		body = p.Coded[coding]
		dst = append(append(append(dst, "Content-Encoding: "...), coding.String()...), "\r\n"...)
	}
	dst = append(strconv.AppendInt(append(dst, "Content-Length: "...), int64(len(body)), 10), "\r\n\r\n"...)
	if ctx.IsHead() {
		body = nil
	}
	return dst, body, true
}

// tagLine tells whether a field line holds tags, which are not for clients.
func tagLine(line []byte) bool {
	return bytes.HasPrefix(line, []byte("Surrogate-Key: ")) || bytes.HasPrefix(line, []byte("Cache-Tag: "))
}

// appendResponse appends the head of a response whose content has n bytes, or, with -1, ends with the connection.
func appendResponse(dst []byte, resp *fasthttp.Response, n int) []byte {
	status := resp.StatusCode()
	dst = appendStatusLine(dst, status)
	for name, value := range resp.Header.All() {
		if string(name) == "Content-Length" {
			continue // told of below
		}
		dst = append(append(append(append(dst, name...), ": "...), value...), "\r\n"...)
	}
	if n >= 0 && !bodiless(status) {
		dst = append(strconv.AppendInt(append(dst, "Content-Length: "...), int64(n), 10), "\r\n"...)
	}
	return append(dst, "\r\n"...)
}
