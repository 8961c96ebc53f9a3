package nginxconf_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pagegate/internal/policy"
)

// TestHitsAreWholePages holds what pagegate-server.conf says about HEAD, ranges and conditions.
func TestHitsAreWholePages(t *testing.T) {
	const page = "0123456789"
	cases := []struct {
		name   string
		r      request
		status int
		body   string
	}{
		{"HEAD", request{method: "HEAD", target: "/page"}, 200, ""},
		{"a range", get("/page", "Range: bytes=2-4"), 206, "234"},
		{"several ranges", get("/page", "Range: bytes=0-1,5-6"), 200, page},
		{"If-None-Match", get("/page", `If-None-Match: "x"`), 200, page},
		{"If-Match", get("/page", `If-Match: "x"`), 200, page},
		{"If-Modified-Since", get("/page", "If-Modified-Since: Mon, 23 Nov 2026 06:00:00 GMT"), 200, page},
		{"If-Unmodified-Since", get("/page", "If-Unmodified-Since: Mon, 23 Nov 2020 06:00:00 GMT"), 200, page},
	}
	forEach(t, tunedLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		d.store(t, "/page?", page, 0)
		for _, c := range cases {
			a := d.ask(t, c.r)
			if a.Status != c.status || a.Body != c.body {
				t.Errorf("%s: got %d %q, want %d %q", c.name, a.Status, a.Body, c.status, c.body)
			}
			if c.r.method == "HEAD" && a.Header.Get("Content-Length") != strconv.Itoa(len(page)) {
				t.Errorf("HEAD: Content-Length %q", a.Header.Get("Content-Length"))
			}
			if got := a.Header.Get("Cache-Status"); got != "nginx; hit" {
				t.Errorf("%s: Cache-Status %q", c.name, got)
			}
		}
		if got := d.ask(t, get("/other")).Header.Get("Cache-Status"); got != "" {
			t.Errorf("on a miss nginx claims Cache-Status %q", got)
		}
	})
}

// TestGzipFlag stores a page compressed: a client that takes gzip gets it as it is, another one unpacked.
func TestGzipFlag(t *testing.T) {
	page := strings.Repeat("a page that compresses well. ", 1000)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	fmt.Fprint(w, page)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	forEach(t, tunedLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		d.store(t, "/packed?", packed.String(), 2)
		d.store(t, "/plain?", page, 0)
		cases := []struct {
			target   string
			fields   []string
			coding   string
			body     string
			saysVary bool
		}{
			{"/packed", []string{"Accept-Encoding: gzip"}, "gzip", packed.String(), true},
			{"/packed", []string{"Accept-Encoding: br, gzip;q=0.8", "Via: 1.1 proxy"}, "gzip", packed.String(), true},
			{"/packed", nil, "", page, true},
			{"/packed", []string{"Accept-Encoding: gzip;q=0"}, "", page, true},
			{"/packed", []string{"Accept-Encoding: br"}, "", page, true},
			{"/plain", []string{"Accept-Encoding: gzip"}, "", page, false},
			{"/plain", nil, "", page, false},
		}
		for _, c := range cases {
			a := d.ask(t, get(c.target, c.fields...))
			if a.Status != 200 || a.Header.Get("Content-Encoding") != c.coding || a.Body != c.body {
				t.Errorf("%s %q: got %d, coding %q, %d bytes", c.target, c.fields, a.Status, a.Header.Get("Content-Encoding"), len(a.Body))
			}
			if says := a.Header.Get("Vary") == "Accept-Encoding"; says != c.saysVary {
				t.Errorf("%s %q: Vary %q", c.target, c.fields, a.Header.Get("Vary"))
			}
		}
	})
}

// typeTable reads types.conf in the way that the file itself promises to other programs.
func typeTable(t *testing.T) (byExtension map[string]string, defaultType string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shippedDir, "types.conf"))
	if err != nil {
		t.Fatal(err)
	}
	byExtension = make(map[string]string)
	entry := regexp.MustCompile(`^([a-z]+/[a-z0-9+.-]+|"[^"]+") +([a-z0-9]+(?: [a-z0-9]+)*);$`)
	standard := regexp.MustCompile(`^default_type "([^"]+)";$`)
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line == "types {" || line == "}" || strings.HasPrefix(line, "#") {
			continue
		}
		if m := standard.FindStringSubmatch(line); m != nil {
			defaultType = m[1]
			continue
		}
		m := entry.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("types.conf has a line that is not of its own form: %s", line)
		}
		for _, ext := range strings.Fields(m[2]) {
			if _, twice := byExtension[ext]; twice {
				t.Errorf("types.conf has %q twice", ext)
			}
			byExtension[ext] = strings.Trim(m[1], `"`)
		}
	}
	if defaultType == "" || len(byExtension) == 0 {
		t.Fatal("types.conf gives no types")
	}
	return byExtension, defaultType
}

// TestContentTypes asks for a cached page of every extension, and of some that types.conf does not know.
func TestContentTypes(t *testing.T) {
	byExtension, defaultType := typeTable(t)
	want := map[string]string{
		"/": defaultType, "/dir/": defaultType, "/page": defaultType, "/page.html": defaultType, "/index.php": defaultType,
		"/a.css/b": defaultType, "/.css": defaultType, "/a.": defaultType, "/a.unknown": defaultType,
		"/UPPER.CSS": byExtension["css"], "/a.html.js": byExtension["js"],
	}
	for ext, typ := range byExtension {
		want["/file."+ext] = typ
	}
	view := policy.NginxView{Types: byExtension, DefaultType: defaultType}
	for target, typ := range want {
		if got := view.ContentType(target); got != typ {
			t.Errorf("%s: the policy expects nginx to say %q, not %q", target, got, typ)
		}
	}
	forEach(t, tunedLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		for target, typ := range want {
			d.store(t, target+"?", "x", 0)
			a := d.ask(t, get(target))
			wantHit(t, a, "x")
			if got := a.Header.Get("Content-Type"); got != typ {
				t.Errorf("%s: Content-Type %q, want %q", target, got, typ)
			}
		}
	})
	t.Run(minimal.entry, func(t *testing.T) {
		d := open(t, minimal)
		d.store(t, "/?", "x", 0)
		if got := d.ask(t, get("/")).Header.Get("Content-Type"); got != defaultType {
			t.Errorf("Content-Type %q, want %q", got, defaultType)
		}
	})
}
