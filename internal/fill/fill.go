// Package fill is the miss path of both doors: a request whose page is not in the cache becomes either a shared fill or
// a pass, never a mixture.
//
// A shared fill is one fetch for a page key, sent without anything personal. While it runs it is a flight: every request
// for the key joins it and reads the body as it arrives. The flight stays joinable until the page lies in the cache, so
// between the first miss and the first hit there is no moment at which a second fetch could start. Where several
// processes share the cache, a short lock beside the page makes them agree on one flight.
//
// A pass is one client's own exchange with the backend, forwarded in full and given to nobody else. A shared fill that
// turns out not to be storable is handed only to the request that started it; the others pass, and so does the key for
// a while.
package fill

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"pagegate/internal/metrics"
	"pagegate/internal/origin"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/policy"
	"pagegate/internal/purge"
)

// Request is a client's request that the door could not answer from the cache.
type Request struct {
	Key    []byte // raw page key; not kept
	URI    string // nginx's $uri, for the type that nginx would give
	Method string
	Target string // raw request target in origin form
	// SharedTarget is what a shared fill asks for, which is Target without what the key leaves out; "" for Target.
	SharedTarget string
	// Policy holds for the request's path; nil for the Filler's.
	Policy *policy.Policy
	// Device is the class of devices that the page key depends on, "" for none.
	Device string
	Host   string
	Header http.Header // end-to-end fields; not changed
	// Body is the request's content, nil for none; ContentLength its length, -1 when unknown.
	Body          io.Reader
	ContentLength int64
	ClientIP      string
	// Share says that this request may share a page with others; PassReason why not.
	Share      bool
	PassReason policy.Reason
	Wishes     policy.Wishes
	// KeyOf returns the page key of another target of the same site, nil if it can have none; needed for requests that
	// may change pages (unsafe methods).
	KeyOf func(target string) []byte
	// Informational, if not nil, is given the 1xx responses (but 100) of an exchange that this request alone causes, or
	// leads, before Serve returns.
	Informational func(status int, h http.Header)
}

// Answer is what the client gets. Whoever receives it closes Body.
type Answer struct {
	Status        int
	Header        http.Header // end-to-end fields; not to be changed, others may have the same
	Body          io.ReadCloser
	ContentLength int64 // bytes of Body, -1 when not known

	Outcome string        // one of metrics' outcomes
	Reason  policy.Reason // why it was a pass, or why a miss is not stored
	Stored  bool          // a miss that is being stored
	// VariesByCoding says that later answers of the page may depend on Accept-Encoding, though this one does not.
	VariesByCoding bool
	// Trailer returns the fields behind the body, of a pass: at first the names that the backend has announced, with values once
	// Body has returned io.EOF. Nil for other answers.
	Trailer func() http.Header
	// Page holds the times of an answer from the cache, without its bytes; nil for one from the backend.
	Page *page.Page
}

// Whole returns the body if all of it is there; its bytes are not to be changed. Body has to be closed all the same.
func (a *Answer) Whole() ([]byte, bool) {
	r, ok := a.Body.(*reader)
	if !ok {
		return nil, false
	}
	return r.whole()
}

// Options say what the miss path works with. Fields without a default are needed.
type Options struct {
	Origin  origin.Origin
	Cache   pagecache.Cache
	Policy  *policy.Policy
	Metrics *metrics.Metrics
	Log     zerolog.Logger
	// Hosts says which Host a shared fill is sent with.
	Hosts Hosts
	// Backend is the backend's own address, "http://127.0.0.1:9000", which visitors are not told; "" for one that has none.
	Backend string
	// Scheme is what clients use, told to the backend as X-Forwarded-Proto; default "http".
	Scheme string
	// KeyFields names the request fields that the page key depends on; a shared fill carries them to the backend.
	KeyFields []string
	// Workers write pages to the cache; default 4. Queue bounds the pages that wait for them; default 256. A page that
	// finds the queue full is answered and not stored.
	Workers, Queue int
	// PassFor is how long a key passes after its page was found not storable; default 10 s, negative for never.
	PassFor time.Duration
	// LockTTL is how long a process that dies in the middle of a fill keeps others from it; default 5 s, at least 2 s.
	LockTTL time.Duration
	// LockWait bounds the wait for another process's fill; default 30 s.
	LockWait time.Duration
	// Codings are what pages of text are kept in beside the plain body; none by default.
	Codings []page.Coding
	// NginxReads says that the cache gives the bodies of pages that nginx may read to nginx: those are not kept in codings.
	NginxReads bool
	// GzipForNginx stores the bodies that nginx may read as gzip, where they gain: its configuration has to know.
	GzipForNginx bool
	// Refreshes bounds the fetches that are made behind visitors who were given the old page; default 16.
	Refreshes int
	// Purges are those of this process, where several Fillers use one cache; default a log of its own.
	Purges *purge.Log
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// ErrNotCached says that the request wants no other answer than one from the cache, which has none (RFC 9111, section
// 5.2.1.7).
var ErrNotCached = errors.New("fill: not in the cache")

// ErrNotValidated says that the page in the cache is not to be used before the backend has confirmed it, and that the backend
// cannot be reached (RFC 9111, section 5.2.2.2). It comes with the *origin.Error.
var ErrNotValidated = errors.New("fill: the page in the cache has to be confirmed")

// Filler is the miss path. Any number of goroutines may call Serve at once.
type Filler struct {
	o         Options
	flights   flights
	passing   passing
	storer    *storer
	coder     *coder
	purges    *purge.Log    // this process's own
	address   address       // the backend's own
	refreshes chan struct{} // holds one token for each refresh behind a visitor
	local     bool          // the cache is in this process: writing to it takes no wait

	// ctx ends when the Filler is closed, and with it every fetch that is under way.
	ctx    context.Context
	cancel context.CancelFunc
}

// New makes a Filler and starts its workers. Close ends them.
func New(o Options) *Filler {
	setDefault(&o.Scheme, "http")
	setDefault(&o.Workers, 4)
	setDefault(&o.Queue, 256)
	setDefault(&o.PassFor, 10*time.Second)
	setDefault(&o.LockTTL, 5*time.Second)
	o.LockTTL = max(o.LockTTL, 2*time.Second)
	setDefault(&o.LockWait, 30*time.Second)
	setDefault(&o.Refreshes, 16)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Purges == nil {
		o.Purges = new(purge.Log)
	}
	f := &Filler{o: o, purges: o.Purges, address: newAddress(o.Backend, o.Scheme), refreshes: make(chan struct{}, o.Refreshes)}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.flights.base = f.ctx
	f.flights.byKey = make(map[string]*flight)
	_, f.local = o.Cache.(pagecache.Local)
	f.passing.init(o.PassFor)
	f.storer = newStorer(o.Workers, o.Queue, f.store, o.Metrics)
	f.coder = newCoder(o.Cache, o.Codings, func(err error) {
		o.Metrics.CacheError(metrics.OpSet)
		o.Log.Warn().Err(err).Msg("page not coded")
	})
	return f
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Close waits for the pages that are queued to be written, within the cache's own bounds, and ends the fetches that are
// still under way. No Serve may run or follow. The error is always nil.
func (f *Filler) Close() error {
	f.cancel()
	f.flights.wait()
	f.storer.close()
	f.coder.close()
	return nil
}

// maxHops bounds the keys that a request goes through: the page key's, a variant's, and a variant's of a newer mark.
const maxHops = 4

// Serve answers a request. ctx bounds a pass and the wait for a flight; a flight itself goes on for whoever else waits, and
// has a goroutine of its own for that, unless ctx never ends.
// An error is an *origin.Error, alone or with ErrNotValidated, ErrNotCached or ctx's.
func (f *Filler) Serve(ctx context.Context, r *Request) (*Answer, error) {
	f.complete(r)
	if why, pass := f.mustPass(r); pass {
		return f.pass(ctx, r, why)
	}
	answer, err := f.share(ctx, r)
	if err != nil {
		f.o.Metrics.Request(r.Policy.Name, metrics.Failed)
		return nil, err
	}
	if answer == nil {
		return f.pass(ctx, r, policy.ReasonUnstorable)
	}
	f.o.Metrics.Request(r.Policy.Name, answer.Outcome)
	return answer, nil
}

// complete fills in what a request leaves to the Filler.
func (f *Filler) complete(r *Request) {
	if r.Policy == nil {
		r.Policy = f.o.Policy.For(r.URI)
	}
	setDefault(&r.SharedTarget, r.Target)
}

// share answers a request by a page that others may have too. It returns nil where the request has to pass.
func (f *Filler) share(ctx context.Context, r *Request) (*Answer, error) {
	l := newLeg(r.Key)
	for range maxHops {
		if r.looksFirst() {
			if a := f.stored(ctx, r, &l); a != nil {
				return a, nil
			}
		}
		switch {
		case r.Wishes.OnlyIfCached:
			return nil, ErrNotCached
		case f.passing.has(l.key, f.o.Now()):
			return nil, nil
		case r.Method == http.MethodHead:
			return f.head(ctx, r, &l)
		}
		fl, leads := f.flights.join(&l)
		if fl == nil {
			return nil, nil
		}
		if leads {
			f.fly(fl, newErrand(f, r), ctx.Done() == nil)
		}
		answer, err := fl.answer(ctx, leads, l.key)
		var to *redirect
		switch {
		case errors.As(err, &to):
			l.follow(to.mark, r.Header)
		case errors.Is(err, errAskAlone):
			l.alone = true
		case !leads && !l.again && handsOver(err):
			l.again = true
		case errors.Is(err, errUnshared):
			return nil, nil
		default:
			return answer, err
		}
	}
	return nil, nil
}

// looksFirst tells whether what is in the cache decides how the request goes on. For others the one that leads a flight
// looks.
func (r *Request) looksFirst() bool {
	w := &r.Wishes
	return w.OnlyIfCached || r.Method == http.MethodHead || r.Policy.ClientControl && (w.Picky() || w.MaxStale.Given)
}

// stored answers a request from the cache, if what is there answers it, and goes on to a variant's key.
func (f *Filler) stored(ctx context.Context, r *Request, l *leg) *Answer {
	for range maxHops {
		var p page.Page
		if !f.get(ctx, l.key, &p) {
			return nil
		}
		if p.Mark() && l.mark == nil {
			l.follow(copyMark(&p), r.Header)
			p.Release()
			continue
		}
		defer p.Release()
		now := f.o.Now()
		if r.Policy.Reuse(now, &p, &r.Wishes) == policy.Ask {
			l.renew = p.Fresh(now)
			return nil
		}
		body := bytes.Clone(p.Body)
		return &Answer{
			Status:        p.Status,
			Header:        p.HTTPHeader(),
			Body:          io.NopCloser(bytes.NewReader(body)),
			ContentLength: int64(len(body)),
			Outcome:       metrics.Hit,
			Page:          p.Times(),
		}
	}
	return nil
}

// get reads a page from the cache and tells whether it was there. A failing cache counts as one that has nothing.
func (f *Filler) get(ctx context.Context, key string, p *page.Page) bool {
	err := f.o.Cache.Get(ctx, []byte(key), p)
	if err != nil && !errors.Is(err, pagecache.ErrMiss) {
		f.o.Metrics.CacheError(metrics.OpGet)
	}
	return err == nil
}

// Refresh fetches a page anew behind a visitor who was given the old one, unless that is being done already or enough
// refreshes are under way. It does not wait. mark is the one that the visitor's page was found by, nil if by none.
func (f *Filler) Refresh(r *Request, mark *page.Page) {
	f.complete(r)
	if why, pass := f.mustPass(r); pass {
		f.o.Metrics.Passed(why)
		return
	}
	select {
	case f.refreshes <- struct{}{}:
	default:
		return
	}
	l := newLeg(r.Key)
	if mark != nil {
		l.follow(copyMark(mark), r.Header)
	}
	l.renew = true
	fl := f.flights.start(&l)
	if fl == nil {
		<-f.refreshes
		return
	}
	e := newErrand(f, r)
	go func() {
		defer func() { <-f.refreshes }()
		f.flyAlone(fl, e)
	}()
}

// mustPass tells whether a request cannot take part in a shared fill.
func (f *Filler) mustPass(r *Request) (policy.Reason, bool) {
	switch {
	case !r.Share:
		return r.PassReason, true
	case !f.o.Hosts.shares(r.Host):
		return policy.ReasonHost, true
	}
	return policy.ReasonNone, false
}

// pass forwards the client's own request in full. ctx must last until the answer's body is closed.
func (f *Filler) pass(ctx context.Context, r *Request, why policy.Reason) (*Answer, error) {
	f.o.Metrics.Passed(why)
	resp, err := f.fetch(ctx, &origin.Request{
		Method:        r.Method,
		Target:        r.Target,
		Host:          r.Host,
		Header:        policy.PassHeader(r.Header, r.ClientIP),
		Body:          r.Body,
		ContentLength: r.ContentLength,
		Informational: r.Informational,
	})
	if err != nil {
		f.o.Metrics.Request(r.Policy.Name, metrics.Failed)
		return nil, err
	}
	f.invalidate(r, resp)
	f.o.Metrics.Request(r.Policy.Name, metrics.Pass)
	return &Answer{
		Status:        resp.Status,
		Header:        resp.Header,
		Body:          resp.Body,
		ContentLength: resp.ContentLength,
		Trailer:       func() http.Header { return resp.Trailer },
		Outcome:       metrics.Pass,
		Reason:        why,
	}, nil
}

// fetch asks the backend and counts what it did. The answer does not name the backend's own address.
func (f *Filler) fetch(ctx context.Context, r *origin.Request) (*origin.Response, error) {
	start := time.Now()
	resp, err := f.o.Origin.Fetch(ctx, r)
	f.o.Metrics.BackendSeconds.Observe(time.Since(start).Seconds())
	if err != nil && origin.Blames(err) || err == nil && resp.Status >= http.StatusInternalServerError {
		f.o.Metrics.BackendErrors.Inc()
	}
	if err == nil {
		f.address.conceal(resp.Header)
	}
	return resp, err
}
