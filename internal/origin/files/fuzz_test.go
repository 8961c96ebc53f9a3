package files

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
)

// FuzzPath: whatever the path, nothing outside the directory and no hidden file is shown, and what is found is what the
// standard library's reading of the path names.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"/", "/index.html", "/sub", "/sub/", "//sub/page.html", "/../secret.txt",
		"/sub/../../secret.txt", "/out.txt", "/outdir/index.html",
		"/abs.txt", "/.git/config", "/sub/.env", "/./.htpasswd", "/a\x00b", "/sub//..//.git/./config", "/pipe", "/loop/x",
		"/both.html.tmpl", "\\..\\secret.txt",
		"/sub/..", "/..;/secret.txt", "/\xff\xfe", "", "secret.txt"} {
		f.Add(p)
	}
	s, _ := site(f)
	f.Fuzz(func(t *testing.T, p string) {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, &http.Request{Method: "GET", URL: &url.URL{Path: p}, Header: http.Header{}})
		if strings.Contains(w.Body.String(), secret) {
			t.Fatalf("%q shows what is hidden", p)
		}
		name, isDir, ok := tidy(p)
		if !ok {
			if w.Code != http.StatusBadRequest {
				t.Fatalf("%q: %d", p, w.Code)
			}
			return
		}
		if clean := path.Clean("/" + p); clean != path.Join("/", name) {
			t.Fatalf("%q is %q here, %q to the standard library", p, name, clean)
		}
		if to := w.Header().Get("Location"); to != "" {
			again, dir, ok := tidy(mustPath(t, to))
			if isDir || !ok || !dir || again != name || strings.HasPrefix(to, "//") {
				t.Fatalf("%q leads to %q", p, to)
			}
		}
	})
}

func mustPath(t *testing.T, target string) string {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		t.Fatal(err)
	}
	return u.Path
}
