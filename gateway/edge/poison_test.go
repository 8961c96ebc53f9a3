package edge

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pagegate/internal/origin"
)

// Whatever an attacker sends along, nobody else is given a page that it has shaped, by a backend that builds its pages
// from every field, says so nowhere, and lets them be cached.
func TestPoisonedRequestsShapeNoPage(t *testing.T) {
	known := []string{
		"X-Forwarded-Host", "X-Forwarded-Scheme", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix",
		"X-Forwarded-Server", "X-Forwarded-For", "X-Forwarded-Path", "Forwarded", "X-Original-URL", "X-Original-Host",
		"X-Rewrite-URL", "X-Host", "X-HTTP-Host-Override", "X-HTTP-Method-Override", "X-Method-Override", "X-Real-IP",
		"X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "Front-End-Https", "X-Url-Scheme", "Cookie2", "Via",
		"Range", "If-None-Match", "Content-Type", "Authorization",
	}
	unknown := []string{"X-Theme", "Accept", "Accept-Language", "User-Agent", "Referer", "Origin", "X-Anything", "Accept-Charset"}
	for _, allFields := range []bool{false, true} {
		fields := known
		if !allFields {
			fields = slices.Concat(known, unknown)
		}
		s := &site{fallback: func(r *origin.Request) (*origin.Response, error) {
			var b strings.Builder
			fmt.Fprintf(&b, "%s %s %s ", r.Method, r.Target, r.Host)
			for name, values := range r.Header {
				fmt.Fprint(&b, name, values, " ")
			}
			if r.Header.Get("Authorization") != "" {
				return reply(200, html, b.String()), nil // its answer to that is the client's own
			}
			return reply(200, html, b.String(), "Cache-Control", "max-age=60"), nil
		}}
		e := newEdge(t, s)
		e.Door.Policy.AllFields = allFields
		dial := serve(t, e)
		for i, name := range fields {
			for j, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
				target := fmt.Sprintf("/p?%d.%d", i, j)
				ask(t, dial(), request("GET", target, spelling, "evil.example", spelling, "evil.example"))
				victim := ask(t, dial(), request("GET", target))
				if strings.Contains(victim.body, "evil") || victim.status != 200 {
					t.Errorf("all fields %v: %s shaped the page: %+v", allFields, spelling, victim)
				}
			}
		}
		for i, head := range []string{
			"GET %s HTTP/1.1\r\nHost: evil.example\r\n\r\n",
			"GET http://evil.example%s HTTP/1.1\r\nHost: client.example\r\n\r\n",
			"GET %s HTTP/1.1\r\nHost: client.example\r\nContent-Length: 10\r\n\r\ntheme=evil",
			"GET %s HTTP/1.1\r\nHost: client.example\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
			"POST %s HTTP/1.1\r\nHost: client.example\r\nContent-Length: 4\r\n\r\nevil",
			"GET %s HTTP/1.1\r\nHost: client.example\r\nCookie: sid=evil\r\n\r\n",
			"GET %s HTTP/1.1\r\nHost: client.example\r\nConnection: close, Cookie\r\nCookie: sid=evil\r\n\r\n",
		} {
			target := fmt.Sprintf("/h?%d", i)
			ask(t, dial(), fmt.Sprintf(head, target))
			if victim := ask(t, dial(), request("GET", target)); strings.Contains(victim.body, "evil") {
				t.Errorf("all fields %v: %q shaped the page: %+v", allFields, head, victim)
			}
		}
	}
}

// A cookie that a page sets is for the one who asked, even where its backend lets the page be cached.
func TestSetCookieReachesNoOther(t *testing.T) {
	for _, cc := range []string{"max-age=60", "public, max-age=60", `max-age=60, private="Set-Cookie"`, `max-age=60, no-cache="set-cookie"`} {
		var n atomic.Int64
		s := &site{fallback: func(*origin.Request) (*origin.Response, error) {
			return reply(200, html, "page", "Cache-Control", cc, "Set-Cookie", fmt.Sprint("sid=", n.Add(1))), nil
		}}
		dial := serve(t, newEdge(t, s))
		seen := map[string]bool{}
		for range 10 {
			a := ask(t, dial(), request("GET", "/a"))
			if cookie := a.header.Get("Set-Cookie"); cookie != "" && seen[cookie] {
				t.Errorf("%s: %s was given to two visitors", cc, cookie)
			} else {
				seen[cookie] = true
			}
		}
		if !seen["sid=1"] {
			t.Errorf("%s: the first visitor's cookie was lost", cc)
		}
	}
}

// What a target holds reaches neither the cache's protocol nor a field.
func TestLineBreaksInATarget(t *testing.T) {
	s := &site{fallback: func(r *origin.Request) (*origin.Response, error) {
		return reply(http.StatusMovedPermanently, html, "", "Location", "http://site.example"+r.Target, "Cache-Control", "max-age=60"), nil
	}}
	dial := serve(t, newEdge(t, s))
	for _, target := range []string{"/a%0d%0aset%20x%200%200%201%0d%0ay", "/a%0D%0ASet-Cookie:%20evil=1", "/%00", "/?x=%0d%0aX-Evil:1"} {
		for range 2 {
			a := ask(t, dial(), request("GET", target))
			if a.header.Get("Set-Cookie") != "" || a.header.Get("X-Evil") != "" || len(a.header["Location"]) > 1 {
				t.Errorf("%s: %+v", target, a)
			}
		}
	}
}
