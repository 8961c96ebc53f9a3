package files

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// templated is a site of one template, page.html.tmpl, whose log is kept.
func templated(t *testing.T, source string) (s *Site, file string, log *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "page.html.tmpl")
	write(t, file, source)
	log = new(bytes.Buffer)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s, err := Open(dir, Options{Now: func() time.Time { return now }, Log: zerolog.New(zerolog.SyncWriter(log))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, file, log
}

func TestTemplateData(t *testing.T) {
	s, _, log := templated(t, `{{.Method}} {{.Host}} {{.Path}} {{.Query.Get "q"}} {{index .Query "x"}} {{.Now.Format "15:04:05"}} <a href="?q={{.Query.Get "q"}}">`)
	w := ask(s, "GET", "/page.html?q=<%26>&x=1&x=2")
	want := `GET site.example /page.html &lt;&amp;&gt; [1 2] 03:04:05 <a href="?q=%3c%26%3e">`
	if w.Code != 200 || w.Body.String() != want || log.Len() > 0 {
		t.Errorf("got %d %q, want %q; log %s", w.Code, w.Body, want, log)
	}
	h := w.Header()
	if h.Get("Etag") != "" || h.Get("Last-Modified") != "" || h.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("header %v", h)
	}
	if head := ask(s, "HEAD", "/page.html?q=<%26>&x=1&x=2"); head.Code != 200 || head.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: %d %v", head.Code, head.Header())
	}
}

func TestRenderedTypes(t *testing.T) {
	s, file, _ := templated(t, "")
	for name, want := range map[string]string{"feed.xml": "application/xml", "about": "text/html; charset=utf-8",
		"a.TXT": "text/plain; charset=utf-8"} {
		write(t, filepath.Join(filepath.Dir(file), name+".tmpl"), "x")
		if w := ask(s, "GET", "/"+name); w.Code != 200 || w.Header().Get("Content-Type") != want {
			t.Errorf("%s: %d %q", name, w.Code, w.Header().Get("Content-Type"))
		}
	}
}

// TestTemplateFaults: the log says which template and line, the client no more than 500.
func TestTemplateFaults(t *testing.T) {
	for name, c := range map[string]struct{ source, logged string }{
		"does not parse":          {"<p>\n{{.Path", "page.html.tmpl:2"},
		"an unknown field":        {"<p>\n{{.Pith}}", "page.html.tmpl:2"},
		"fails while it runs":     {"<p>half a page\n{{index .Query.x 7}}", "page.html.tmpl:2"},
		"an unknown function":     {"\n{{exec \"ls\"}}", "page.html.tmpl:2"},
		"calls itself for ever":   {"{{define \"x\"}}\n{{template \"x\"}}{{end}}{{template \"x\"}}", "page.html.tmpl:2"},
		"cannot be escaped":       {"<p>\n<a href='{{if .Path}}x\">{{end}}", "page.html.tmpl"},
		"more than can be parsed": {strings.Repeat("x", maxTemplate+1), "page.html.tmpl"},
	} {
		s, _, log := templated(t, c.source)
		w := ask(s, "GET", "/page.html")
		body := w.Body.String()
		if w.Code != 500 || strings.Contains(body, "half") || strings.Contains(body, "page.html") ||
			w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got %d %q", name, w.Code, body)
		}
		if !strings.Contains(log.String(), c.logged) {
			t.Errorf("%s: the log does not say %q: %s", name, c.logged, log)
		}
	}
}

func TestTemplateIsParsedOnceAndAgainWhenChanged(t *testing.T) {
	s, file, log := templated(t, "one {{.Path}}")
	body := func() string { return ask(s, "GET", "/page.html").Body.String() }
	if got := body(); got != "one /page.html" {
		t.Fatalf("got %q", got)
	}
	first := s.templates.get("page.html.tmpl")
	if body(); s.templates.get("page.html.tmpl") != first {
		t.Error("parsed again though nothing had changed")
	}
	write(t, file, "two {{.Path}} {{")
	if w := ask(s, "GET", "/page.html"); w.Code != 500 || log.Len() == 0 {
		t.Errorf("with a fault in it: %d, log %s", w.Code, log)
	}
	write(t, file, "three")
	if got := body(); got != "three" {
		t.Errorf("got %q", got)
	}
	// The same length and time, but another file.
	write(t, file+".new", "fiver")
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	if got := body(); got != "fiver" {
		t.Errorf("got %q", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if w := ask(s, "GET", "/page.html"); w.Code != 404 || s.templates.get("page.html.tmpl") != nil {
		t.Errorf("without its file: %d, kept %v", w.Code, s.templates.get("page.html.tmpl"))
	}
}

func TestTemplateByMany(t *testing.T) {
	s, file, _ := templated(t, "one {{.Path}}")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if w := ask(s, "GET", "/page.html"); w.Code != 200 || w.Body.Len() != len("one /page.html") {
					t.Errorf("got %d %q", w.Code, w.Body)
				}
			}
		})
	}
	for i := range 20 {
		write(t, file+".new", "one {{.Path}}"+strings.Repeat("{{/**/}}", i))
		if err := os.Rename(file+".new", file); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}
