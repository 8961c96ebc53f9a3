// Package files serves a directory: files as they are, and pages rendered from templates.
//
// A request's path is tidied as nginx tidies it and then looked up below the directory, which is held open as an
// os.Root: no path and no symbolic link leads out of it. The path of a directory ends in a slash, and is answered
// from its index.html; without the slash it is redirected there. Names that begin with a dot are not shown,
// directories are not listed.
//
// Where there is no file x.html but a file x.html.tmpl, the request /x.html is answered by rendering that with
// html/template (see Data). A template is parsed once, and again when its file has changed. Its own name is not shown.
//
// A 404.html or 404.html.tmpl at the top is the page for what is not found.
package files

import (
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// Options of a directory; the zero value is valid.
type Options struct {
	// Now is the clock of templates and validators; nil for time.Now.
	Now func() time.Time
	// Log gets the faults of templates and files, of which clients see no more than the status; the zero value drops
	// them.
	Log zerolog.Logger
}

// Site is the http.Handler of a directory. Any number of goroutines may use it at once.
type Site struct {
	root      *os.Root
	now       func() time.Time
	log       zerolog.Logger
	templates templates
}

// Open opens a directory. It fails if dir is not one.
func Open(dir string, o Options) (*Site, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Site{root: root, now: o.Now, log: o.Log}, nil
}

// Close gives the directory back. No request may be under way.
func (s *Site) Close() error { return s.root.Close() }

// ServeHTTP implements http.Handler.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		writeStatus(w, http.StatusMethodNotAllowed)
		return
	}
	name, isDir, ok := tidy(r.URL.Path)
	switch {
	case !ok:
		writeStatus(w, http.StatusBadRequest)
	case hidden(name):
		s.notFound(w, r)
	case isDir:
		s.page(w, r, join(name, "index.html"), "")
	default:
		s.page(w, r, name, name)
	}
}

// page answers from the file of that name or from its template. If it is a directory, the answer leads to redirectTo,
// or is 404 if that is "".
func (s *Site) page(w http.ResponseWriter, r *http.Request, name, redirectTo string) {
	f, info, err := s.open(name)
	switch {
	case err == nil && info.IsDir():
		f.Close()
		if redirectTo == "" {
			s.notFound(w, r)
			return
		}
		redirect(w, r, redirectTo)
	case err == nil:
		defer f.Close()
		s.file(w, r, name, f, info)
	case absent(err):
		s.fromTemplate(w, r, name)
	default:
		s.failed(w, name, err)
	}
}

// errSpecial marks what is neither file nor directory: a pipe, say, of which reading might never end.
var errSpecial = errors.New("neither a file nor a directory")

// open opens a file or directory without waiting for anything.
func (s *Site) open(name string) (*os.File, fs.FileInfo, error) {
	f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = errSpecial
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// absent tells whether an error says that a request's path names nothing.
func absent(err error) bool {
	for _, e := range []error{fs.ErrNotExist, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.EINVAL, errSpecial} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// failed answers when something is there and cannot be shown.
func (s *Site) failed(w http.ResponseWriter, name string, err error) {
	s.log.Error().Err(err).Str("file", name).Msg("a file cannot be shown")
	var sys syscall.Errno
	switch {
	case errors.Is(err, fs.ErrPermission):
		writeStatus(w, http.StatusForbidden)
	case errors.As(err, &sys) && sys != syscall.ELOOP:
		writeStatus(w, http.StatusInternalServerError)
	default: // a link that leads out of the directory or round in circles
		writeStatus(w, http.StatusNotFound)
	}
}

// redirect sends a client that asked for a directory's name to the path with a slash, where relative links work.
func redirect(w http.ResponseWriter, r *http.Request, name string) {
	to := (&url.URL{Path: "/" + name + "/"}).EscapedPath()
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", to)
	writeStatus(w, http.StatusMovedPermanently)
}

// tidy makes a name below the directory of a decoded path, as nginx makes $uri: empty and "." segments go, ".." takes
// one back. isDir tells whether the path ended in a slash; the top is ".". It is not ok if the path leads above the
// top or holds a NUL.
func tidy(path string) (name string, isDir, ok bool) {
	if !strings.HasPrefix(path, "/") || strings.IndexByte(path, 0) >= 0 {
		return "", false, false
	}
	var kept []string
	for segment := range strings.SplitSeq(path[1:], "/") {
		isDir = segment == "" || segment == "." || segment == ".."
		switch {
		case segment == "..":
			if len(kept) == 0 {
				return "", false, false
			}
			kept = kept[:len(kept)-1]
		case !isDir:
			kept = append(kept, segment)
		}
	}
	if len(kept) == 0 {
		return ".", true, true
	}
	return strings.Join(kept, "/"), isDir, true
}

// hidden tells whether a tidy name is kept from clients: dot files (.git, .htpasswd) and the sources of pages.
func hidden(name string) bool {
	return name != "." && strings.HasPrefix(name, ".") || strings.Contains(name, "/.") || strings.HasSuffix(name, templateSuffix)
}

// join appends a file's name to that of a directory.
func join(dir, file string) string {
	if dir == "." {
		return file
	}
	return dir + "/" + file
}
