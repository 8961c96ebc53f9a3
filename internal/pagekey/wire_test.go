package pagekey_test

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"pagegate/internal/pagekey"
)

func TestWire(t *testing.T) {
	for raw, want := range map[string]string{
		"":             "",
		"/a?":          "/a?",
		"/a b?x=%20b":  "/a%20b?x=%2520b",
		"/\n\x00\x1f!": "/%0A%00%1F!",
		"/\x7f\xff#\"": "/\x7f\xff#\"",
		"%":            "%25",
	} {
		wire := pagekey.AppendWire([]byte("get "), []byte(raw))
		if string(wire) != "get "+want {
			t.Errorf("%q: %q, want %q", raw, wire, want)
		}
		back, err := pagekey.AppendRaw([]byte("raw "), []byte(want))
		if err != nil || string(back) != "raw "+raw {
			t.Errorf("%q: back to %q (%v), want %q", want, back, err, raw)
		}
	}
}

func TestBadWire(t *testing.T) {
	for _, wire := range []string{"%", "%2", "a b", "\x00", "a\n", "%zz", "%0a", "%2f", "%41", "%7F", "a%2%20"} {
		raw, err := pagekey.AppendRaw([]byte("kept"), []byte(wire))
		if !errors.Is(err, pagekey.ErrBadWire) || string(raw) != "kept" {
			t.Errorf("%q: %q, %v", wire, raw, err)
		}
	}
}

// TestWireIsOneToOne holds both directions: no two raw keys share a wire key, and the other way round.
func TestWireIsOneToOne(t *testing.T) {
	token := rapid.OneOf(genToken(), genByte(0, 255))
	rapid.Check(t, func(t *rapid.T) {
		var in []byte
		for _, s := range rapid.SliceOfN(token, 0, 10).Draw(t, "bytes") {
			in = append(in, s...)
		}
		checkWire(t, in)
	})
}

// fataler is the part of testing.TB that *rapid.T has too.
type fataler interface{ Fatalf(string, ...any) }

// checkWire takes the bytes for a raw key and for a wire key.
func checkWire(t fataler, in []byte) {
	raw, err := pagekey.AppendRaw(nil, pagekey.AppendWire(nil, in))
	if err != nil || !bytes.Equal(raw, in) {
		t.Fatalf("raw %q comes back as %q (%v)", in, raw, err)
	}
	raw, err = pagekey.AppendRaw(nil, in)
	if err == nil && !bytes.Equal(pagekey.AppendWire(nil, raw), in) {
		t.Fatalf("wire %q is read as %q, whose wire key is another", in, raw)
	}
}
