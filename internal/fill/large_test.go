package fill

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"pagegate/internal/metrics"
	"pagegate/internal/origin"
	"pagegate/internal/policy"
)

// endless gives n bytes that depend on their offset.
type endless struct{ off, n int64 }

func (e *endless) Read(b []byte) (int, error) {
	if e.off >= e.n {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), e.n-e.off)]
	for i := range b {
		b[i] = byte((e.off + int64(i)) * 7)
	}
	e.off += int64(len(b))
	return len(b), nil
}

func largeBackend(n int64) *backend {
	return &backend{answer: func(int64, *origin.Request) (*origin.Response, error) {
		resp := response(200, "")
		resp.Body, resp.ContentLength = io.NopCloser(&endless{n: n}), -1
		return resp, nil
	}}
}

func TestLargeBodyStreamsInAWindow(t *testing.T) {
	const size = 40 << 20
	b := largeBackend(size)
	m := newMemory()
	f := newFiller(t, b, m)
	a, err := f.Serve(t.Context(), get())
	if err != nil {
		t.Fatal(err)
	}
	fl := a.Body.(*reader).fl
	want := &endless{n: size}
	got, expected := make([]byte, 64<<10), make([]byte, 64<<10)
	var total int64
	for {
		n, err := a.Body.Read(got)
		if _, werr := io.ReadFull(want, expected[:n]); werr != nil || !bytes.Equal(got[:n], expected[:n]) {
			t.Fatalf("wrong bytes at %d", total)
		}
		total += int64(n)
		fl.mu.Lock()
		held := cap(fl.buf)
		fl.mu.Unlock()
		if held > 4*window {
			t.Fatalf("%d bytes are held", held)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	a.Body.Close()
	if total != size || m.has("/a?") {
		t.Errorf("%d bytes, stored %v", total, m.has("/a?"))
	}
}

func TestLargeBodyEndsWithItsLastReader(t *testing.T) {
	f := newFiller(t, largeBackend(1<<40), newMemory())
	a, err := f.Serve(t.Context(), get())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.CopyN(io.Discard, a.Body, 20<<20)
	a.Body.Close()
	await(t, "the fetch to end", f.flights.empty)
}

func TestStalledReaderIsPutOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := largeBackend(64 << 20)
		f := newFiller(t, b, newMemory())
		stalled, err := f.Serve(t.Context(), get())
		if err != nil {
			t.Fatal(err)
		}
		defer stalled.Body.Close()
		synctest.Wait() // the window is full
		time.Sleep(stallTimeout + time.Second)
		synctest.Wait()
		if _, err := io.ReadAll(stalled.Body); !errors.Is(err, errSlowReader) {
			t.Errorf("the stalled reader's body ended with %v", err)
		}
		synctest.Wait()
		if !f.flights.empty() {
			t.Error("the fetch goes on")
		}
		f.Close()
		f.storer = newStorer(0, 0, nil, f.o.Metrics) // the cleanup closes once more
		f.coder = newCoder(f.o.Cache, nil, nil)
	})
}

func TestPassingEnds(t *testing.T) {
	clock := time.Unix(1000, 0)
	unstorable := true
	b := &backend{answer: func(int64, *origin.Request) (*origin.Response, error) {
		if unstorable {
			return response(200, "x", "Cache-Control", "private"), nil
		}
		return response(200, "page"), nil
	}}
	f := newFiller(t, b, newMemory(), func(o *Options) { o.Now = func() time.Time { return clock } })
	for _, step := range []struct {
		after   time.Duration
		outcome string
	}{{0, metrics.Miss}, {time.Second, metrics.Pass}, {8 * time.Second, metrics.Pass}, {2 * time.Second, metrics.Miss}} {
		clock = clock.Add(step.after)
		unstorable = step.after < 2*time.Second || step.outcome == metrics.Pass
		a, err := f.Serve(t.Context(), get())
		if read(t, a, err); a.Outcome != step.outcome {
			t.Errorf("at %v: %s, want %s", clock.Unix(), a.Outcome, step.outcome)
		}
		await(t, "landing", f.flights.empty)
	}
}

func TestPassingIsBounded(t *testing.T) {
	var p passing
	p.init(time.Hour)
	now := time.Unix(1000, 0)
	for i := range maxPassing + 100 {
		p.add(string(binaryKey(i)), policy.ReasonVary, now)
	}
	if len(p.until) > maxPassing || len(p.oldest) > maxPassing {
		t.Errorf("%d keys are remembered", len(p.until))
	}
	if p.has(string(binaryKey(0)), now) || !p.has(string(binaryKey(maxPassing+99)), now) {
		t.Error("not the oldest was forgotten")
	}
}

func binaryKey(i int) []byte { return []byte{byte(i), byte(i >> 8), byte(i >> 16)} }
