package files

import (
	"bytes"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"sync"
	"time"
)

const (
	// templateSuffix marks a template; what is before it is the name under which the page is asked for.
	templateSuffix = ".tmpl"
	// maxTemplate bounds a template's source in bytes.
	maxTemplate = 4 << 20
)

// Data is what a template is rendered with. All of it but Now is the client's: html/template escapes it wherever it is
// put. Whoever caches the pages should know that Host and Method are not part of the usual page key.
type Data struct {
	Path   string     // decoded, as the client wrote it
	Query  url.Values // {{.Query.Get "page"}}
	Method string     // GET or HEAD
	Host   string
	Now    time.Time
}

// templates are the parsed templates by file name. An entry is made anew when its file is another one than before, and
// goes when the file is gone.
type templates struct {
	mu     sync.Mutex
	parsed map[string]*parsed
}

// parsed is a template or the reason why it is none. It is not changed.
type parsed struct {
	info fs.FileInfo // of the file that was read
	page *template.Template
	err  error
}

// is tells whether p was read from the file as it is now.
func (p *parsed) is(info fs.FileInfo) bool {
	return p != nil && os.SameFile(p.info, info) && p.info.ModTime().Equal(info.ModTime()) && p.info.Size() == info.Size()
}

func (t *templates) get(file string) *parsed {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.parsed[file]
}

// put keeps p, or with nil forgets the file.
func (t *templates) put(file string, p *parsed) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p == nil {
		delete(t.parsed, file)
		return
	}
	if t.parsed == nil {
		t.parsed = make(map[string]*parsed)
	}
	t.parsed[file] = p
}

// fromTemplate answers a page that has no file of its own.
func (s *Site) fromTemplate(w http.ResponseWriter, r *http.Request, name string) {
	if s.hasTemplate(name) {
		s.render(w, r, name, http.StatusOK)
		return
	}
	s.templates.put(name+templateSuffix, nil)
	s.notFound(w, r)
}

// hasTemplate tells whether a page has a template that is a file, readable or not.
func (s *Site) hasTemplate(name string) bool {
	info, err := s.root.Stat(name + templateSuffix)
	return err == nil && info.Mode().IsRegular()
}

// render answers with a page made from its template. It is made in memory first, so that half a page is never sent.
func (s *Site) render(w http.ResponseWriter, r *http.Request, name string, status int) {
	page, err := s.template(name + templateSuffix)
	if err != nil {
		s.failed(w, name+templateSuffix, err)
		return
	}
	var b bytes.Buffer
	err = page.err
	if err == nil {
		err = page.page.Execute(&b, Data{Path: r.URL.Path, Query: r.URL.Query(), Method: r.Method, Host: r.Host, Now: s.now()})
	}
	if err != nil {
		// The error names the template and the line.
		s.log.Error().Err(err).Str("path", r.URL.Path).Msg("a template failed")
		writeStatus(w, http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", renderedType(name))
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // that the client has gone is the server's affair
}

// renderedType is a rendered page's content type: what has no extension is a page.
func renderedType(name string) string {
	if path.Ext(name) == "" {
		name += ".html"
	}
	return contentType(name)
}

// template returns the template of a file, parsed anew if the file has changed. Two that ask at once may both parse it.
func (s *Site) template(file string) (*parsed, error) {
	f, info, err := s.open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if p := s.templates.get(file); p.is(info) {
		return p, nil
	}
	source, err := io.ReadAll(io.LimitReader(f, maxTemplate+1))
	if err != nil {
		return nil, err
	}
	p := &parsed{info: info}
	if len(source) > maxTemplate {
		p.err = fmt.Errorf("%s: more than %d bytes", file, maxTemplate)
	} else {
		p.page, p.err = template.New(file).Parse(string(source))
	}
	s.templates.put(file, p)
	return p, nil
}
