package files

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pagegate/nginx"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret stands in each file that no client may see.
const secret = "the secret"

// old is when the test's files were written.
var old = time.Date(2020, 5, 17, 10, 0, 0, 0, time.UTC)

// site lays out a directory with a few files that may be seen and some that may not.
func site(t testing.TB) (*Site, string) {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "site")
	for name, text := range map[string]string{
		"site/index.html":          "<h1>home</h1>",
		"site/style.css":           "h1{}",
		"site/plain":               "no extension",
		"site/a b/ü.TXT":           "odd names",
		"site/sub/index.html.tmpl": "{{.Path}} in sub",
		"site/sub/page.html":       "<h1>page</h1>",
		"site/empty/note.txt":      "no index here",
		"site/both.html":           "the file",
		"site/both.html.tmpl":      "the template",
		"site/.htpasswd":           secret,
		"site/.git/config":         secret,
		"site/sub/.env":            secret,
		"site/sub/index.html.bak":  "seen",
		"secret.txt":               secret,
		"elsewhere/index.html":     secret,
	} {
		write(t, filepath.Join(top, name), text)
	}
	for name, to := range map[string]string{"inside.css": "style.css", "out.txt": "../secret.txt",
		"outdir": "../elsewhere", "abs.txt": filepath.Join(top, "secret.txt"),
		"loop": "loop", "sub/up.css": "../style.css", "dangling": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, dir
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, old, old); err != nil {
		t.Fatal(err)
	}
}

// ask makes one request; fields are names and values in turn.
func ask(h http.Handler, method, target string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", nil)
	u, err := url.ParseRequestURI(target)
	if err != nil {
		panic(err)
	}
	r.URL = u
	r.Host = "site.example"
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestLookUp(t *testing.T) {
	s, _ := site(t)
	const html = "text/html; charset=utf-8"
	for target, c := range map[string]struct {
		status int
		ctype  string
		body   string // or the Location of a 301
	}{
		"/":                             {200, html, "<h1>home</h1>"},
		"/?x=y":                         {200, html, "<h1>home</h1>"},
		"/index.html":                   {200, html, "<h1>home</h1>"},
		"/style.css":                    {200, "text/css", "h1{}"},
		"/plain":                        {200, "application/octet-stream", "no extension"},
		"/a%20b/%C3%BC.TXT":             {200, "text/plain; charset=utf-8", "odd names"},
		"/a%20b%2F%C3%BC.TXT":           {200, "text/plain; charset=utf-8", "odd names"},
		"/inside.css":                   {200, "text/css", "h1{}"},
		"/sub/up.css":                   {200, "text/css", "h1{}"},
		"/sub/page.html":                {200, html, "<h1>page</h1>"},
		"//sub///page.html":             {200, html, "<h1>page</h1>"},
		"/sub/./page.html":              {200, html, "<h1>page</h1>"},
		"/empty/../sub/page.html":       {200, html, "<h1>page</h1>"},
		"/empty/%2e%2e/sub/x/../":       {200, html, "/empty/../sub/x/../ in sub"},
		"/sub/":                         {200, html, "/sub/ in sub"},
		"/sub/.":                        {200, html, "/sub/. in sub"},
		"/sub/index.html":               {200, html, "/sub/index.html in sub"},
		"/sub/index.html.bak":           {200, "application/octet-stream", "seen"},
		"/both.html":                    {200, html, "the file"},
		"/sub":                          {301, html, "/sub/"},
		"/sub?a=b%20&c":                 {301, html, "/sub/?a=b%20&c"},
		"//sub":                         {301, html, "/sub/"},
		"/a%20b":                        {301, html, "/a%20b/"},
		"/empty/":                       {404, html, ""},
		"/not":                          {404, html, ""},
		"/not/":                         {404, html, ""},
		"/style.css/":                   {404, html, ""},
		"/style.css/x":                  {404, html, ""},
		"/both.html.tmpl":               {404, html, ""},
		"/sub/index.html.tmpl":          {404, html, ""},
		"/.htpasswd":                    {404, html, ""},
		"/.git/config":                  {404, html, ""},
		"/%2egit/config":                {404, html, ""},
		"/sub/.env":                     {404, html, ""},
		"/...":                          {404, html, ""},
		"/out.txt":                      {404, html, ""},
		"/abs.txt":                      {404, html, ""},
		"/outdir":                       {404, html, ""},
		"/outdir/":                      {404, html, ""},
		"/outdir/index.html":            {404, html, ""},
		"/loop":                         {404, html, ""},
		"/dangling":                     {404, html, ""},
		"/pipe":                         {404, html, ""},
		"/" + strings.Repeat("a", 5000): {404, html, ""},
		"/..":                           {400, html, ""},
		"/../secret.txt":                {400, html, ""},
		"/sub/../../secret.txt":         {400, html, ""},
		"/%2e%2e%2fsecret.txt":          {400, html, ""},
		"/a%00b":                        {400, html, ""},
	} {
		w := ask(s, "GET", target)
		body := w.Body.String()
		if w.Code == http.StatusMovedPermanently {
			body = w.Header().Get("Location")
		}
		if w.Code != c.status || w.Header().Get("Content-Type") != c.ctype || c.body != "" && body != c.body ||
			strings.Contains(body, secret) {
			t.Errorf("%s: got %d %q %q", target, w.Code, w.Header().Get("Content-Type"), body)
		}
		head := ask(s, "HEAD", target)
		if head.Code != w.Code || head.Header().Get("Content-Length") != w.Header().Get("Content-Length") ||
			head.Header().Get("Content-Length") == "" {
			t.Errorf("%s: HEAD says %d %v, GET %d %v", target, head.Code, head.Header(), w.Code, w.Header())
		}
	}
}

func TestMethods(t *testing.T) {
	s, _ := site(t)
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "PURGE"} {
		if w := ask(s, method, "/"); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
}

func TestConditionsAndRanges(t *testing.T) {
	s, _ := site(t)
	w := ask(s, "GET", "/style.css")
	tag, modified := w.Header().Get("Etag"), w.Header().Get("Last-Modified")
	if want := fmt.Sprintf(`"%x-4"`, old.UnixNano()); tag != want || modified != old.Format(http.TimeFormat) {
		t.Fatalf("Etag %s (want %s), Last-Modified %s", tag, want, modified)
	}
	for name, c := range map[string]struct {
		fields []string
		status int
		body   string
	}{
		"the same tag":         {[]string{"If-None-Match", tag}, 304, ""},
		"the same, weak":       {[]string{"If-None-Match", "W/" + tag}, 304, ""},
		"one of several":       {[]string{"If-None-Match", `"x", ` + tag}, 304, ""},
		"another tag":          {[]string{"If-None-Match", `"x"`}, 200, "h1{}"},
		"not changed":          {[]string{"If-Modified-Since", modified}, 304, ""},
		"changed":              {[]string{"If-Modified-Since", old.Add(-time.Second).Format(http.TimeFormat)}, 200, "h1{}"},
		"the tag goes first":   {[]string{"If-None-Match", `"x"`, "If-Modified-Since", modified}, 200, "h1{}"},
		"a range":              {[]string{"Range", "bytes=1-2"}, 206, "1{"},
		"a range of this":      {[]string{"Range", "bytes=1-2", "If-Range", tag}, 206, "1{"},
		"a range of another":   {[]string{"Range", "bytes=1-2", "If-Range", `"x"`}, 200, "h1{}"},
		"a range out of reach": {[]string{"Range", "bytes=9-"}, 416, ""},
		"must be another":      {[]string{"If-Match", `"x"`}, 412, ""},
	} {
		w := ask(s, "GET", "/style.css", c.fields...)
		if w.Code != c.status || c.body != "" && w.Body.String() != c.body {
			t.Errorf("%s: got %d %q", name, w.Code, w.Body)
		}
	}
}

// TestFreshTag: two versions within one tick of the clock have the same tag, so it is weak until that is past.
func TestFreshTag(t *testing.T) {
	s, dir := site(t)
	name := filepath.Join(dir, "style.css")
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.now = func() time.Time { return now }
	for _, c := range []struct {
		age  time.Duration
		weak bool
	}{{settled - 1, true}, {settled, false}, {-time.Hour, true}} {
		if err := os.Chtimes(name, now, now.Add(-c.age)); err != nil {
			t.Fatal(err)
		}
		h := ask(s, "GET", "/style.css").Header()
		if strings.HasPrefix(h.Get("Etag"), "W/") != c.weak {
			t.Errorf("after %v: %s", c.age, h.Get("Etag"))
		}
		if m, err := http.ParseTime(h.Get("Last-Modified")); err != nil || m.After(now) {
			t.Errorf("Last-Modified %v, %v", m, err)
		}
	}
}

func TestOwnNotFoundPage(t *testing.T) {
	s, dir := site(t)
	if w := ask(s, "GET", "/not"); !strings.Contains(w.Body.String(), "404 Not Found") {
		t.Errorf("got %q", w.Body)
	}
	write(t, filepath.Join(dir, "404.html.tmpl"), "no {{.Path}} here")
	if w := ask(s, "GET", "/<not>"); w.Code != 404 || w.Body.String() != "no /&lt;not&gt; here" {
		t.Errorf("template: %d %q", w.Code, w.Body)
	}
	write(t, filepath.Join(dir, "404.html"), "no such page")
	w := ask(s, "GET", "/not")
	if w.Code != 404 || w.Body.String() != "no such page" || w.Header().Get("Etag") != "" {
		t.Errorf("file: %d %q %v", w.Code, w.Body, w.Header())
	}
	if w := ask(s, "HEAD", "/not"); w.Code != 404 || w.Body.Len() > 0 || w.Header().Get("Content-Length") != "12" {
		t.Errorf("HEAD: %d %v", w.Code, w.Header())
	}
}

// TestTypesAgreeWithNginx: nginx can answer a file from the cache only if it would give it the same type.
func TestTypesAgreeWithNginx(t *testing.T) {
	for ext, want := range nginx.Types() {
		if got := contentType("a." + ext); got != want {
			t.Errorf(".%s: %q here, %q in the shipped nginx configuration", ext, got, want)
		}
	}
	if got := contentType("a.html"); got != nginx.DefaultType() {
		t.Errorf("HTML: %q here, %q in the shipped nginx configuration", got, nginx.DefaultType())
	}
}

func TestOpenFails(t *testing.T) {
	_, dir := site(t)
	for _, name := range []string{"not", "style.css"} {
		if _, err := Open(filepath.Join(dir, name), Options{}); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
}

// TestCutFile: a file that shrinks while it is sent is no whole answer; the length told before says so.
func TestCutFile(t *testing.T) {
	s, dir := site(t)
	name := filepath.Join(dir, "style.css")
	w := &shrinking{ResponseRecorder: httptest.NewRecorder(), shrink: func() { _ = os.Truncate(name, 1) }}
	s.ServeHTTP(w, httptest.NewRequest("GET", "/style.css", nil))
	if got, _ := io.ReadAll(w.Body); w.Header().Get("Content-Length") != "4" || len(got) >= 4 {
		t.Errorf("length %s, body %q", w.Header().Get("Content-Length"), got)
	}
}

// shrinking does something to the file as soon as the head is out.
type shrinking struct {
	*httptest.ResponseRecorder
	shrink func()
}

func (w *shrinking) WriteHeader(status int) {
	w.ResponseRecorder.WriteHeader(status)
	w.shrink()
}
