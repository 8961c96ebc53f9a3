package files

import (
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
)

// settled is how long after its last change a file's time tells its versions apart: some file systems count in steps of
// two seconds.
const settled = 2 * time.Second

// file answers with a file as it is: conditions, ranges and HEAD are net/http's.
func (s *Site) file(w http.ResponseWriter, r *http.Request, name string, f *os.File, info fs.FileInfo) {
	now := s.now()
	h := w.Header()
	h.Set("Content-Type", contentType(name))
	h.Set("Etag", etag(info, now))
	modified := info.ModTime()
	if modified.After(now) {
		modified = now // RFC 9110, section 8.8.2.1: not later than the answer itself
	}
	http.ServeContent(w, r, "", modified, f)
}

// etag makes an entity tag of a file's time and size. It is weak as long as another change could leave both as they are
// (RFC 9110, section 8.8.1).
func etag(info fs.FileInfo, now time.Time) string {
	tag := fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size())
	if now.Sub(info.ModTime()) < settled {
		return "W/" + tag
	}
	return tag
}

// notFound answers 404 with the site's own page for it, if it has one.
func (s *Site) notFound(w http.ResponseWriter, r *http.Request) {
	const name = "404.html"
	f, info, err := s.open(name)
	if err == nil {
		defer f.Close()
	}
	switch {
	case err == nil && !info.IsDir():
		w.Header().Set("Content-Type", contentType(name))
		w.Header().Set("Content-Length", strconv.FormatInt(info.Size(), 10))
		w.WriteHeader(http.StatusNotFound)
		if r.Method != http.MethodHead {
			_, _ = io.CopyN(w, f, info.Size()) // a body that comes out too short is seen by the server
		}
	case err != nil && absent(err) && s.hasTemplate(name):
		s.render(w, r, name, http.StatusNotFound)
	default:
		writeStatus(w, http.StatusNotFound)
	}
}

// writeStatus answers with a page that says no more than the status.
func writeStatus(w http.ResponseWriter, status int) {
	text := html.EscapeString(strconv.Itoa(status) + " " + http.StatusText(status))
	page := "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>" + text + "</title><h1>" + text + "</h1></html>\n"
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(page)))
	if status >= http.StatusInternalServerError {
		h.Set("Cache-Control", "no-store")
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, page) // that the client has gone is the server's affair
}

// contentType goes by the name's extension alone, so that a site is the same on every machine.
func contentType(name string) string {
	if t, ok := types[strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))]; ok {
		return t
	}
	return "application/octet-stream"
}

// types are the content types of files. Text names its encoding. CSS and JavaScript do not: without it they have
// their page's, which is the same; and so says the table of the shipped nginx configuration, which can answer a file
// from the cache only if both agree.
var types = map[string]string{
	"html": "text/html; charset=utf-8", "htm": "text/html; charset=utf-8", "xhtml": "application/xhtml+xml",
	"txt": "text/plain; charset=utf-8", "md": "text/markdown; charset=utf-8", "csv": "text/csv; charset=utf-8",
	"ics": "text/calendar; charset=utf-8", "vtt": "text/vtt; charset=utf-8",
	"css": "text/css", "js": "text/javascript", "mjs": "text/javascript", "wasm": "application/wasm",
	"json": "application/json", "map": "application/json", "webmanifest": "application/manifest+json",
	"xml": "application/xml", "rss": "application/rss+xml", "atom": "application/atom+xml",
	"svg": "image/svg+xml", "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif",
	"webp": "image/webp", "avif": "image/avif", "ico": "image/x-icon", "bmp": "image/bmp",
	"woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "otf": "font/otf",
	"mp3": "audio/mpeg", "ogg": "audio/ogg", "mp4": "video/mp4", "webm": "video/webm",
	"pdf": "application/pdf", "zip": "application/zip", "gz": "application/gzip",
}
