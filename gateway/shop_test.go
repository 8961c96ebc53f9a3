package main

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The shop's configuration that ships does what it says.
func TestShop(t *testing.T) {
	text, err := os.ReadFile("../configs/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := regexp.MustCompile(`(?m)^(backend|admin):.*$`).ReplaceAllString(string(text), "")
	g := runGateway(t, config, func(w http.ResponseWriter, r *http.Request) {
		contentType := "text/html; charset=utf-8"
		if strings.HasPrefix(r.URL.Path, "/feed") {
			contentType = "application/rss+xml"
		}
		w.Header().Set("Content-Type", contentType)
		if r.URL.Path == "/gone" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(r.URL.String()))
	})
	for _, tt := range []struct {
		target, cookie string
		kept           bool
	}{
		{"/product/7?utm_source=news&size=9", "", true},
		{"/product/7?size=9", "theme=dark; _ga=1", true},
		{"/product/7?size=9", "wordpress_logged_in_1=x", false},
		{"/product/7", "woocommerce_items_in_cart=1", false},
		{"/checkout/", "", false},
		{"/feed/", "", true},
		{"/gone", "", true},
	} {
		if got := g.hits(tt.target, "Cookie", tt.cookie); got != tt.kept {
			t.Errorf("%s with %q: kept %v, want %v", tt.target, tt.cookie, got, tt.kept)
		}
	}
	if _, resp, body := g.get("/product/7?size=9&gclid=1", "X-Cache-Debug", "change-me-too"); body != "/product/7?size=9" || resp.Header.Get("X-Cache-Debug") == "" {
		t.Errorf("%q, X-Cache-Debug %q", body, resp.Header.Get("X-Cache-Debug"))
	}
	req, _ := http.NewRequest("PURGE", "http://"+g.addr+"/product/7?size=9", nil)
	req.Header.Set("X-Purge-Token", "change-me")
	resp, err := noKeepAlive.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if status, _, _ := g.get("/product/7?size=9"); resp.StatusCode != http.StatusOK || strings.HasPrefix(status, "hit") {
		t.Errorf("purged with %s, and then %s", resp.Status, status)
	}
}
