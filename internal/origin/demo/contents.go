package demo

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// contents lists the pages in the order of the home page.
func contents() []*route {
	pages := []*route{
		{Path: "/", get: (*visit).home},
		{Path: "/shop", Link: "/shop", Name: "The shop", Note: "Slow: it asks the database. The second time it comes from the cache.", get: (*visit).shop},
		{Path: "/search", Link: "/search?q=green", Name: "Search", Note: "Slow. Each query string is a page of its own, even if only the order of the arguments differs.", get: (*visit).search},
		{Path: "/api/products.json", Link: "/api/products.json", Name: "JSON", Note: "Slow. Fresh for 30 seconds by its own word.", get: (*visit).json},
		{Path: "/feed.rss", Link: "/feed.rss", Name: "RSS feed", Note: "Fresh for 5 minutes for caches on the way (s-maxage), for 1 in a browser.", get: (*visit).feed},
		{Path: "/style.css", Link: "/style.css", Name: "Style sheet", Note: "Has a weak ETag: ask again with If-None-Match for a 304.", get: (*visit).style},
		{Path: "/picture.svg", Link: "/picture.svg", Name: "Picture", Note: "Shows its own rendering's number.", get: (*visit).picture},
		{Path: "/fresh/none", Link: "/fresh/none", Name: "No word about freshness", Note: "As most page backends answer. The cache's --ttl decides.", get: fresh("")},
		{Path: "/fresh/max-age", Link: "/fresh/max-age", Name: "max-age=10", Note: "Fresh for ten seconds.", get: fresh("max-age=10")},
		{Path: "/fresh/no-store", Link: "/fresh/no-store", Name: "no-store", Note: "Counts on with every view.", get: fresh("no-store")},
		{Path: "/cookie", Link: "/cookie", Name: "A page that sets a cookie", Note: "Must not be kept, or everybody would get the same cookie.", get: (*visit).cookie},
		{Path: "/account", Link: "/account", Name: "Your account", Note: "Private. Log in from two browsers: each sees its own name.", get: (*visit).account},
		{Path: "/account/login", get: (*visit).toAccount, post: (*visit).login},
		{Path: "/account/logout", get: (*visit).toAccount, post: (*visit).logout},
		{Path: "/guestbook", Link: "/guestbook", Name: "Guest book", Note: "A form. Its POST passes through the cache with its body.", get: (*visit).guestbook, post: (*visit).sign},
		{Path: "/redirect", Link: "/redirect", Name: "A redirect", Note: "302 to the shop. No cache follows it; your browser does.", get: (*visit).redirect},
		{Path: "/flaky", Link: "/flaky", Name: "A page that fails", Note: "Every third rendering is a 500, and the others are fresh for 2 seconds only.", get: (*visit).flaky},
		{Path: "/gzip", Link: "/gzip", Name: "Compressed for those who ask", Note: "gzip or plain, by Accept-Encoding, with Vary.", get: (*visit).gzip},
		{Path: "/gzip/always", Link: "/gzip/always", Name: "Compressed for everybody", Note: "Some backends do not ask. The cache has to unpack it for a client that cannot.", get: (*visit).gzipAlways},
	}
	for _, size := range []int{1, 16, 100} {
		k := strconv.Itoa(size)
		pages = append(pages, &route{Path: "/size/" + k + "k", Link: "/size/" + k + "k", Name: k + " KiB",
			Note: fmt.Sprintf("Exactly %d bytes, fresh for a minute.", size<<10), get: sized(size << 10)})
	}
	for i := range products {
		pages = append(pages, &route{Path: products[i].Path(), get: func(v *visit) { v.product(&products[i]) }})
	}
	return pages
}

func (v *visit) home() { v.html(http.StatusOK, "home", v.site.listed) }

func (v *visit) missing() { v.html(http.StatusNotFound, "missing", nil) }

// fresh is a page that says that about its freshness.
func fresh(control string) func(*visit) {
	return func(v *visit) {
		if control != "" {
			v.set("Cache-Control", control)
		}
		v.html(http.StatusOK, "fresh", control)
	}
}

// sized is a page of that many bytes.
func sized(bytes int) func(*visit) {
	return func(v *visit) {
		v.set("Cache-Control", "max-age=60")
		short := v.render("sized", "")
		v.write(http.StatusOK, htmlType, v.render("sized", filler(bytes-len(short))))
	}
}

// filler is n bytes of text that HTML need not escape.
func filler(n int) string {
	const text = "First flush, second flush, oolong, pu-erh, sencha, matcha, assam, keemun. "
	return strings.Repeat(text, n/len(text)+1)[:n]
}

func (v *visit) redirect() {
	v.set("Location", "/shop")
	v.html(http.StatusFound, "redirect", nil)
}

func (v *visit) flaky() {
	if v.Count%3 == 0 {
		v.html(http.StatusInternalServerError, "failed", nil)
		return
	}
	v.set("Cache-Control", "max-age=2")
	v.html(http.StatusOK, "flaky", nil)
}

func (v *visit) cookie() {
	http.SetCookie(v.w, &http.Cookie{Name: "demo_ticket", Value: strconv.FormatInt(v.Count, 10), Path: "/cookie", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	before := "none"
	if c, err := v.r.Cookie("demo_ticket"); err == nil {
		before = c.Value
	}
	v.html(http.StatusOK, "cookie", before)
}

func (v *visit) gzip() {
	v.set("Vary", "Accept-Encoding")
	if v.accepts("gzip") {
		v.gzipAlways()
		return
	}
	v.html(http.StatusOK, "gzip", "plain")
}

func (v *visit) gzipAlways() {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(v.render("gzip", "gzip")) // neither Write nor Close of a buffer fails
	_ = z.Close()
	v.set("Content-Encoding", "gzip")
	v.set("Cache-Control", "max-age=60")
	v.write(http.StatusOK, htmlType, b.Bytes())
}
