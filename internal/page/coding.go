package page

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Coding is a content coding that a page may be kept in beside the plain body (RFC 9110, section 8.4.1).
type Coding uint8

// Codings, in the order in which they are preferred where a client likes several equally.
const (
	Brotli Coding = iota
	Zstd
	Gzip

	Codings = 3
)

var codingNames = [Codings]string{"br", "zstd", "gzip"}

// String is the coding's name in HTTP.
func (c Coding) String() string { return codingNames[c] }

// ParseCoding returns the coding of a name.
func ParseCoding(name string) (Coding, error) {
	for c, n := range codingNames {
		if strings.EqualFold(n, name) {
			return Coding(c), nil
		}
	}
	return 0, fmt.Errorf("%q: want br, zstd or gzip", name)
}

// Effort of each coder: a page is coded once and sent often, but its coding must not keep a processor from visitors for
// long. 16 KiB of HTML take about 1 ms in all.
const (
	brotliLevel = 5
	gzipLevel   = 6
)

// writer is a coder that may be used again.
type writer interface {
	io.WriteCloser
	Reset(io.Writer)
}

var writers = [Codings]sync.Pool{
	Brotli: {New: func() any { return brotli.NewWriterLevel(nil, brotliLevel) }},
	Zstd: {New: func() any {
		w, _ := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20)) // fails for wrong options only
		return w
	}},
	Gzip: {New: func() any {
		w, _ := gzip.NewWriterLevel(nil, gzipLevel) // fails for a wrong level only
		return w
	}},
}

const (
	// codeFrom is the length in bytes from which a body is worth coding: below, the answer's head outweighs the gain.
	codeFrom = 512
	// codeUpTo bounds the bodies that are coded: a larger one is seldom text, and would keep its coders busy for long.
	codeUpTo = 4 << 20
)

// MayCode notes of a page that is to be stored whether it can be kept in codings too, later, when it turns out that it is
// wanted twice: that takes longer than all else about a page.
func (p *Page) MayCode() {
	p.Codable = p.encodable()
	p.Uncoded = p.Codable && len(p.Body) >= codeFrom && len(p.Body) <= codeUpTo
}

// Encode adds the codings to a page that gain from them: a plain text that may be transformed, and each coding only if it
// saves a tenth. The page's body must not change any more.
func (p *Page) Encode(codings []Coding) {
	p.Uncoded = false
	if len(p.Body) < codeFrom || len(p.Body) > codeUpTo || !p.encodable() {
		return
	}
	for _, c := range codings {
		if p.Coded[c] != nil {
			continue // kept from before, since the body is the same
		}
		p.Coded[c] = coded(c, p.Body)
	}
}

// GzipBody puts the body's gzip form in its place, for a cache whose readers take the body as it lies there: one form
// serves all of them, as those that do not take gzip can undo it. A body that would not gain stays plain.
func (p *Page) GzipBody() {
	if len(p.Body) < codeFrom || len(p.Body) > codeUpTo || !p.encodable() {
		return
	}
	if short := coded(Gzip, p.Body); short != nil {
		p.Body, p.GzippedHere = short, true
		p.Header = append([]byte("Content-Encoding: gzip\r\n"), p.Header...)
	}
}

// coded returns a body in a coding, nil if that does not save a tenth.
func coded(c Coding, body []byte) []byte {
	var b bytes.Buffer
	w := writers[c].Get().(writer)
	defer func() {
		w.Reset(nil)
		writers[c].Put(w)
	}()
	w.Reset(&b)
	_, err := w.Write(body)
	if cerr := w.Close(); err != nil || cerr != nil || b.Len() >= len(body)-len(body)/10 {
		return nil
	}
	return bytes.Clone(b.Bytes())
}

// encodable tells whether the page is a text without a coding, and nothing forbids to transform it.
func (p *Page) encodable() bool {
	if p.Status != http.StatusOK || p.Field("Content-Encoding") != nil || !isText(string(p.Field("Content-Type"))) {
		return false
	}
	transform := true
	p.EachField(func(name, value []byte) {
		transform = transform && !(string(name) == "Cache-Control" && forbidsTransform(string(value)))
	})
	return transform
}

// Codable tells whether a response with that status and those fields makes a page that may be kept in codings.
func Codable(status int, h http.Header) bool {
	return status == http.StatusOK && len(h["Content-Encoding"]) == 0 && isText(h.Get("Content-Type")) &&
		!forbidsTransform(strings.Join(h["Cache-Control"], ","))
}

// forbidsTransform tells whether a Cache-Control has no-transform (RFC 9111, section 5.2.2.6).
func forbidsTransform(cacheControl string) bool {
	return strings.Contains(strings.ToLower(cacheControl), "no-transform")
}

// isText tells whether bodies of a media type are usually text.
func isText(contentType string) bool {
	media, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	media = strings.TrimSpace(media)
	switch media {
	case "application/json", "application/javascript", "application/xml", "application/manifest+json", "application/wasm",
		"application/rss+xml", "application/atom+xml", "image/svg+xml", "image/x-icon", "font/ttf", "font/otf":
		return true
	}
	return strings.HasPrefix(media, "text/") && media != "text/event-stream" || strings.HasSuffix(media, "+json") || strings.HasSuffix(media, "+xml")
}

// IsCoded tells whether the page is kept in any coding beside the plain body.
func (p *Page) IsCoded() bool {
	for _, b := range p.Coded {
		if b != nil {
			return true
		}
	}
	return false
}

// VariesByCoding tells whether answers from the page depend on Accept-Encoding, now or once it has been coded.
func (p *Page) VariesByCoding() bool { return p.Codable || p.GzippedHere || p.IsCoded() }
