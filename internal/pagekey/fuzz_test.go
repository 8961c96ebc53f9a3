package pagekey_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"pagegate/internal/pagekey"
)

// FuzzAppend holds what is true of every target: no panic, nothing of dst lost, a refusal is the one error, a key is
// "$uri?$args" with a normal path, and a path that is sent as its own $uri has that $uri.
func FuzzAppend(f *testing.F) {
	for _, c := range keyTable {
		f.Add([]byte(c.target))
	}
	inPieces, err := pagekey.Parse("${uri}?$args")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, target []byte) {
		before := bytes.Clone(target)
		key, err := pagekey.Append([]byte("kept"), target)
		uri, uriErr := pagekey.AppendURI(nil, target)
		if !bytes.Equal(target, before) || !bytes.HasPrefix(key, []byte("kept")) || err != uriErr {
			t.Fatalf("target %q, dst %q, errors %v and %v", target, key, err, uriErr)
		}
		key = key[len("kept"):]
		same, sameErr := inPieces.Append(nil, &pagekey.Request{Target: target})
		if !bytes.Equal(same, key) || sameErr != err {
			t.Fatalf("%q: the key is %q (%v), in pieces %q (%v)", target, key, err, same, sameErr)
		}
		if err != nil {
			if !errors.Is(err, pagekey.ErrBadTarget) || len(key) != 0 {
				t.Fatalf("%q: %q, %v", target, key, err)
			}
			return
		}
		if len(key) > len(target)+2 {
			t.Fatalf("%q: the key %q is too long", target, key)
		}
		if !sendable(target) {
			t.Fatalf("%q has a key, but is no single target", target)
		}
		if !bytes.HasPrefix(key, append(bytes.Clone(uri), '?')) {
			t.Fatalf("%q: $uri %q is not what the key %q starts with", target, uri, key)
		}
		checkNormal(t, uri)
	})
}

// checkNormal checks that a $uri is normal, and a fixed point of the rule.
func checkNormal(t *testing.T, uri []byte) {
	t.Helper()
	path := string(uri) + "/"
	if path[0] != '/' || strings.Contains(path[:len(path)-1], "//") || strings.Contains(path, "/./") ||
		strings.Contains(path, "/../") || strings.ContainsRune(path, 0) {
		t.Fatalf("$uri %q is not normal", uri)
	}
	again, err := pagekey.AppendURI(nil, escapePath(uri))
	if err != nil || !bytes.Equal(again, uri) {
		t.Fatalf("$uri %q, sent as %q, becomes %q (%v)", uri, escapePath(uri), again, err)
	}
}

// escapePath writes a $uri as a target that means it.
func escapePath(uri []byte) []byte {
	var b []byte
	for _, c := range uri {
		if c <= 0x20 || c == 0x7f || c == '%' || c == '?' || c == '#' {
			b = append(b, '%', "0123456789abcdef"[c>>4], "0123456789ABCDEF"[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}

// FuzzTemplate holds that no template and no request make the package panic, and that a result is a key or an error.
func FuzzTemplate(f *testing.F) {
	for _, text := range templates {
		f.Add(text, []byte("/a//b?a=1&B_c=2"), []byte("Example.com.:80"), "Cookie: a=1;ab=2, b")
	}
	f.Add("$uri?$args", []byte("http://[::1]?x"), []byte("a:b:c."), "X-A")
	f.Add("${", []byte(""), []byte(".."), ":")
	f.Fuzz(func(t *testing.T, text string, target, host []byte, line string) {
		template, err := pagekey.Parse(text)
		if err != nil {
			return
		}
		r := &pagekey.Request{Target: target, Host: host, Method: []byte("GET"), Fields: fieldLines{line, line}}
		dst := []byte("kept")
		key, err := template.Append(dst, r)
		if !bytes.HasPrefix(key, dst) || err != nil && len(key) != len(dst) || err == nil && len(key) == len(dst) {
			t.Fatalf("%s of %+v: %q, %v", text, r, key, err)
		}
		if err != nil && !errors.Is(err, pagekey.ErrBadTarget) && !errors.Is(err, pagekey.ErrNoKey) {
			t.Fatalf("%s of %+v: %v", text, r, err)
		}
	})
}

// FuzzWire holds that the escape is one to one.
func FuzzWire(f *testing.F) {
	for _, seed := range []string{"", "/a b?%20", "%25", "%2", "%0a", "\x00\x7f\xff", "/a%20b?x=%2520b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) { checkWire(t, in) })
}
