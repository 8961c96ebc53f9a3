//go:build !race

// The race detector allocates on its own, so these promises are held without it.

package pagekey_test

import (
	"testing"

	"pagegate/internal/pagekey"
)

func TestAppendAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 512)
	for _, target := range []string{
		"/abc/def?x=1", "/abc/def", "/a//b/../%41%20?x#y", "http://Example.com:80/a", "http://h?x", "/..", "/%zz", "*",
	} {
		raw := []byte(target)
		if n := testing.AllocsPerRun(100, func() { _, _ = pagekey.Append(dst, raw) }); n != 0 {
			t.Errorf("Append(%q): %v allocations", target, n)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = pagekey.AppendURI(dst, raw) }); n != 0 {
			t.Errorf("AppendURI(%q): %v allocations", target, n)
		}
		if n := testing.AllocsPerRun(100, func() { dst = pagekey.AppendWire(dst, raw)[:0] }); n != 0 {
			t.Errorf("AppendWire(%q): %v allocations", target, n)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = pagekey.AppendRaw(dst, raw) }); n != 0 {
			t.Errorf("AppendRaw(%q): %v allocations", target, n)
		}
	}
	raw := []byte("/abc/def?x=1")
	if n := testing.AllocsPerRun(100, func() { _, _, _ = pagekey.Split(raw) }); n != 0 {
		t.Errorf("Split: %v allocations", n)
	}
}

func TestTemplateAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 512)
	lines := fieldLines{"Cookie: x=1; a=2", "X-A: 1", "X-A: 2"}
	target, host, method := []byte("/a//b?a=1&b=2"), []byte("Example.com:80"), []byte("GET")
	for _, text := range append(templates, pagekey.Default) {
		template, err := pagekey.Parse(text, pagekey.JoinFields(true))
		if err != nil {
			t.Fatal(err)
		}
		// As a server would hold it: the look-up is made once for a connection, the request is filled for each key.
		var fields pagekey.Fields = lines
		n := testing.AllocsPerRun(100, func() {
			r := pagekey.Request{Target: target, Host: host, Method: method, Fields: fields}
			_, _ = template.Append(dst, &r)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
	}
}
