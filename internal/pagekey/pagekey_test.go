package pagekey_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pagegate/internal/pagekey"
)

// refused stands for 400 in the tables.
const refused = "400"

// keyTable is what nginx was seen to do; compare_test.go asks it again about all of these.
var keyTable = []struct{ target, key, unmerged string }{
	{target: "/a", key: "/a?"},
	{target: "/a?", key: "/a?"},
	{target: "/a?x=1", key: "/a?x=1"},
	{target: "/a%20b", key: "/a b?"},
	{target: "/a%2Fb", key: "/a/b?"},
	{target: "/a+b", key: "/a+b?"},
	{target: "/a%2Bb", key: "/a+b?"},
	{target: "/a//b", key: "/a/b?", unmerged: "/a//b?"},
	{target: "/a%2F%2fb", key: "/a/b?", unmerged: "/a//b?"},
	{target: "/a///b//", key: "/a/b/?", unmerged: "/a///b//?"},
	{target: "//a", key: "/a?", unmerged: "//a?"},
	{target: "/a/./b", key: "/a/b?"},
	{target: "/a/../b", key: "/b?"},
	{target: "/a/%2e%2e/b", key: "/b?"},
	{target: "/a%2f..%2fb", key: "/b?"},
	{target: "/a/..", key: "/?"},
	{target: "/a/%2E%2e", key: "/?"},
	{target: "/%2e", key: "/?"},
	{target: "/a/.", key: "/a/?"},
	{target: "/a/...", key: "/a/...?"},
	{target: "//a/./b", key: "/a/b?", unmerged: "//a/b?"},
	{target: "/a//./b", key: "/a/b?", unmerged: "/a//b?"},
	{target: "/a//../b", key: "/b?", unmerged: "/a/b?"},
	{target: "/..", key: refused},
	{target: "/../a", key: refused},
	{target: "/a/../../b", key: refused},
	{target: "//..", key: refused, unmerged: "/?"},
	{target: "/a%00b", key: refused},
	{target: "/a%0Ab", key: "/a\nb?"},
	{target: "/a%01b", key: "/a\x01b?"},
	{target: "/a%7Fb", key: "/a\x7fb?"},
	{target: "/a\x7fb", key: refused},
	{target: "/a\tb", key: refused},
	{target: "/a b", key: refused},
	{target: "/a?\tb", key: refused},
	{target: "/a#\tb", key: refused},
	{target: "/a\r\n", key: refused},
	{target: "/a\x00", key: refused},
	{target: "/%C3%A9", key: "/\xc3\xa9?"},
	{target: "/\xc3\xa9", key: "/\xc3\xa9?"},
	{target: "/%FF", key: "/\xff?"},
	{target: "/a%25b", key: "/a%b?"},
	{target: "/a%2525b", key: "/a%25b?"},
	{target: "/a%3Fb", key: "/a?b?"},
	{target: "/a%3fb?c", key: "/a?b?c"},
	{target: "/a%23b", key: "/a#b?"},
	{target: "/a#b?c", key: "/a?"},
	{target: "/a%zz", key: refused},
	{target: "/a%2", key: refused},
	{target: "/a%", key: refused},
	{target: "/a%2?0", key: refused},
	{target: "/a?%zz", key: "/a?%zz"},
	{target: "/a?x=%20b", key: "/a?x=%20b"},
	{target: "/a??b", key: "/a??b"},
	{target: "/a?x=1&x=2&", key: "/a?x=1&x=2&"},
	{target: "/a?b#c?d", key: "/a?b"},
	{target: "/a?//../x", key: "/a?//../x"},
	{target: "/%2e%2e%3F", key: "/..??"},
	{target: "http://h/x//y?z", key: "/x/y?z", unmerged: "/x//y?z"},
	{target: "http://h?z", key: "/?z"},
	{target: "http://h?z#f", key: "/?z"},
	{target: "http://h", key: "/?"},
	{target: "HTTP://h:80/a", key: "/a?"},
	{target: "h2+x-y.z://h:/a", key: "/a?"},
	{target: "x://[::1]:65536/a", key: "/a?"},
	{target: "http://[]/", key: "/?"},
	{target: "http://h./", key: "/?"},
	{target: "http://h#f", key: refused},
	{target: "http:///a", key: refused},
	{target: "http://:80/a", key: refused},
	{target: "http://a..b/", key: refused},
	{target: "http://a_b/", key: refused},
	{target: "http://u@h/", key: refused},
	{target: "http://h%41/", key: refused},
	{target: "http://[::1/", key: refused},
	{target: "http://h:8x/", key: refused},
	{target: "http:/h/", key: refused},
	{target: "http", key: refused},
	{target: "://h/", key: refused},
	{target: "1x://h/", key: refused},
	{target: "*", key: refused},
	{target: "h:443", key: refused},
	{target: "", key: refused},
}

func TestAppendTable(t *testing.T) {
	unmerged, err := pagekey.Parse(pagekey.Default, pagekey.MergeSlashes(false))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range keyTable {
		key, err := pagekey.Append([]byte("kept "), []byte(c.target))
		checkTable(t, c.target, c.key, key, err)
		if c.unmerged == "" {
			c.unmerged = c.key
		}
		key, err = unmerged.Append([]byte("kept "), &pagekey.Request{Target: []byte(c.target)})
		checkTable(t, c.target+" unmerged", c.unmerged, key, err)
	}
}

func checkTable(t *testing.T, what, want string, key []byte, err error) {
	t.Helper()
	got := strings.TrimPrefix(string(key), "kept ")
	switch {
	case !bytes.HasPrefix(key, []byte("kept ")):
		t.Errorf("%q: what was in dst is gone: %q", what, key)
	case errors.Is(err, pagekey.ErrBadTarget):
		if want != refused || got != "" {
			t.Errorf("%q: %q and %v, want %q", what, got, err, want)
		}
	case err != nil || got != want:
		t.Errorf("%q: %q and %v, want %q", what, got, err, want)
	}
}

// TestReasons holds that a refusal says what is wrong.
func TestReasons(t *testing.T) {
	for target, reason := range map[string]string{
		"":               "empty",
		"*":              "starts with neither",
		"/a b":           "space or a control byte",
		"http://a_b/":    "authority is followed by",
		"http://a..b/":   "host name is invalid",
		"/%4":            "two hexadecimal digits",
		"/%00":           "zero byte",
		"/a/../../b":     "above the root",
		"http://h/../..": "above the root",
	} {
		_, err := pagekey.Append(nil, []byte(target))
		if !errors.Is(err, pagekey.ErrBadTarget) || !strings.Contains(err.Error(), reason) {
			t.Errorf("%q: %v, want %q", target, err, reason)
		}
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct{ target, authority, origin string }{
		{"/a//b/../%41?q#f", "", "/a//b/../%41?q#f"},
		{"//host/a", "", "//host/a"},
		{"http://Host:80/a//b?q#f", "Host:80", "/a//b?q#f"},
		{"http://h", "h", "/"},
		{"http://h?", "h", "/"},
		{"http://h?#f", "h", "/"},
		{"http://h?q#f", "h", "/?q"},
		{"http://[::1]:/", "[::1]:", "/"},
	} {
		authority, origin, err := pagekey.Split([]byte(c.target))
		if err != nil || string(authority) != c.authority || string(origin) != c.origin {
			t.Errorf("%q: %q, %q, %v", c.target, authority, origin, err)
		}
	}
	if _, _, err := pagekey.Split([]byte("*")); !errors.Is(err, pagekey.ErrBadTarget) {
		t.Errorf("*: %v", err)
	}
}

// TestSplitKeepsKey holds that the origin-form target has the key of the target that it was cut from.
func TestSplitKeepsKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target := []byte(genTarget().Draw(t, "target"))
		key, err := pagekey.Append(nil, target)
		if err != nil {
			return
		}
		_, origin, err := pagekey.Split(target)
		if err != nil {
			t.Fatalf("%q has a key, but: %v", target, err)
		}
		again, err := pagekey.Append(nil, origin)
		if err != nil || !bytes.Equal(key, again) {
			t.Fatalf("%q has the key %q, its origin form %q has %q (%v)", target, key, origin, again, err)
		}
	})
}

func TestExtension(t *testing.T) {
	for uri, want := range map[string]string{
		"": "", "/": "", "/a": "", "/a.": "", "/a.css": "css", "/a.CsS": "css", "/a.min.js": "js", "/a.css/b": "",
		"/.css": "", "/..css": "", "/...css": "", "/....css": "css", "/.a.css": "css", "/a.b/.css": "", "/?.css": "css",
		"/a.css ": "css ",
	} {
		if got := pagekey.Extension(uri); got != want {
			t.Errorf("%q: %q, want %q", uri, got, want)
		}
	}
}
