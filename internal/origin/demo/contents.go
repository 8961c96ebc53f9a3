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
		{
			Path: "/shop", Name: "The shop", get: (*visit).shop,
			Note: "Slow: it asks the database. The second time it comes from the cache.",
		}, {
			Path: "/search", Query: "?q=green", Name: "Search", get: (*visit).search,
			Note: "Slow. Each query string is a page of its own, even if only the order of the arguments differs.",
		}, {
			Path: "/api/products.json", Name: "JSON", get: (*visit).json,
			Note: "Slow. Fresh for 30 seconds by its own word.",
		}, {
			Path: "/feed.rss", Name: "RSS feed", get: (*visit).feed,
			Note: "Fresh for 5 minutes for caches on the way (s-maxage), for 1 in a browser.",
		}, {
			Path: "/style.css", Name: "Style sheet", get: (*visit).style,
			Note: "Has a weak ETag: ask again with If-None-Match for a 304.",
		}, {
			Path: "/picture.svg", Name: "Picture", get: (*visit).picture,
			Note: "Shows its own rendering's number.",
		}, {
			Path: "/fresh/none", Name: "No word about freshness", get: fresh(""),
			Note: "As most page backends answer. The cache's --ttl decides.",
		}, {
			Path: "/fresh/max-age", Name: "max-age=10", get: fresh("max-age=10"),
			Note: "Fresh for ten seconds.",
		}, {
			Path: "/fresh/no-store", Name: "no-store", get: fresh("no-store"),
			Note: "Counts on with every view.",
		}, {
			Path: "/cookie", Name: "A page that sets a cookie", get: (*visit).cookie,
			Note: "Must not be kept, or everybody would get the same cookie.",
		}, {
			Path: "/account", Name: "Your account", get: (*visit).account,
			Note: "Private. Log in from two browsers: each sees its own name.",
		},
		{Path: "/account/login", get: (*visit).toAccount, post: (*visit).login},
		{Path: "/account/logout", get: (*visit).toAccount, post: (*visit).logout},
		{
			Path: "/guestbook", Name: "Guest book", get: (*visit).guestbook, post: (*visit).sign,
			Note: "A form. Its POST passes through the cache with its body.",
		}, {
			Path: "/redirect", Name: "A redirect", get: (*visit).redirect,
			Note: "302 to the shop. No cache follows it; your browser does.",
		}, {
			Path: "/flaky", Name: "A page that fails", get: (*visit).flaky,
			Note: "Every third rendering is a 500, and the others are fresh for 2 seconds only.",
		}, {
			Path: "/gzip", Name: "Compressed for those who ask", get: (*visit).gzip,
			Note: "gzip or plain, by Accept-Encoding, with Vary.",
		}, {
			Path: "/gzip/always", Name: "Compressed for everybody", get: (*visit).gzipAlways,
			Note: "Some backends do not ask. The cache has to unpack it for a client that cannot.",
		},
	}
	for _, k := range []int{1, 16, 100} {
		pages = append(pages, &route{
			Path: fmt.Sprintf("/size/%dk", k), Name: fmt.Sprintf("%d KiB", k), get: sized(k << 10),
			Note: fmt.Sprintf("Exactly %d bytes, fresh for a minute.", k<<10),
		})
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
	const name = "demo_ticket"
	http.SetCookie(v.w, &http.Cookie{
		Name: name, Value: strconv.FormatInt(v.Count, 10), Path: "/cookie", HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	before := "none"
	if c, err := v.r.Cookie(name); err == nil {
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
