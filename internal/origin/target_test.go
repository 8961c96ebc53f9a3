package origin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// requestLine returns the target between method and version in a head that a server has seen.
func requestLine(t interface{ Fatalf(string, ...any) }, head, method string) string {
	line, _, _ := strings.Cut(head, "\r\n")
	target, ok := strings.CutPrefix(line, method+" ")
	target, ok2 := strings.CutSuffix(target, " HTTP/1.1")
	if !ok || !ok2 {
		t.Fatalf("request line %q", line)
	}
	return target
}

func TestTargetIsSentAsGiven(t *testing.T) {
	s := serveRaw(t, answers(emptyOK))
	from := open(t, s.url, Options{})
	for _, target := range []string{
		"/", "/a", "/?", "/a?", "/a??b", "/a?b?c", "/?%zz&x=%", "/a%2Fb", "/a%2fb", "/a%7Fb", "/a%00b", "/%C3%A9", "/%c3%a9",
		"/a+b%20c", "/a;b=c,d", "/./a/../b", "/..", "/a//b", "/a/b//", "/a:b@c", "/a[b]", "/a#b", "/a?b#c", "/\xff\x80é", "/a?\xff",
		"/\"<>\\^`{|}", "/a%", "/a%zz", "/~a-b_c.d!$&'()*+,;=:@",
		"//", "//a", "//a/b", "///", "//a?", "//a??b", "//a?%zz", "//a%2Fb", "//a%7Fb", "//a%2fb//", "//a:80@b/c",
		"//[::1]/x", "//a?b#c", "//a?\xff",
		"//user:pw@host/path", "//%41", "//a;b=c,d!$&'()*+=~", "/http://h/x", "/" + strings.Repeat("a", 9000), "/a?x=" +
			strings.Repeat("%20", 5000),
	} {
		mustFetch(t, from, get(target))
		if got := requestLine(t, s.lastHead(), "GET"); got != target {
			t.Errorf("target %q was sent as %q", target, got)
		}
	}
	mustFetch(t, from, &Request{Method: http.MethodOptions, Target: "*", Host: "h"})
	if got := requestLine(t, s.lastHead(), "OPTIONS"); got != "*" {
		t.Errorf("* was sent as %q", got)
	}
}

func TestBytesNoURIMayHoldAfterTwoSlashes(t *testing.T) {
	s := serveRaw(t, answers(emptyOK))
	from := open(t, s.url, Options{})
	for target, want := range map[string]string{
		"//é":              "//%C3%A9",
		"//a\xff/b?\xff{}": "//a%FF/b?\xff{}",
		"//\"<>\\^`{|}":    "//%22%3C%3E%5C%5E%60%7B%7C%7D",
		"//%2f{":           "//%2f%7B",
	} {
		mustFetch(t, from, get(target))
		if got := requestLine(t, s.lastHead(), "GET"); got != want {
			t.Errorf("target %q was sent as %q, want %q", target, got, want)
		}
	}
}

func TestRefusedRequests(t *testing.T) {
	s := serveRaw(t, answers(emptyOK))
	from := open(t, s.url, Options{})
	with := func(change func(*Request)) *Request {
		r := get("/")
		change(r)
		return r
	}
	for name, r := range map[string]*Request{
		"no target":             get(""),
		"absolute target":       get("http://other.example/"),
		"star without OPTIONS":  get("*"),
		"space":                 get("/a HTTP/1.1"),
		"line break":            get("/a\r\nX: y"),
		"tab in the query":      get("/a?\t"),
		"DEL":                   get("/a\x7f"),
		"fragment after //":     get("//a#b"),
		"bad escape after //":   get("//a%zz"),
		"half an escape":        get("//a%2"),
		"no method":             with(func(r *Request) { r.Method = "" }),
		"a tunnel":              with(func(r *Request) { r.Method = "CONNECT" }),
		"method with a space":   with(func(r *Request) { r.Method = "GET /x" }),
		"host with a slash":     with(func(r *Request) { r.Host = "a/b" }),
		"host with a space":     with(func(r *Request) { r.Host = "a b" }),
		"host with a byte 0xff": with(func(r *Request) { r.Host = "\xff" }),
		"field name":            with(func(r *Request) { r.Header = http.Header{"A b": {"c"}} }),
		"empty field name":      with(func(r *Request) { r.Header = http.Header{"": {"c"}} }),
		"field value":           with(func(r *Request) { r.Header = http.Header{"A": {"secret\r\nB: c"}} }),
		"NUL in a value":        with(func(r *Request) { r.Header = http.Header{"A": {"secret\x00"}} }),
	} {
		for kind, o := range map[string]Origin{"http": from, "handler": Handler(http.NotFoundHandler())} {
			if kind == "handler" && name == "fragment after //" {
				continue // a handler can be given it as it is
			}
			_, err := o.Fetch(t.Context(), r)
			e := wantKind(t, err, KindRequest)
			if strings.Contains(e.Error(), "secret") {
				t.Errorf("%s, %s: the error tells a field's value: %v", kind, name, e)
			}
		}
	}
	if head := s.lastHead(); head != "" {
		t.Errorf("the backend was sent %q", head)
	}
}

// TestTargetProperty: what is sent is the target, or, after two slashes, means the same.
func TestTargetProperty(t *testing.T) {
	pieces := rapid.SampledFrom([]string{"/", "//", "?", "#", "%", "%2F", "%2f", "%41", "%zz", "a", ".", "..", ":", "@",
		"é", "\x80", "\xff",
		"{", "\\", "\"", "[", "]", ";", "&", "=", "+", "~", "http:", " ", "\t", "\x7f", "\x00"})
	rapid.Check(t, func(t *rapid.T) {
		target := rapid.OneOf(
			rapid.Map(rapid.SliceOfN(pieces, 0, 12), func(p []string) string { return "/" + strings.Join(p, "") }),
			rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return "/" + string(b) }),
			rapid.Map(rapid.SliceOfN(rapid.ByteRange(0x21, 0x7e), 0, 20), func(b []byte) string { return "//" + string(b) }),
		).Draw(t, "target")
		u, err := targetURL("http", "backend:80", http.MethodGet, target)
		path, _, _ := strings.Cut(target, "?")
		double := strings.HasPrefix(target, "//")
		switch badByte := strings.ContainsFunc(target, func(r rune) bool { return r <= ' ' || r == 0x7f }); {
		case badByte:
			if err == nil {
				t.Fatalf("%q was accepted", target)
			}
			return
		case err != nil:
			if _, perr := url.PathUnescape(path); !double || perr == nil && !strings.Contains(path, "#") {
				t.Fatalf("%q was refused: %v", target, err)
			}
			return
		}
		sent := u.RequestURI()
		if sent == target {
			return
		}
		sentPath, sentQuery, sentHas := strings.Cut(sent, "?")
		_, query, has := strings.Cut(target, "?")
		before, err1 := url.PathUnescape(path)
		after, err2 := url.PathUnescape(sentPath)
		if !double || sentPath != escapeInvalid(path) || before != after || err1 != nil || err2 != nil ||
			sentQuery != query || sentHas != has {
			t.Fatalf("%q is sent as %q", target, sent)
		}
	})
}
