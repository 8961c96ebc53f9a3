package policy

import (
	"net/http"
	"time"

	"pagegate/internal/page"
)

// Conditions adds to a fill's fields what makes it a validation of a stored page (RFC 9111, section 4.3.1). It tells
// whether the page can be validated at all.
func Conditions(h http.Header, pg *page.Page) bool {
	if pg.BodyOnly || pg.Mark() || pg.Status == 0 {
		return false
	}
	etag, modified := pg.BackendTag(), pg.Field("Last-Modified")
	if etag != nil {
		h.Set("If-None-Match", string(etag))
	}
	if modified != nil {
		h.Set("If-Modified-Since", string(modified))
	}
	return etag != nil || modified != nil
}

// Confirms tells whether a 304 speaks of this stored page: an entity tag that it names must be the page's (RFC 9111,
// section 4.3.4).
func Confirms(notModified http.Header, pg *page.Page) bool {
	etag := notModified.Get("Etag")
	return etag == "" || opaque(etag) == opaque(string(pg.Field("Etag")))
}

// HeadConfirms tells whether the answer to a HEAD speaks of this stored page: whatever validators and length it has are
// the page's (RFC 9111, section 4.3.5).
func HeadConfirms(h http.Header, length int64, pg *page.Page) bool {
	for _, name := range []string{"Etag", "Last-Modified"} {
		if v := h.Get(name); v != "" && v != string(pg.Field(name)) {
			return false
		}
	}
	return length < 0 || pg.GzippedHere || length == int64(len(pg.Body))
}

func opaque(etag string) string {
	if len(etag) > 2 && etag[0] == 'W' && etag[1] == '/' {
		return etag[2:]
	}
	return etag
}

// keptOnUpdate are the fields of a stored response that a validation does not change, since they tell how the stored
// body is to be read (RFC 9111, section 3.2).
var keptOnUpdate = map[string]bool{"Content-Length": true, "Content-Encoding": true, "Content-Range": true}

// Freshened returns a stored page's fields, updated by those of a response that confirms it (RFC 9111, section 3.2). A
// Set-Cookie in it is for the one who asked, not for the page. The time of a stored Age is over.
func Freshened(pg *page.Page, update http.Header) http.Header {
	h := pg.HTTPHeader()
	h.Del("Age")
	for name, values := range update {
		if !keptOnUpdate[name] && name != "Set-Cookie" {
			h[name] = values
		}
	}
	if len(update["Date"]) == 0 {
		h.Del("Date") // it was the old response's
	}
	return h
}

// Stored returns what of a response's fields is kept for others: all but what private="..." and no-cache="..." name
// (RFC 9111, sections 5.2.2.4 and 5.2.2.7), with a Date (RFC 9110, section 6.6.1: a recipient adds a missing one).
func Stored(h http.Header, now time.Time) http.Header {
	cc := effective(h)
	if len(cc.fields) == 0 && h.Get("Date") != "" {
		return h
	}
	h = h.Clone()
	for _, name := range cc.fields {
		h.Del(name)
	}
	if h.Get("Date") == "" {
		h.Set("Date", now.UTC().Format(http.TimeFormat))
	}
	return h
}
