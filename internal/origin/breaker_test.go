package origin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// flaky is an Origin that fails as a test says.
type flaky struct {
	asked int
	err   error
}

func (f *flaky) Fetch(context.Context, *Request) (*Response, error) {
	f.asked++
	if f.err != nil {
		return nil, f.err
	}
	return &Response{Status: 200, Body: http.NoBody}, nil
}

func (f *flaky) Close() error { return nil }

func TestADeadBackendIsProbedOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flaky{err: &Error{Kind: KindConnect, Err: errors.New("refused")}}
		var told []bool
		o := Guard(f, "test", func(down bool) { told = append(told, down) })
		for range 10_000 { // in ten seconds
			if _, err := o.Fetch(t.Context(), &Request{}); !Blames(err) {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		if f.asked < breakAfter+8 || f.asked > breakAfter+10 {
			t.Errorf("a dead backend was asked %d times in ten seconds", f.asked)
		}
		if !Down(o) || !slices.Equal(told, []bool{true}) {
			t.Errorf("down %v, told %v", Down(o), told)
		}
		f.err = nil
		time.Sleep(probeEvery)
		for range 5 {
			if _, err := o.Fetch(t.Context(), &Request{}); err != nil {
				t.Fatalf("the backend is back: %v", err)
			}
		}
		if Down(o) || !slices.Equal(told, []bool{true, false}) {
			t.Errorf("it is back: down %v, told %v", Down(o), told)
		}
	})
}

func TestWhatDoesNotBreak(t *testing.T) {
	for _, kind := range []Kind{KindProtocol, KindCanceled, KindRequest} {
		f := &flaky{err: &Error{Kind: kind, Err: errors.New("x")}}
		o := Guard(f, "test", nil)
		for range 3 * breakAfter {
			_, _ = o.Fetch(t.Context(), &Request{})
		}
		if f.asked != 3*breakAfter {
			t.Errorf("%s: %d of %d requests were tried", kind, f.asked, 3*breakAfter)
		}
	}
}
