package fill

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"pagegate/internal/metrics"
	"pagegate/internal/origin"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/policy"
	"pagegate/internal/realproc"
)

// backend is an origin whose answers a test writes. It counts what it is asked.
type backend struct {
	asked  atomic.Int64
	answer func(n int64, r *origin.Request) (*origin.Response, error)
}

func (b *backend) Fetch(ctx context.Context, r *origin.Request) (*origin.Response, error) {
	n := b.asked.Add(1)
	resp, err := b.answer(n, r)
	if resp != nil {
		resp.Body = &ctxBody{resp.Body, ctx}
	}
	return resp, err
}

func (b *backend) Close() error { return nil }

// ctxBody ends when its fetch is cancelled, as a connection's body does.
type ctxBody struct {
	io.ReadCloser
	ctx context.Context
}

func (b *ctxBody) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.ReadCloser.Read(p)
}

func response(status int, body string, fields ...string) *origin.Response {
	h := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	for i := 0; i < len(fields); i += 2 {
		h.Add(fields[i], fields[i+1])
	}
	return &origin.Response{Status: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// memory is a cache in a map. With a lock table it is one that processes share.
type memory struct {
	mu    sync.Mutex
	pages map[string]*page.Page
	fail  error // every operation fails with it
}

func newMemory() *memory { return &memory{pages: make(map[string]*page.Page)} }

func (m *memory) Get(_ context.Context, key []byte, p *page.Page) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	stored, ok := m.pages[string(key)]
	if !ok {
		return pagecache.ErrMiss
	}
	*p = *stored
	return nil
}

func (m *memory) Set(_ context.Context, key []byte, p *page.Page) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	stored := *p
	m.pages[string(key)] = &stored
	return nil
}

func (m *memory) Delete(_ context.Context, key []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pages, string(key))
	return nil
}

func (m *memory) Close() error { return nil }

func (m *memory) has(key string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.pages[key] != nil
}

// shared is a memory that several Fillers use, with locks.
type shared struct {
	*memory
	locks map[string]bool
	taken atomic.Int64
}

func newShared() *shared { return &shared{memory: newMemory(), locks: make(map[string]bool)} }

func (s *shared) Lock(_ context.Context, key []byte, _ time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.locks[string(key)] {
		return false, nil
	}
	s.locks[string(key)] = true
	s.taken.Add(1)
	return true, nil
}

func (s *shared) Extend(context.Context, []byte, time.Duration) error { return nil }

func (s *shared) Unlock(_ context.Context, key []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.locks, string(key))
	return nil
}

func newFiller(t testing.TB, b origin.Origin, c pagecache.Cache, change ...func(*Options)) *Filler {
	o := Options{
		Origin:  b,
		Cache:   c,
		Policy:  &policy.Policy{TTL: time.Minute, Stale: time.Hour, MaxBody: 1 << 20, Nginx: policy.NginxView{DefaultType: "text/html; charset=utf-8"}},
		Metrics: metrics.New(),
		Log:     zerolog.New(zerolog.NewTestWriter(t)),
		Hosts:   Hosts{Canonical: "site.example"},
	}
	for _, f := range change {
		f(&o)
	}
	f := New(o)
	t.Cleanup(func() { f.Close() })
	return f
}

// get is a request that may share the page of /a.
func get() *Request {
	return &Request{Key: []byte("/a?"), URI: "/a", Method: "GET", Target: "/a", Host: "client.example", Share: true}
}

// read takes an answer whole.
func read(t testing.TB, a *Answer, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	realproc.WaitFor(t, 10*time.Second, what, cond)
}

// joined tells how many requests wait for the head of a key's flight.
func (f *Filler) joined(key string) int {
	f.flights.mu.Lock()
	defer f.flights.mu.Unlock()
	fl := f.flights.byKey[key]
	if fl == nil {
		return 0
	}
	fl.mu.Lock()
	defer fl.mu.Unlock()
	return fl.pending
}

func (fs *flights) empty() bool {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return len(fs.byKey) == 0
}

// blocking is a memory whose writes wait.
type blocking struct {
	*memory
	until chan struct{}
}

func (b *blocking) Set(ctx context.Context, key []byte, p *page.Page) error {
	<-b.until
	return b.memory.Set(ctx, key, p)
}
