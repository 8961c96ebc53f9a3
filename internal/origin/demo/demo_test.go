package demo

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quick is a site whose database is fast.
func quick() http.Handler { return Handler(Options{Delay: time.Nanosecond}) }

// ask makes one request; fields are names and values in turn.
func ask(h http.Handler, method, target, form string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/", strings.NewReader(form))
	u, err := url.ParseRequestURI(target)
	if err != nil {
		panic(err)
	}
	r.URL = u
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// wellFormed fails the test unless the text is well-formed: the pages are written so that HTML and XML agree on it.
func wellFormed(t *testing.T, name, text string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	d.Entity = xml.HTMLEntity
	for {
		_, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Errorf("%s is not well-formed: %v\n%s", name, err, text)
			return
		}
	}
}

var links = regexp.MustCompile(`(?:href|src|action)="([^"]*)"`)

// TestEveryPage follows every link of the site from the home page.
func TestEveryPage(t *testing.T) {
	h := quick()
	want := map[string]struct {
		status int
		ctype  string
	}{
		"/api/products.json": {200, "application/json"},
		"/feed.rss":          {200, "application/rss+xml"},
		"/style.css":         {200, "text/css"},
		"/picture.svg":       {200, "image/svg+xml"},
		"/redirect":          {302, htmlType},
		"/account/login":     {303, "text/plain; charset=utf-8"},
		"/account/logout":    {303, "text/plain; charset=utf-8"},
	}
	seen := map[string]bool{}
	todo := []string{"/", "/account/login", "/account/logout"}
	for len(todo) > 0 {
		link := todo[0]
		todo = todo[1:]
		if seen[link] {
			continue
		}
		seen[link] = true
		w := ask(h, "GET", link, "", "Accept-Encoding", "identity")
		body := w.Body.String()
		expected, ok := want[link]
		if !ok {
			expected.status, expected.ctype = 200, htmlType
		}
		if w.Code != expected.status || w.Header().Get("Content-Type") != expected.ctype ||
			w.Header().Get("Content-Length") != strconv.Itoa(len(body)) {
			t.Errorf("%s: %d %v, %d bytes", link, w.Code, w.Header(), len(body))
		}
		if w.Header().Get("Content-Encoding") == "gzip" {
			body = gunzip(t, body)
		}
		if strings.Contains(expected.ctype, "html") || strings.Contains(expected.ctype, "xml") {
			wellFormed(t, link, body)
		}
		if expected.status == 200 && !strings.Contains(body, "rendering no. ") && !strings.Contains(body, `"renderings": 1`) {
			t.Errorf("%s does not say which rendering it is: %s", link, body)
		}
		if head := ask(h, "HEAD", link, ""); head.Code != w.Code {
			t.Errorf("%s: HEAD says %d", link, head.Code)
		}
		for _, m := range links.FindAllStringSubmatch(body, -1) {
			todo = append(todo, m[1])
		}
	}
	for _, r := range contents() {
		if !seen[r.Path+r.Query] {
			t.Errorf("no link leads to %s", r.Path)
		}
	}
}

func gunzip(t *testing.T, s string) string {
	t.Helper()
	z, err := gzip.NewReader(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRenderingsAreCounted(t *testing.T) {
	h := quick()
	for i := 1; i <= 3; i++ {
		for _, target := range []string{"/shop/1", "/shop", "/fresh/none"} {
			if body := ask(h, "GET", target, "").Body.String(); !strings.Contains(body, "rendering no. "+strconv.Itoa(i)+" of this page") {
				t.Errorf("%s, time %d: %s", target, i, body)
			}
		}
	}
}

// TestTidyPaths: all spellings of a path that a cache keys alike are the same page, and no redirect among them.
func TestTidyPaths(t *testing.T) {
	h := quick()
	for _, target := range []string{"/shop/1", "//shop/1", "/shop//1", "/shop/1/", "/./shop/x/../1", "/%73hop/1", "/shop%2F1"} {
		if w := ask(h, "GET", target, ""); w.Code != 200 || !strings.Contains(w.Body.String(), "Sencha") {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
	for _, target := range []string{"/not", "/shop/0", "/shop/13", "/shop/1/2", "/SHOP"} {
		w := ask(h, "GET", target, "")
		if w.Code != 404 {
			t.Errorf("%s: %d", target, w.Code)
		}
		wellFormed(t, target, w.Body.String())
	}
}

// TestSlowPages runs on a clock of its own, which moves on when all wait.
func TestSlowPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := Handler(Options{})
		for target, want := range map[string]time.Duration{"/": 0, "/size/1k": 0, "/account": 0,
			"/shop": DefaultDelay, "/shop/7": DefaultDelay, "/search?q=a": DefaultDelay, "/api/products.json": DefaultDelay} {
			start := time.Now()
			ask(h, "GET", target, "")
			if took := time.Since(start); took != want {
				t.Errorf("%s took %v, want %v", target, took, want)
			}
		}
	})
	for _, target := range []string{"/shop", "/shop/7", "/search", "/api/products.json"} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w := httptest.NewRecorder()
		Handler(Options{Delay: time.Hour}).ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", target, nil))
		if w.Body.Len() > 0 {
			t.Errorf("%s: nobody waits, and got %q", target, w.Body)
		}
	}
}

func TestSizes(t *testing.T) {
	h := quick()
	for target, want := range map[string]int{"/size/1k": 1 << 10, "/size/16k": 16 << 10, "/size/100k": 100 << 10} {
		for range 12 { // the count grows by a digit
			if got := ask(h, "GET", target, "").Body.Len(); got != want {
				t.Errorf("%s has %d bytes", target, got)
			}
		}
	}
}

func TestFlaky(t *testing.T) {
	h := quick()
	for i := 1; i <= 9; i++ {
		want := 200
		if i%3 == 0 {
			want = 500
		}
		w := ask(h, "GET", "/flaky", "")
		if w.Code != want {
			t.Errorf("time %d: %d", i, w.Code)
		}
		wellFormed(t, "/flaky", w.Body.String())
	}
}

func TestCacheFields(t *testing.T) {
	h := quick()
	for target, want := range map[string]string{"/": "", "/shop": "", "/shop/1": "", "/search": "", "/fresh/none": "",
		"/guestbook": "", "/cookie": "",
		"/fresh/max-age": "max-age=10", "/fresh/no-store": "no-store", "/account": "private", "/flaky": "max-age=2",
		"/size/1k":  "max-age=60",
		"/feed.rss": "max-age=60, s-maxage=300", "/api/products.json": "max-age=30"} {
		if got := ask(h, "GET", target, "").Header().Get("Cache-Control"); got != want {
			t.Errorf("%s: Cache-Control %q, want %q", target, got, want)
		}
	}
}

func TestCookie(t *testing.T) {
	h := quick()
	w := ask(h, "GET", "/cookie", "")
	c := w.Result().Cookies()
	if len(c) != 1 || c[0].Value != "1" || c[0].Path != "/cookie" {
		t.Fatalf("cookies %v", c)
	}
	if body := ask(h, "GET", "/cookie", "", "Cookie", "demo_ticket=1").Body.String(); !strings.Contains(body, "You came with: 1") {
		t.Errorf("got %s", body)
	}
}

func TestAccount(t *testing.T) {
	h := quick()
	if body := ask(h, "GET", "/account", "").Body.String(); !strings.Contains(body, "not logged in") {
		t.Errorf("got %s", body)
	}
	w := ask(h, "POST", "/account/login", "name=%3Cb%3E+%C3%9Cnal%3B%22")
	c := w.Result().Cookies()
	if w.Code != 303 || w.Header().Get("Location") != "/account" || len(c) != 1 || c[0].Path != "/account" ||
		!c[0].HttpOnly || w.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("login: %d %v", w.Code, w.Header())
	}
	w = ask(h, "GET", "/account", "", "Cookie", c[0].Name+"="+c[0].Value)
	if body := w.Body.String(); !strings.Contains(body, "You are <b>&lt;b&gt; Ünal;&#34;</b>") ||
		w.Header().Get("Vary") != "Cookie" {
		t.Errorf("logged in: %v %s", w.Header(), body)
	}
	w = ask(h, "POST", "/account/logout", "")
	if c := w.Result().Cookies(); w.Code != 303 || len(c) != 1 || c[0].MaxAge >= 0 || c[0].Path != "/account" {
		t.Errorf("logout: %d %v", w.Code, w.Header())
	}
	if body := ask(h, "GET", "/account", "", "Cookie", "demo_user=%zz").Body.String(); !strings.Contains(body, "not logged in") {
		t.Errorf("with a garbled cookie: %s", body)
	}
}

func TestGuestbook(t *testing.T) {
	h := quick()
	w := ask(h, "POST", "/guestbook", "name=Ann&text=%3Cscript%3E1+%26+2")
	if body := w.Body.String(); w.Code != 200 || !strings.Contains(body, "Ann wrote:") || !strings.Contains(body,
		"<pre>&lt;script&gt;1 &amp; 2</pre>") ||
		w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v %s", w.Code, w.Header(), body)
	} else {
		wellFormed(t, "the answer", body)
	}
	for name, c := range map[string]struct {
		form   string
		status int
	}{"too long": {"text=" + strings.Repeat("x", maxForm), 413}, "garbled": {"text=%zz", 400}, "just fits": {"text=" +
		strings.Repeat("x", maxForm-5), 200}} {
		if w := ask(h, "POST", "/guestbook", c.form); w.Code != c.status {
			t.Errorf("%s: %d", name, w.Code)
		}
		if w := ask(h, "POST", "/account/login", strings.Replace(c.form, "text", "name", 1)); c.status != 200 && w.Code != c.status {
			t.Errorf("login, %s: %d", name, w.Code)
		}
	}
}

func TestMethods(t *testing.T) {
	h := quick()
	for _, c := range []struct{ method, target, allow string }{
		{"POST", "/", "GET, HEAD"}, {"PUT", "/shop", "GET, HEAD"}, {"DELETE", "/guestbook", "GET, HEAD, POST"}, {"OPTIONS",
			"/shop/1", "GET, HEAD"},
	} {
		if w := ask(h, c.method, c.target, ""); w.Code != 405 || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q", c.method, c.target, w.Code, w.Header().Get("Allow"))
		}
	}
	if body := ask(h, "GET", "/shop", "").Body.String(); !strings.Contains(body, "rendering no. 1 ") {
		t.Error("a refused request was counted as a rendering")
	}
}

func TestGzip(t *testing.T) {
	h := quick()
	for _, c := range []struct {
		target, accept string
		gzip           bool
	}{
		{"/gzip", "", false}, {"/gzip", "identity", false}, {"/gzip", "br, gzip", true}, {"/gzip", "GZIP;q=0.5", true},
		{"/gzip", "gzip;q=0", false},
		{"/gzip", "gzip; q=0.0, br", false}, {"/gzip", "x-gzip", false}, {"/gzip/always", "identity", true}, {"/gzip/always", "", true},
	} {
		w := ask(h, "GET", c.target, "", "Accept-Encoding", c.accept)
		body := w.Body.String()
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != c.gzip {
			t.Errorf("%s for %q: %v", c.target, c.accept, w.Header())
		} else if got {
			body = gunzip(t, body)
		}
		wellFormed(t, c.target, body)
		if vary := w.Header().Get("Vary"); (vary == "Accept-Encoding") != (c.target == "/gzip") {
			t.Errorf("%s: Vary %q", c.target, vary)
		}
	}
}

func TestSearch(t *testing.T) {
	h := quick()
	for query, want := range map[string]string{"q=SENCHA": "/shop/1", "q=wuyi": "/shop/7", "q=%3Cfirst": "/shop/8",
		"q=%22%3E%3Cscript%3E": "Nothing found for", "": "Nothing found", "q=": "Nothing found"} {
		body := ask(h, "GET", "/search?"+query, "").Body.String()
		if !strings.Contains(body, want) || strings.Contains(body, "<script>") {
			t.Errorf("%s: %s", query, body)
		}
		wellFormed(t, query, body)
	}
}

func TestStyleIsValidated(t *testing.T) {
	h := quick()
	tag := ask(h, "GET", "/style.css", "").Header().Get("Etag")
	if w := ask(h, "GET", "/style.css", "", "If-None-Match", tag); w.Code != 304 || w.Body.Len() > 0 ||
		w.Header().Get("Etag") != tag {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := ask(h, "GET", "/style.css", "", "If-None-Match", `"x"`); w.Code != 200 || !strings.Contains(w.Body.String(),
		"rendering no. 3") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestFeeds(t *testing.T) {
	h := quick()
	var list struct{ Products []Product }
	if err := json.Unmarshal(ask(h, "GET", "/api/products.json", "").Body.Bytes(), &list); err != nil ||
		len(list.Products) != len(products) || list.Products[7] != products[7] {
		t.Errorf("JSON: %v, %v", err, list)
	}
	var feed rss
	body := ask(h, "GET", "/feed.rss", "").Body.Bytes()
	if err := xml.Unmarshal(body, &feed); err != nil || len(feed.Items) != len(products) ||
		feed.Items[7].Title != products[7].Name || !bytes.HasPrefix(body, []byte("<?xml ")) {
		t.Errorf("RSS: %v, %v", err, feed)
	}
}
