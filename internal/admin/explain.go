package admin

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Explain writes for people what is known of a page: its key, where it is kept, what is stored, or why nothing is. url is
// a URL or a target of the site's. An error is the reader's mistake.
type Explain func(ctx context.Context, w io.Writer, url string) error

// ServeHTTP answers GET /explain?url=URL.
func (e Explain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := e(r.Context(), w, r.FormValue("url")); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintln(w, err)
	}
}
