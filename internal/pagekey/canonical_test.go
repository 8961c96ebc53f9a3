package pagekey_test

import (
	"bytes"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pagegate/internal/pagekey"
)

func TestCanonical(t *testing.T) {
	for target, want := range map[string]bool{
		"/": true, "/a": true, "/a/": true, "/a?": true, "/a?x=//../%zz": true, "/a%20b": true, "/%61": true, "/a%25b": true,
		"/a%23b": true, "/a#b": true, "/.well-known/x": true, "/...": true, "/a/...": true, "/a/..b": true, "/a.": true,
		"/%C3%A9": true, "http://h/a": true, "http://h": true, "http://h?x": true, "/a?b?c": true,
		"//": false, "//a": false, "/a//b": false, "/./a": false, "/a/.": false, "/a/..": false, "/a/../b": false,
		"/%2e": false, "/a/%2E%2e/b": false, "/a%2Fb": false, "/a%2f": false, "/a%3Fb": false, "/a%3fb?c": false, "/a//": false,
		"": false, "a": false, "/a b": false, "/a%": false,
	} {
		if got := pagekey.Canonical([]byte(target)); got != want {
			t.Errorf("%q: %v", target, got)
		}
	}
}

// Two canonical targets with the same key differ in nothing but escapes that mean the byte itself: decoded, the path of
// each is the key up to its first question mark.
func TestCanonicalIsItsKey(t *testing.T) {
	part := rapid.SampledFrom([]string{"/", "/", ".", "..", "a", "%2e", "%2F", "%3f", "%3F", "%20", "%25", "%C3", "\xff", "?", "#", "+", "b"})
	rapid.Check(t, func(t *rapid.T) {
		target := "/" + strings.Join(rapid.SliceOfN(part, 0, 12).Draw(t, "parts"), "")
		if !pagekey.Canonical([]byte(target)) {
			return
		}
		key, err := pagekey.Append(nil, []byte(target))
		if err != nil {
			t.Fatalf("%q is canonical and refused: %v", target, err)
		}
		raw, _, _ := strings.Cut(target, "#")
		path, args, _ := strings.Cut(raw, "?")
		decoded, err := url.PathUnescape(path)
		if err != nil {
			t.Fatal(err)
		}
		uri, keyArgs, _ := bytes.Cut(key, []byte("?"))
		if decoded != string(uri) || args != string(keyArgs) {
			t.Fatalf("%q has the key %q", target, key)
		}
	})
}
