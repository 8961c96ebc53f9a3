package fill

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"pagegate/internal/metrics"
	"pagegate/internal/origin"
	"pagegate/internal/pagecache"
)

// local is a memory that says of itself that it is in this process.
type local struct{ *memory }

func (local) Local() {}

var _ pagecache.Local = local{}

// TestLedByTheCaller: a request that nobody ends leads its flight by itself. What has come with the head is there when it is
// answered, and stored; the rest arrives while it is read.
func TestLedByTheCaller(t *testing.T) {
	pr, pw := io.Pipe()
	b := &backend{answer: func(n int64, _ *origin.Request) (*origin.Response, error) {
		resp := response(200, "at hand")
		if resp.AtHand = n == 1; !resp.AtHand {
			resp.Body, resp.ContentLength = pr, -1
		}
		return resp, nil
	}}
	m := local{newMemory()}
	f := newFiller(t, b, m)
	a, err := f.Serve(context.Background(), get())
	if err != nil {
		t.Fatal(err)
	}
	if body, ok := a.Whole(); !ok || string(body) != "at hand" || a.Outcome != metrics.Miss || !a.Stored {
		t.Errorf("%q, whole %t, %s, stored %t", body, ok, a.Outcome, a.Stored)
	}
	if !m.has("/a?") || !f.flights.empty() {
		t.Error("the page is not in the cache")
	}
	a.Body.Close()

	r := get()
	r.Key = []byte("/b?")
	if a, err = f.Serve(context.Background(), r); err != nil {
		t.Fatal(err)
	}
	if _, ok := a.Whole(); ok {
		t.Error("a body is whole before it has come")
	}
	go func() { _, _ = io.WriteString(pw, "first ") }()
	half := make([]byte, 6)
	if _, err := io.ReadFull(a.Body, half); err != nil || string(half) != "first " {
		t.Errorf("%q, %v", half, err)
	}
	go func() { _, _ = io.WriteString(pw, "second"); pw.Close() }()
	if rest := read(t, a, nil); rest != "second" {
		t.Errorf("rest %q", rest)
	}
	await(t, "the page to be stored", func() bool { return m.has("/b?") })
}

// TestAtHandAndCut: a body that was said to be there, and is not, is neither whole nor stored.
func TestAtHandAndCut(t *testing.T) {
	b := &backend{answer: func(int64, *origin.Request) (*origin.Response, error) {
		resp := response(200, "0123456789")
		resp.AtHand = true
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("half"), errReader{io.ErrUnexpectedEOF}))
		return resp, nil
	}}
	m := local{newMemory()}
	f := newFiller(t, b, m)
	a, err := f.Serve(context.Background(), get())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := a.Whole(); ok {
		t.Error("half a body is whole")
	}
	if got, err := io.ReadAll(a.Body); string(got) != "half" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q, %v", got, err)
	}
	a.Body.Close()
	if m.has("/a?") {
		t.Error("half a page was stored")
	}
}
