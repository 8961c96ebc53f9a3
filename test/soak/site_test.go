package soak

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// The site behind the doors: a process of its own, so that it can be killed. Every page says its own target, the time at
// which it was rendered, and whose it is, and the rest of it follows from that, so that whoever reads it knows whether it is
// whole and the right one.

const (
	// grain is how long a page stays the same: validations within it are answered with 304.
	grain = 500 * time.Millisecond
	// slowest bounds the time that a page takes.
	slowest = 150 * time.Millisecond
	// lifetime is how long pages are fresh, in seconds.
	lifetime = 3
)

// siteEnv tells the test's binary to be the site, on that address.
const siteEnv = "PAGEGATE_SOAK_SITE"

// serveSite is the site's process. It ends when it is killed.
func serveSite(addr string) error {
	server := &http.Server{Addr: addr, Handler: http.HandlerFunc(answer), ReadHeaderTimeout: time.Minute}
	return server.ListenAndServe()
}

func answer(w http.ResponseWriter, r *http.Request) {
	time.Sleep(rand.N(slowest))
	who := "nobody"
	if c, err := r.Cookie("sid"); err == nil {
		who = c.Value
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", fmt.Sprintf("max-age=%d", lifetime))
	version := time.Now().Truncate(grain).UnixMilli()
	switch {
	case r.Method == http.MethodPost:
		w.WriteHeader(http.StatusNoContent)
		return
	case strings.HasPrefix(r.RequestURI, "/herd/"):
		version = time.Now().UnixNano() // tells each rendering from every other
		h.Set("Cache-Control", "max-age=60")
	case strings.HasPrefix(r.RequestURI, "/set/"):
		h.Set("Set-Cookie", fmt.Sprintf("visitor=%d.%d", os.Getpid(), rand.Uint64()))
	case strings.HasPrefix(r.RequestURI, "/lang/"):
		h.Set("Vary", "Accept-Language")
		who = "speaker of " + r.Header.Get("Accept-Language")
	}
	etag := fmt.Sprintf(`"%d-%s"`, version, strings.ReplaceAll(who, " ", "-"))
	h.Set("Etag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	body := render(r.RequestURI, version, who)
	if len(body)%2 == 0 {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	if r.Method != http.MethodHead {
		for len(body) > 0 { // in pieces: the site may be killed between them
			n := min(len(body), 64<<10)
			if _, err := w.Write(body[:n]); err != nil {
				return
			}
			body = body[n:]
		}
	}
}

// render makes a page: a line that says what it is, and filling that follows from the line.
func render(target string, version int64, who string) []byte {
	line := fmt.Sprintf("<!doctype html>|%s|%d|%s|\n", target, version, who)
	seed := uint64(14695981039346656037)
	for _, c := range []byte(line) {
		seed = (seed ^ uint64(c)) * 1099511628211
	}
	size := 300 + len(target)*97%5000
	if strings.HasSuffix(target, "0") {
		size = 300_000
	}
	b := bytes.NewBuffer(make([]byte, 0, len(line)+size+40))
	b.WriteString(line)
	for b.Len() < size {
		seed = seed*6364136223846793005 + 1442695040888963407
		fmt.Fprintf(b, "<p>%x\n", seed>>33)
	}
	b.WriteString("end")
	return b.Bytes()
}

// said is what a page says of itself.
type said struct {
	target  string
	version int64
	who     string
}

// parse reads a page's first line.
func parse(page []byte) (s said, ok bool) {
	line, _, found := bytes.Cut(page, []byte("\n"))
	parts := strings.Split(string(line), "|")
	if !found || len(parts) != 5 {
		return s, false
	}
	version, err := strconv.ParseInt(parts[2], 10, 64)
	return said{parts[1], version, parts[3]}, err == nil
}
