package e2e

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pagegate/internal/door/doortest"
)

// attackable opens every way to a backend that could be poisoned.
func attackable(t *testing.T, backend string, more ...string) map[string]string {
	cache, _ := startCache(t, "cacheserver")
	filler, _ := startFiller(t, backend, cache, more...)
	embedded, _ := startGateway(t, backend, more...)
	otherCache, _ := startCache(t, "cacheserver")
	remote, _ := startGateway(t, backend, append([]string{"--cache", otherCache}, more...)...)
	return map[string]string{"nginx": startNginx(t, cache, filler), "gateway": embedded, "gateway over a cacheserver": remote}
}

// gullible is a backend that builds its pages from all that it is sent, says so nowhere, and lets everybody keep them.
func gullible(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=60")
	fmt.Fprintf(w, "%s %s %s ", r.Method, r.RequestURI, r.Host)
	for name, values := range r.Header {
		fmt.Fprint(w, name, values, " ")
	}
	if r.ContentLength != 0 {
		body := make([]byte, 100)
		n, _ := r.Body.Read(body)
		_, _ = w.Write(body[:n])
	}
}

// Whatever one visitor sends, in either mode, the next one is given a page in which nothing of it is to be found.
func TestPoison(t *testing.T) {
	const host = "Host: site.example\r\n"
	heads := map[string]string{
		"another host":              "GET %s HTTP/1.1\r\nHost: evil.example\r\n\r\n",
		"another host's port":       "GET %s HTTP/1.1\r\nHost: site.example:666evil\r\n\r\n",
		"an absolute target":        "GET http://evil.example%s HTTP/1.1\r\n" + host + "\r\n",
		"a fat GET":                 "GET %s HTTP/1.1\r\n" + host + "Content-Length: 4\r\n\r\nevil",
		"a fat GET in chunks":       "GET %s HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n",
		"a POST":                    "POST %s HTTP/1.1\r\n" + host + "Content-Length: 4\r\n\r\nevil",
		"an override of the method": "GET %s HTTP/1.1\r\n" + host + "X-HTTP-Method-Override: EVIL\r\n\r\n",
		"a cookie":                  "GET %s HTTP/1.1\r\n" + host + "Cookie: sid=evil\r\n\r\n",
		"two cookies":               "GET %s HTTP/1.1\r\n" + host + "Cookie: _ga=1\r\nCookie: sid=evil\r\n\r\n",
		"a cookie taken away":       "GET %s HTTP/1.1\r\n" + host + "Connection: close, Cookie\r\nCookie: sid=evil\r\n\r\n",
		"credentials":               "GET %s HTTP/1.1\r\n" + host + "Authorization: evil\r\n\r\n",
		"credentials taken away":    "GET %s HTTP/1.1\r\n" + host + "Connection: Authorization\r\nAuthorization: evil\r\n\r\n",
		"white space before a name": "GET %s HTTP/1.1\r\n X-Forwarded-Host: evil\r\n" + host + "\r\n",
		"white space before colon":  "GET %s HTTP/1.1\r\n" + host + "X-Forwarded-Host : evil\r\n\r\n",
		"a folded field":            "GET %s HTTP/1.1\r\n" + host + "X-A: 1\r\n X-Forwarded-Host: evil\r\n\r\n",
		"a range":                   "GET %s HTTP/1.1\r\n" + host + "Range: bytes=0-3, evil\r\n\r\n",
		"a condition":               "GET %s HTTP/1.1\r\n" + host + "If-None-Match: \"evil\"\r\n\r\n",
		"a fragment":                "GET %s#evil HTTP/1.1\r\n" + host + "\r\n",
		"a HEAD":                    "HEAD %s HTTP/1.1\r\n" + host + "X-Evil: evil\r\n\r\n",
	}
	for _, name := range []string{
		"X-Forwarded-Host", "X-Forwarded-Scheme", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-For", "Forwarded",
		"X-Original-URL", "X-Original-Host", "X-Rewrite-URL", "X-Host", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-HTTP-Host-Override",
		"Front-End-Https", "Via", "Content-Type",
	} {
		for _, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name)} {
			heads[spelling] = "GET %s HTTP/1.1\r\n" + host + spelling + ": evil.example\r\n" + spelling + ": evil.example\r\n\r\n"
			heads[spelling+", tab"] = "GET %s HTTP/1.1\r\n" + host + spelling + ":\tevil.example \t\r\n\r\n"
		}
	}
	unknown := map[string]string{}
	for _, name := range []string{"X-Theme", "User-Agent", "Referer", "Accept", "Accept-Language", "Origin", "DNT"} {
		unknown[name] = "GET %s HTTP/1.1\r\n" + host + name + ": evil\r\n\r\n"
	}
	for _, mode := range [][]string{{"--host", "site.example"}, {"--host", "site.example", "--ttl", "0"}} {
		b := newBackend(t, gullible)
		for door, addr := range attackable(t, b.URL, mode...) {
			n := 0
			attack := func(name, head string) {
				n++
				target := fmt.Sprintf("/page?%d", n)
				got := raw(t, addr, closing(fmt.Sprintf(head, target)), 10*time.Second)
				if a := fetch(t, addr, target); strings.Contains(strings.ToLower(a.body), "evil") || a.status != 200 {
					t.Errorf("%s %v: %s shaped the page: %+v\nits sender got %q", door, mode, name, a, got)
				}
			}
			for name, head := range heads {
				attack(name, head)
			}
			if !slices.Contains(mode, "--ttl") { // in the pure RFC mode a backend has to say by what its pages vary
				for name, head := range unknown {
					attack(name, head)
				}
			}
		}
	}
}

// closing has the connection closed with the answer, where the head does not speak of that itself.
func closing(request string) string {
	if strings.Contains(request, "Connection: ") {
		return strings.Replace(request, "Connection: ", "Connection: close, ", 1)
	}
	head, body, _ := strings.Cut(request, "\r\n\r\n")
	return head + "\r\nConnection: close\r\n\r\n" + body
}

// A cookie that the leader of a herd is given is his alone, however many wait for the same page, and whatever it says about
// being kept.
func TestCookieOfAHerd(t *testing.T) {
	var mu sync.Mutex
	n := 0
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		cookie := fmt.Sprintf("sid=%d", n)
		mu.Unlock()
		time.Sleep(50 * time.Millisecond) // for the herd to gather
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", strings.ReplaceAll(r.URL.Query().Get("cc"), "+", " "))
		w.Header().Add("Set-Cookie", "theme=dark")
		w.Header().Add("Set-Cookie", cookie)
		fmt.Fprint(w, "page")
	})
	for door, addr := range attackable(t, b.URL) {
		for _, cc := range []string{"max-age=60", "public,s-maxage=60", "private=%22set-cookie%22,max-age=60", "no-cache=%22Set-Cookie%22,max-age=60", "no-store"} {
			var all sync.WaitGroup
			var mu sync.Mutex
			seen := map[string]int{}
			for range 25 {
				all.Go(func() {
					a, err := tryFetch(addr, "/a?cc="+cc)
					if err != nil || a.body != "page" {
						t.Errorf("%s: %+v %v", door, a, err)
					}
					mu.Lock()
					defer mu.Unlock()
					for _, c := range a.header["Set-Cookie"] {
						seen[c]++
					}
				})
			}
			all.Wait()
			delete(seen, "theme=dark")
			for cookie, times := range seen {
				if times > 1 {
					t.Errorf("%s, %s: %d visitors were given the cookie %s", door, cc, times, cookie)
				}
			}
			if len(seen) == 0 {
				t.Errorf("%s, %s: nobody was given a cookie", door, cc)
			}
		}
	}
}

// A page that is personal stays so under whatever name it is asked for, even if its backend lets it be kept.
func TestPathTricks(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "max-age=60")
		name := "nobody"
		if c, err := r.Cookie("sid"); err == nil {
			name = c.Value
		}
		fmt.Fprint(w, "account of ", name) // whatever follows /account
	})
	for door, addr := range attackable(t, b.URL) {
		for _, target := range []string{
			"/account", "/account/x.css", "/account/x.js?v=1", "/account;x.css", "/account%2fx.css", "/account/%2e%2e/x.css", "/account//x.css", "/account/./x.css",
			"/account%3fx.css", "/account%00.css", "/account%0a.css", "/account/..%2fx.css", "/x/../account", "/%61ccount", "/account?x.css", "/account#x.css", "/ACCOUNT/x.css",
		} {
			for range 2 {
				if a := fetchRaw(t, addr, target, "Cookie: sid=victim"); strings.HasPrefix(a, "HTTP/1.1 200") && !strings.Contains(a, "account of victim") {
					t.Errorf("%s %s: the visitor does not see his account: %q", door, target, a)
				}
			}
			for _, cookie := range []string{"Cookie: _ga=1", "X-None: 1", "Cookie: sid=other"} {
				if a := fetchRaw(t, addr, target, cookie); strings.Contains(a, "victim") {
					t.Errorf("%s %s, %s: another is given the account: %q", door, target, cookie, a)
				}
			}
		}
	}
}

func fetchRaw(t *testing.T, addr, target, field string) string {
	t.Helper()
	return raw(t, addr, "GET "+target+" HTTP/1.1\r\nHost: x\r\n"+field+"\r\nConnection: close\r\n\r\n", 10*time.Second)
}

// Line breaks in a target reach neither the cache's protocol nor a field, spelled out or escaped.
func TestLineBreaks(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Location", r.URL.Path)
		htmlPage(w, r)
	})
	for _, which := range []string{"cacheserver", "memcached"} {
		cache, _ := startCache(t, which)
		filler, _ := startFiller(t, b.URL, cache)
		gateway, _ := startGateway(t, b.URL, "--cache", cache)
		for _, addr := range []string{startNginx(t, cache, filler), filler, gateway} {
			for _, attack := range []string{"\r\nset evil 0 0 4\r\nevil\r\n", "%0d%0aset%20evil%200%200%204%0d%0aevil%0d%0a", "%0Aset%20evil%200%200%204%0D%0Aevil", "%00%0d%0adelete%20/a%3f", "\nset evil 0 0 4\nevil", "\rX-Evil:1"} {
				for _, target := range []string{"/a" + attack, "/a?x=" + attack, "/" + attack + "/"} {
					got := fetchRaw(t, addr, target, "X-None: 1")
					head, _, _ := strings.Cut(got, "\r\n\r\n")
					if strings.Contains(head, "\r\nX-Evil") || strings.Contains(head, "\nset evil") || strings.HasPrefix(got, "STORED") {
						t.Errorf("%q: %q", target, got)
					}
				}
			}
		}
		if got := raw(t, cache, "get evil\r\nquit\r\n", 10*time.Second); got != "END\r\n" {
			t.Errorf("%s holds what a target has told it: %q", which, got)
		}
	}
}

// The filler, which no nginx shields from what another front lets through, refuses ambiguous requests as the gateway does.
func TestFillerRefusesAmbiguousRequests(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, doortest.Reached) })
	cache, _ := startCache(t, "cacheserver")
	filler, _ := startFiller(t, b.URL, cache)
	for name := range doortest.Smuggling {
		c, err := net.Dial("tcp", filler)
		if err != nil {
			t.Fatal(err)
		}
		doortest.Refused(t, name, c, doortest.Whole)
		c.Close()
	}
	if n := b.total.Load(); n != 0 {
		t.Errorf("the backend was asked %d times", n)
	}
}
