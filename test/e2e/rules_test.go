package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// What an operator changes in nginx and in the filler for a key without campaign arguments, for classes of devices and for
// an application's session cookies: nginx by itself answers all who share a page, and only them.
func TestShippedChoices(t *testing.T) {
	cache, _ := startCache(t, "cacheserver")
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Vary", "User-Agent")
		fmt.Fprintf(w, "%s for %s", r.RequestURI, r.Header.Get("X-Device"))
	})
	config := filepath.Join(t.TempDir(), "filler.yaml")
	if err := os.WriteFile(config, []byte(`
key: "$pagegate_device|$uri?$pagegate_args"
cookies: {sessions: [wordpress, php]}
nginx: {adds: {Vary: User-Agent}}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	filler, _ := startFiller(t, b.URL, cache, "--config", config)
	nginx := startNginxWith(t,
		"server 127.0.0.1:11211", "server "+cache,
		"server 127.0.0.1:8082", "server "+filler,
		`"$uri?$args"`, `"$pagegate_device|$uri?$pagegate_args"`,
		`$http_authorization:$pagegate_personal"`, `$http_authorization:$pagegate_wordpress$pagegate_php"`,
		"add_header Cache-Status $pagegate_cache_status;", "add_header Cache-Status $pagegate_cache_status; add_header Vary User-Agent always;")

	const phone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Mobile"
	fetchNginxHit(t, nginx, "/list?a=1&b=2") // by Go's own user agent, which is a desktop's
	asked := b.total.Load()
	for _, tt := range []struct {
		target string
		fields []string
	}{
		{"/list?a=1&b=2", []string{"User-Agent", "Mozilla/5.0 (X11; Linux x86_64)"}},
		{"/list?a=1&utm_source=news&b=2", nil},
		{"/list?gclid=x&a=1&b=2&utm_medium=y", nil},
		{"/list?a=1&b=2&", []string{"Cookie", "theme=dark; _ga=1; csrftoken=x"}},
	} {
		a := fetch(t, nginx, tt.target, tt.fields...)
		if a.header.Get("Cache-Status") != "nginx; hit" || a.body != "/list?a=1&b=2 for desktop" {
			t.Errorf("%s %q: %s, %q", tt.target, tt.fields, a.header.Get("Cache-Status"), a.body)
		}
	}
	if n := b.total.Load(); n != asked {
		t.Errorf("the backend was asked %d times more", n-asked)
	}
	for _, tt := range []struct {
		fields []string
		body   string
	}{
		{[]string{"User-Agent", phone}, "/list?a=1&b=2 for mobile"},
		{[]string{"Cookie", "theme=dark; wordpress_logged_in_7=joe"}, "/list?a=1&b=2 for "},
		{[]string{"Cookie", "PHPSESSID=1"}, "/list?a=1&b=2 for "},
	} {
		if a := fetch(t, nginx, "/list?a=1&b=2", tt.fields...); a.header.Get("Cache-Status") == "nginx; hit" || a.body != tt.body {
			t.Errorf("%q: %s, %q", tt.fields, a.header.Get("Cache-Status"), a.body)
		}
	}
}

// A type that the operator keeps out of the place that nginx reads is cached all the same, and answered by the filler.
func TestTypesThatNginxReads(t *testing.T) {
	cache, _ := startCache(t, "cacheserver")
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		contentType := "text/html; charset=utf-8"
		if filepath.Ext(r.URL.Path) == ".css" {
			contentType = "text/css"
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "max-age=600")
		fmt.Fprint(w, r.RequestURI)
	})
	config := filepath.Join(t.TempDir(), "filler.yaml")
	if err := os.WriteFile(config, []byte("nginx: {only: [text/html]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	only, _ := startFiller(t, b.URL, cache, "--config", config)
	nginx := startNginx(t, cache, only)
	fetchNginxHit(t, nginx, "/page")
	fetchHit(t, nginx, "/style.css")
	asked := b.total.Load()
	for range 20 {
		if a := fetch(t, nginx, "/style.css"); a.header.Get("Cache-Status") == "nginx; hit" || !a.isHit() || a.body != "/style.css" {
			t.Errorf("%s %q", a.header.Get("Cache-Status"), a.body)
		}
	}
	if n := b.total.Load(); n != asked {
		t.Errorf("the backend was asked %d times more", n-asked)
	}
	// Without the list nginx would read it.
	all, _ := startFiller(t, b.URL, cache)
	fetchNginxHit(t, startNginx(t, cache, all), "/other.css")
}
