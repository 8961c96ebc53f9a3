package admin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Explain writes for people what is known of a page: its key, where it is kept, what is stored, or why nothing is. url is
// a URL or a target of the site's. An error is the reader's mistake.
// fields are the request's.
type Explain func(ctx context.Context, w io.Writer, url string, fields http.Header) error

// ServeHTTP answers GET /explain?url=URL&header=NAME:VALUE, the latter any number of times.
func (e Explain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	url, fields := r.FormValue("url"), make(http.Header)
	for _, line := range r.Form["header"] {
		name, value, _ := strings.Cut(line, ":")
		fields.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	if err := e(r.Context(), w, url, fields); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintln(w, err)
	}
}
