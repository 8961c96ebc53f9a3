package door

import (
	"strings"

	"github.com/valyala/fasthttp"

	"pagegate/internal/page"
)

// weights are what an Accept-Encoding field gives to the codings, in thousandths; -1 where it does not name one.
type weights struct {
	coding        [page.Codings]int
	identity, any int
}

// parseWeights reads an Accept-Encoding field (RFC 9110, section 12.5.3). It allocates nothing.
func parseWeights(value string) weights {
	w := weights{identity: -1, any: -1}
	for c := range w.coding {
		w.coding[c] = -1
	}
	for value != "" {
		var item string
		item, value, _ = strings.Cut(value, ",")
		name, parameter, _ := strings.Cut(item, ";")
		q := weight(parameter)
		switch name = strings.Trim(name, " \t"); {
		case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"):
			w.coding[page.Gzip] = q
		case strings.EqualFold(name, "br"):
			w.coding[page.Brotli] = q
		case strings.EqualFold(name, "zstd"):
			w.coding[page.Zstd] = q
		case strings.EqualFold(name, "identity"):
			w.identity = q
		case name == "*":
			w.any = q
		}
	}
	return w
}

// weight reads a `q=` parameter in thousandths; one that is missing or cannot be read is 1.
func weight(parameter string) int {
	q := strings.Trim(parameter, " \t")
	if len(q) < 3 || q[0]|0x20 != 'q' || q[1] != '=' {
		return 1000
	}
	whole, fraction, _ := strings.Cut(q[2:], ".")
	if whole != "0" {
		return 1000
	}
	n := 0
	for i := range 3 {
		n *= 10
		if i < len(fraction) && fraction[i] >= '0' && fraction[i] <= '9' {
			n += int(fraction[i] - '0')
		}
	}
	return n
}

// of is the weight of a coding.
func (w *weights) of(c page.Coding) int {
	if q := w.coding[c]; q >= 0 {
		return q
	}
	return max(w.any, 0)
}

// choose picks the coding of a page that a client likes best; ok is false for the plain body, which a client without the
// field gets too.
func choose(accept string, p *page.Page) (best page.Coding, ok bool) {
	if accept == "" || !p.IsCoded() {
		return 0, false
	}
	w := parseWeights(accept)
	most := max(w.identity, 1) // a client that says nothing of the plain body likes any coding better
	for c := range page.Coding(page.Codings) {
		if q := w.of(c); p.Coded[c] != nil && (q > most || q == most && !ok && w.identity < q) {
			best, most, ok = c, q, true
		}
	}
	return best, ok
}

// TakesCoding tells whether a visitor would rather have a page of text in one of the codings.
func (v *Visit) TakesCoding() bool {
	if v.fields.acceptEncoding == "" {
		return false
	}
	w := parseWeights(v.fields.acceptEncoding)
	for c := range page.Coding(page.Codings) {
		if w.of(c) > max(w.identity, 0) {
			return true
		}
	}
	return false
}

// acceptsGzip tells whether a client takes gzip. A request without the field would take any coding; it gets the plain
// body, which nobody fails to read.
func acceptsGzip(accept string) bool {
	w := parseWeights(accept)
	return w.of(page.Gzip) > 0
}

// setCoding says that the body is coded, and that other clients get another.
func setCoding(h *fasthttp.ResponseHeader, c page.Coding) {
	h.Set("Content-Encoding", c.String())
	weaken(h)
}

// varyByCoding says that the answer depends on Accept-Encoding.
func varyByCoding(h *fasthttp.ResponseHeader) {
	if !strings.Contains(strings.ToLower(alias(h.Peek("Vary"))), "accept-encoding") {
		h.Add("Vary", "Accept-Encoding")
	}
}

// weaken makes the entity tag a weak one: the bytes are others than those that the backend tagged (RFC 9110, section
// 8.8.3.3).
func weaken(h *fasthttp.ResponseHeader) {
	if etag := string(h.Peek("Etag")); etag != "" && !strings.HasPrefix(etag, "W/") {
		h.Set("Etag", "W/"+etag)
	}
}
