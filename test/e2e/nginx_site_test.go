package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// nginxSite is nginx as a backend: static files, as most sites have them.
type nginxSite struct {
	addr string
	log  string
}

// nginxSiteServer is its server block: the address, the folder and the log are filled in. Pages under /brief are fresh for a
// second, all others for a minute.
const nginxSiteServer = `
log_format site '$status $request_method $request_uri [$http_range]';
types { text/html html; image/png png; }
server {
	listen %s;
	root %s;
	access_log %s site;
	gzip on;
	gzip_vary on;
	location / { add_header Cache-Control max-age=60 always; }
	location /brief/ { add_header Cache-Control max-age=1; }
}`

// startNginxSite starts it with files by their names.
func startNginxSite(t *testing.T, files map[string]string) *nginxSite {
	t.Helper()
	root, dir := t.TempDir(), t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := &nginxSite{realproc.FreeAddr(t), filepath.Join(dir, "access.log")}
	realproc.Nginx(t, realproc.NginxHTTP(dir, fmt.Sprintf(nginxSiteServer, s.addr, root, s.log)), s.addr)
	return s
}

// asked counts the lines of its log that begin so. nginx writes a line after it has answered.
func (s *nginxSite) asked(t *testing.T, beginning string) (n int) {
	t.Helper()
	text, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, beginning) {
			n++
		}
	}
	return n
}

// wasAsked waits for so many lines in its log that begin so, and wants no more.
func (s *nginxSite) wasAsked(t *testing.T, beginning string, times int) {
	t.Helper()
	n := 0
	realproc.WaitFor(t, 10*time.Second, "the site to log "+beginning, func() bool {
		n = s.asked(t, beginning)
		return n >= times
	})
	if n != times {
		t.Errorf("the site was asked %d times for %q, want %d", n, beginning, times)
	}
}

// nginxSiteLayouts are the ways to it. In the first one the cache's hits are nginx's, which knows neither validators nor
// the page's other fields.
var nginxSiteLayouts = []layout{
	layouts[0],
	layouts[3],
	{"gateway, cacheserver", func(t *testing.T, backend string) []string {
		cache, _ := startCache(t, "cacheserver")
		gateway, _ := startGateway(t, backend, "--cache", cache)
		return []string{gateway}
	}},
}

// A site of static files behind nginx, with nginx's own validators, ranges, codings and redirects.
func TestNginxSite(t *testing.T) {
	image := make([]byte, 200_000)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(image)
	files := map[string]string{
		"index.html":      "<p>home",
		"long.html":       strings.Repeat("<p>many lines are alike</p>\n", 2000),
		"image.png":       string(image),
		"docs/index.html": "<p>the docs",
		"brief/page.html": strings.Repeat("<p>brief</p>\n", 100),
	}
	for _, l := range nginxSiteLayouts {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s := startNginxSite(t, files)
			door := l.open(t, "http://"+s.addr)[0]
			s.pages(t, door, files)
			s.codings(t, door, files["long.html"])
			s.ranges(t, door, files["image.png"])
			s.head(t, door, len(files["image.png"]))
			if !strings.HasPrefix(l.name, "nginx") {
				s.conditions(t, door)
			}
			s.validation(t, door, files["brief/page.html"])
		})
	}
}

// pages: each is what the site says itself, first from it and then from the cache.
func (s *nginxSite) pages(t *testing.T, door string, files map[string]string) {
	t.Helper()
	for target, want := range map[string]struct {
		status   int
		file     string
		location string
	}{
		"/": {200, "index.html", ""}, "/long.html": {200, "long.html", ""}, "/image.png": {200, "image.png", ""},
		"/docs/": {200, "docs/index.html", ""}, "/docs": {301, "", "/docs/"}, "/none": {404, "", ""},
	} {
		direct, first := fetch(t, s.addr, target), fetch(t, door, target)
		if first.isHit() {
			t.Errorf("%s: a hit at first: %v", target, first.header)
		}
		if want.file != "" && direct.body != files[want.file] {
			t.Errorf("%s: the site itself answers %d bytes", target, len(direct.body))
		}
		for _, a := range []answer{first, fetchHit(t, door, target)} {
			if a.status != want.status || a.status != direct.status || a.body != direct.body || a.header.Get("Content-Type") != direct.header.Get("Content-Type") {
				t.Errorf("%s: %d, %d bytes, %v\nthe site itself: %d, %d bytes, %v", target,
					a.status, len(a.body), a.header, direct.status, len(direct.body), direct.header)
			}
			// The site names itself by its own address, where the visitors are not.
			if to, own := a.header.Get("Location"), direct.header.Get("Location"); to != want.location || own != "" && own != "http://"+s.addr+to {
				t.Errorf("%s: Location %q, the site itself has %q", target, to, own)
			}
		}
		s.wasAsked(t, fmt.Sprintf("%d GET %s [", want.status, target), 2) // once of them directly
	}
}

// codings: who takes gzip gets it or the plain page, and never the wrong bytes.
func (s *nginxSite) codings(t *testing.T, door, text string) {
	t.Helper()
	for _, accept := range []string{"gzip", "identity", "gzip;q=0"} {
		if a := fetchHit(t, door, "/long.html", "Accept-Encoding", accept); plainOf(t, a) != text || accept != "gzip" && a.body != text {
			t.Errorf("%q: %v, %d bytes", accept, a.header, len(a.body))
		}
	}
}

// ranges are cut out of the stored page: the site sees none.
func (s *nginxSite) ranges(t *testing.T, door, image string) {
	t.Helper()
	for asked, want := range map[string]string{"bytes=1000-1999": image[1000:2000], "bytes=199990-": image[199990:], "bytes=-5": image[len(image)-5:]} {
		a := fetch(t, door, "/image.png", "Range", asked)
		if a.status != http.StatusPartialContent || a.body != want || !strings.HasSuffix(a.header.Get("Content-Range"), "/200000") {
			t.Errorf("%s: %d, %d bytes, %v", asked, a.status, len(a.body), a.header)
		}
	}
	if a := fetch(t, door, "/image.png", "Range", "bytes=200000-"); a.status != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("a range past the end: %d", a.status)
	}
	if n := s.asked(t, "206 ") + s.asked(t, "416 "); n != 0 {
		t.Errorf("the site was asked for %d ranges", n)
	}
}

// head: the length of a page, without it and without the site.
func (s *nginxSite) head(t *testing.T, door string, length int) {
	t.Helper()
	resp, err := client.Head("http://" + door + "/image.png")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 || resp.ContentLength != int64(length) || !(answer{header: resp.Header}).isHit() {
		t.Errorf("HEAD: %d, %d bytes, %v", resp.StatusCode, resp.ContentLength, resp.Header)
	}
	if n := s.asked(t, "200 HEAD "); n != 0 {
		t.Errorf("the site was asked %d times", n)
	}
}

// conditions of the client's are judged on the stored page, by the site's own validators.
func (s *nginxSite) conditions(t *testing.T, door string) {
	t.Helper()
	direct, a := fetch(t, s.addr, "/image.png"), fetchHit(t, door, "/image.png")
	for _, name := range []string{"Etag", "Last-Modified"} {
		if got, want := a.header.Get(name), direct.header.Get(name); got != want || got == "" {
			t.Errorf("%s: %q, the site itself has %q", name, got, want)
		}
	}
	for condition, value := range map[string]string{"If-None-Match": a.header.Get("Etag"), "If-Modified-Since": a.header.Get("Last-Modified")} {
		if a := fetch(t, door, "/image.png", condition, value); a.status != http.StatusNotModified || a.body != "" || !a.isHit() {
			t.Errorf("%s: %d, %v", condition, a.status, a.header)
		}
	}
	if a := fetch(t, door, "/image.png", "If-None-Match", `"another"`); a.status != 200 || len(a.body) != 200_000 {
		t.Errorf("another entity tag: %d", a.status)
	}
	if n := s.asked(t, "304 "); n != 0 {
		t.Errorf("the site was asked with %d conditions", n)
	}
}

// validation: past its second a page is asked for with the site's validators, and the 304 freshens it.
func (s *nginxSite) validation(t *testing.T, door, text string) {
	t.Helper()
	const target = "/brief/page.html"
	if a := fetch(t, door, target); a.body != text {
		t.Errorf("%d, %v", a.status, a.header)
	}
	realproc.WaitFor(t, 10*time.Second, "a validation", func() bool {
		if a := fetch(t, door, target); a.status != 200 || a.body != text {
			t.Fatalf("%d, %d bytes, %v", a.status, len(a.body), a.header)
		}
		return s.asked(t, "304 GET "+target) > 0
	})
	if a := fetchHit(t, door, target); a.body != text {
		t.Errorf("after it: %d bytes, %v", len(a.body), a.header)
	}
	s.wasAsked(t, "200 GET "+target, 1)
}
