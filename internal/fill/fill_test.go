package fill

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"pagegate/internal/metrics"
	"pagegate/internal/origin"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTwoHundredMissesAreOneFetch(t *testing.T) {
	release := make(chan struct{})
	b := &backend{answer: func(int64, *origin.Request) (*origin.Response, error) {
		<-release
		return response(200, "page"), nil
	}}
	m := newMemory()
	f := newFiller(t, b, m)
	var wg sync.WaitGroup
	var outcomes sync.Map
	for range 200 {
		wg.Go(func() {
			a, err := f.Serve(t.Context(), get())
			if body := read(t, a, err); body != "page" {
				t.Errorf("body %q", body)
			}
			n, _ := outcomes.LoadOrStore(a.Outcome, new(atomic.Int64))
			n.(*atomic.Int64).Add(1)
		})
	}
	await(t, "all to have joined", func() bool { return f.joined("/a?") == 200 })
	close(release)
	wg.Wait()
	if n := b.asked.Load(); n != 1 {
		t.Errorf("the backend was asked %d times", n)
	}
	for outcome, want := range map[string]int64{metrics.Miss: 1, metrics.Collapsed: 199} {
		if n, ok := outcomes.Load(outcome); !ok || n.(*atomic.Int64).Load() != want {
			t.Errorf("%s: want %d", outcome, want)
		}
	}
	await(t, "the page to be stored", func() bool { return m.has("/a?") })
}

func TestNoMomentForASecondFetch(t *testing.T) {
	b := &backend{answer: func(int64, *origin.Request) (*origin.Response, error) { return response(200, "page"), nil }}
	f := newFiller(t, b, newMemory())
	// Requests follow each other at once: while the first page is on its way into the cache, too.
	for range 200 {
		a, err := f.Serve(t.Context(), get())
		read(t, a, err)
	}
	if n := b.asked.Load(); n != 1 {
		t.Errorf("the backend was asked %d times", n)
	}
}

func TestSharedFillIsAnonymous(t *testing.T) {
	b := &backend{answer: func(_ int64, r *origin.Request) (*origin.Response, error) {
		return response(200, r.Host+" "+r.Header.Get("Cookie")+r.Header.Get("X-Forwarded-Host")), nil
	}}
	f := newFiller(t, b, newMemory())
	r := get()
	r.Header = http.Header{"Cookie": {"_ga=1"}, "X-Forwarded-Host": {"evil.example"}}
	a, err := f.Serve(t.Context(), r)
	if body := read(t, a, err); body != "site.example " {
		t.Errorf("the backend saw %q", body)
	}
}

func TestUnstorableIsNeverShared(t *testing.T) {
	release := make(chan struct{})
	b := &backend{answer: func(n int64, _ *origin.Request) (*origin.Response, error) {
		if n == 1 {
			<-release
		}
		return response(200, fmt.Sprint("visitor ", n), "Set-Cookie", fmt.Sprint("sid=", n)), nil
	}}
	m := newMemory()
	f := newFiller(t, b, m)
	seen := make(chan string, 20)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			a, err := f.Serve(t.Context(), get())
			seen <- read(t, a, err) + a.Header.Get("Set-Cookie")
		})
	}
	await(t, "the first fetch", func() bool { return b.asked.Load() == 1 })
	close(release)
	wg.Wait()
	close(seen)
	different := map[string]bool{}
	for s := range seen {
		different[s] = true
	}
	if len(different) != 20 || b.asked.Load() != 20 {
		t.Errorf("%d different answers of %d fetches", len(different), b.asked.Load())
	}
	if m.has("/a?") {
		t.Error("a page with a cookie was stored")
	}
	// The key is remembered as one that passes.
	a, err := f.Serve(t.Context(), get())
	if read(t, a, err); a.Outcome != metrics.Pass || a.Reason != policy.ReasonUnstorable {
		t.Errorf("outcome %s, reason %s", a.Outcome, a.Reason)
	}
}

func TestWaitersReadWhileItArrives(t *testing.T) {
	pr, pw := io.Pipe()
	b := &backend{answer: func(int64, *origin.Request) (*origin.Response, error) {
		resp := response(200, "")
		resp.Body, resp.ContentLength = pr, -1
		return resp, nil
	}}
	f := newFiller(t, b, newMemory())
	type result struct {
		a   *Answer
		err error
	}
	got := make(chan result, 2)
	for range 2 {
		go func() {
			a, err := f.Serve(t.Context(), get())
			got <- result{a, err}
		}()
	}
	go func() { _, _ = pw.Write([]byte("first ")) }()
	var answers []*Answer
	for range 2 {
		r := <-got
		if r.err != nil {
			t.Fatal(r.err)
		}
		answers = append(answers, r.a)
		half := make([]byte, 6)
		if _, err := io.ReadFull(r.a.Body, half); err != nil || string(half) != "first " {
			t.Fatalf("%q, %v", half, err)
		}
	}
	go func() { _, _ = pw.Write([]byte("second")); pw.Close() }()
	for _, a := range answers {
		if rest := read(t, a, nil); rest != "second" {
			t.Errorf("rest %q", rest)
		}
	}
}

func TestCutBodyIsNotStored(t *testing.T) {
	b := &backend{answer: func(int64, *origin.Request) (*origin.Response, error) {
		resp := response(200, "")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("half"), errReader{io.ErrUnexpectedEOF}))
		return resp, nil
	}}
	m := newMemory()
	f := newFiller(t, b, m)
	a, err := f.Serve(t.Context(), get())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(a.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the client's body ended with %v", err)
	}
	a.Body.Close()
	await(t, "the flight to land", func() bool { return f.flights.empty() })
	if m.has("/a?") {
		t.Error("half a page was stored")
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestFailureIsSharedAndNotRemembered(t *testing.T) {
	release := make(chan struct{})
	b := &backend{answer: func(n int64, _ *origin.Request) (*origin.Response, error) {
		if n == 1 {
			<-release
			return response(503, "in trouble"), nil
		}
		return response(200, "well"), nil
	}}
	f := newFiller(t, b, newMemory())
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			a, err := f.Serve(t.Context(), get())
			if body := read(t, a, err); a.Status != 503 || body != "in trouble" {
				t.Errorf("%d %q", a.Status, body)
			}
		})
	}
	await(t, "all to have joined", func() bool { return f.joined("/a?") == 20 })
	close(release)
	wg.Wait()
	a, err := f.Serve(t.Context(), get())
	if body := read(t, a, err); body != "well" || b.asked.Load() != 2 {
		t.Errorf("%q after %d fetches", body, b.asked.Load())
	}
}

func TestStaleWhenTheBackendFails(t *testing.T) {
	clock := time.Now()
	m := newMemory()
	m.pages["/a?"] = &page.Page{
		Status: 200, Header: []byte("Content-Type: text/html\r\n"), Body: []byte("old"),
		StoredAt: clock.Add(-time.Minute), FreshUntil: clock.Add(-time.Second), StaleUntil: clock.Add(time.Hour),
	}
	fails := map[string]func(int64, *origin.Request) (*origin.Response, error){
		"no connection": func(int64, *origin.Request) (*origin.Response, error) { return nil, errors.New("refused") },
		"a 500":         func(int64, *origin.Request) (*origin.Response, error) { return response(500, "oops"), nil },
	}
	for name, answer := range fails {
		t.Run(name, func(t *testing.T) {
			f := newFiller(t, &backend{answer: answer}, m)
			a, err := f.Serve(t.Context(), get())
			if body := read(t, a, err); body != "old" || a.Outcome != metrics.Stale || a.Page == nil {
				t.Errorf("%q, %s", body, a.Outcome)
			}
		})
	}
	f := newFiller(t, &backend{answer: fails["a 500"]}, m, func(o *Options) {
		o.Now = func() time.Time { return clock.Add(2 * time.Hour) }
	})
	if a, err := f.Serve(t.Context(), get()); read(t, a, err) != "oops" {
		t.Error("a page was served past its stale time")
	}
}

func TestCacheDownCostsNoAnswer(t *testing.T) {
	b := &backend{answer: func(int64, *origin.Request) (*origin.Response, error) { return response(200, "page"), nil }}
	m := newMemory()
	m.fail = errors.New("connection refused")
	f := newFiller(t, b, m)
	a, err := f.Serve(t.Context(), get())
	if body := read(t, a, err); body != "page" || a.Outcome != metrics.Miss {
		t.Errorf("%q, %s", body, a.Outcome)
	}
}

// TestTwoProcessesFetchOnce: one process fetches and the other finds the page, whether the cache is asked step by step or in
// batches.
func TestTwoProcessesFetchOnce(t *testing.T) {
	t.Run("step by step", func(t *testing.T) { s := newShared(); fetchOnce(t, s, s) })
	t.Run("in batches", func(t *testing.T) { b := newBatched(); fetchOnce(t, b, b.shared) })
}

func fetchOnce(t *testing.T, cache pagecache.Cache, s *shared) {
	release := make(chan struct{})
	b := &backend{answer: func(int64, *origin.Request) (*origin.Response, error) {
		<-release
		return response(200, "page"), nil
	}}
	fillers := []*Filler{newFiller(t, b, cache), newFiller(t, b, cache)}
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			a, err := fillers[i%2].Serve(t.Context(), get())
			if body := read(t, a, err); body != "page" {
				t.Errorf("body %q", body)
			}
		})
	}
	await(t, "a fetch", func() bool { return b.asked.Load() > 0 })
	close(release)
	wg.Wait()
	if n := b.asked.Load(); n != 1 {
		t.Errorf("the backend was asked %d times", n)
	}
	for _, f := range fillers {
		await(t, "landing", f.flights.empty)
	}
	if len(s.locks) != 0 {
		t.Error("a lock was left behind")
	}
}

func TestPassIsForwardedInFull(t *testing.T) {
	b := &backend{answer: func(_ int64, r *origin.Request) (*origin.Response, error) {
		body, _ := io.ReadAll(r.Body)
		return response(201, fmt.Sprintf("%s %s %s %s %s %s", r.Method, r.Target, r.Host, r.Header.Get("Cookie"),
			r.Header.Get("X-Forwarded-For"), body)), nil
	}}
	f := newFiller(t, b, newMemory())
	r := &Request{
		Key: []byte("/a?"), Method: "POST", Target: "/%61?x", Host: "client.example", ClientIP: "192.0.2.1",
		Header: http.Header{"Cookie": {"sid=1"}, "X-Forwarded-For": {"198.51.100.1"}},
		Body:   strings.NewReader("form"), ContentLength: 4, PassReason: policy.ReasonMethod,
	}
	a, err := f.Serve(t.Context(), r)
	want := "POST /%61?x client.example sid=1 198.51.100.1, 192.0.2.1 form"
	if body := read(t, a, err); body != want || a.Status != 201 || a.Outcome != metrics.Pass {
		t.Errorf("%d %s %q", a.Status, a.Outcome, body)
	}
}

func TestHeadNeverStores(t *testing.T) {
	b := &backend{answer: func(_ int64, r *origin.Request) (*origin.Response, error) {
		if r.Method != "HEAD" {
			t.Errorf("the backend was asked for a %s", r.Method)
		}
		return response(200, ""), nil
	}}
	m := newMemory()
	f := newFiller(t, b, m)
	r := get()
	r.Method = "HEAD"
	a, err := f.Serve(t.Context(), r)
	read(t, a, err)
	if m.has("/a?") {
		t.Error("an empty body was stored")
	}
}

func TestHosts(t *testing.T) {
	b := &backend{answer: func(_ int64, r *origin.Request) (*origin.Response, error) { return response(200, r.Host), nil }}
	f := newFiller(t, b, newMemory(), func(o *Options) {
		o.Hosts = Hosts{Canonical: "a.example", Keyed: true, Known: []string{"a.example", "b.example"}}
	})
	for host, want := range map[string]string{"B.example:80": metrics.Miss, "evil.example": metrics.Pass} {
		r := get()
		r.Host, r.Key = host, []byte(host)
		a, err := f.Serve(t.Context(), r)
		if body := read(t, a, err); body != host || a.Outcome != want {
			t.Errorf("%s: %q, %s", host, body, a.Outcome)
		}
	}
}

func TestQueueFullIsCounted(t *testing.T) {
	b := &backend{answer: func(int64, *origin.Request) (*origin.Response, error) { return response(200, "page"), nil }}
	block := make(chan struct{})
	f := newFiller(t, b, &blocking{newMemory(), block}, func(o *Options) { o.Workers, o.Queue = 1, 1 })
	for i := range 5 {
		r := get()
		r.Key = fmt.Append(nil, "/", i)
		a, err := f.Serve(t.Context(), r)
		read(t, a, err)
	}
	await(t, "refusals", func() bool { return testutil.ToFloat64(f.o.Metrics.NotStoredCounter(metrics.NotStoredQueueFull)) >= 3 })
	close(block)
}
