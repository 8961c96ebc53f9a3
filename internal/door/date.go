package door

import (
	"net/http"
	"time"

	"github.com/valyala/fasthttp"
)

// setDate gives an answer a Date of its own: a stored page keeps the one that its backend gave it, since its freshness
// is counted from there (RFC 9110, section 6.6.1; RFC 9111, section 4.2.3).
//
// fasthttp takes no Date from its users: it either adds the present one or, told not to (NewServer does), none. So the
// field is set under a name that is not special and renamed where it lies; TestDate holds that this works.
func setDate(h *fasthttp.ResponseHeader, value []byte) {
	h.SetBytesV(unnamedDate, value)
	for name := range h.All() {
		if string(name) == unnamedDate {
			name[0] = 'D'
			return
		}
	}
}

// unnamedDate is Date but for its first letter.
const unnamedDate = "Xate"

// setDateNow is for answers that are made here.
func setDateNow(h *fasthttp.ResponseHeader, now time.Time) {
	var buf [len(http.TimeFormat)]byte
	setDate(h, now.UTC().AppendFormat(buf[:0], http.TimeFormat))
}
