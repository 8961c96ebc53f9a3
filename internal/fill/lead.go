package fill

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"pagegate/internal/metrics"
	"pagegate/internal/origin"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/policy"
)

// errand is what the leader of a flight needs of the request that started it, kept apart from that request's life.
type errand struct {
	uri, target, host string
	header            http.Header
}

func newErrand(f *Filler, r *Request) *errand {
	return &errand{
		uri:    r.URI,
		target: r.Target,
		host:   f.o.Hosts.of(r.Host),
		header: policy.FillHeader(r.Header, f.o.Scheme, f.o.KeyFields),
	}
}

// lead runs a flight from take-off to landing: agree with the other processes, look whether the page has come meanwhile,
// fetch, publish, store.
func (f *Filler) lead(fl *flight, e *errand) {
	defer fl.cancel()
	// The fetch ends with the Filler, if not with the flight's last reader.
	defer context.AfterFunc(f.ctx, fl.cancel)()
	unlock := f.lock(fl)
	land := func() {
		unlock() // first: whoever takes the lock next finds the page, or that there is none
		f.flights.land(fl)
	}
	var old page.Page
	defer old.Release()
	if f.lookUp(fl, &old) {
		f.answerFromCache(fl, &old, metrics.Hit)
		land()
		return
	}
	f.o.Metrics.Fills.Inc()
	sent := f.o.Now()
	resp, err := f.fetch(fl.ctx, &origin.Request{Method: http.MethodGet, Target: e.target, Host: e.host, Header: e.header})
	switch failed := err != nil || resp.Status >= http.StatusInternalServerError; {
	case failed && old.Status != 0 && old.UsableStale(f.o.Now()):
		if err == nil {
			resp.Body.Close()
		}
		f.answerFromCache(fl, &old, metrics.Stale)
		land()
	case err != nil:
		land()
		fl.end(err)
	default:
		f.publish(fl, e, resp, sent, land)
	}
}

// lookUp reads the page as it is now and tells whether it is fresh. A stale one stays in p.
func (f *Filler) lookUp(fl *flight, p *page.Page) bool {
	err := f.o.Cache.Get(fl.ctx, []byte(fl.key), p)
	if err != nil && !errors.Is(err, pagecache.ErrMiss) {
		f.o.Metrics.CacheError(metrics.OpGet)
	}
	return err == nil && p.Fresh(f.o.Now())
}

// answerFromCache gives a page to all who wait. The bytes are copied: the readers outlive the loan.
func (f *Filler) answerFromCache(fl *flight, p *page.Page, outcome string) {
	fl.begin(&head{
		status:        p.Status,
		header:        p.HTTPHeader(),
		contentLength: int64(len(p.Body)),
		outcome:       outcome,
		shared:        true,
		page:          p.Times(),
	})
	_ = fl.write(p.Body, 0)
	fl.end(nil)
}

// publish streams a response to the flight's readers and hands it on to be stored if it may be.
func (f *Filler) publish(fl *flight, e *errand, resp *origin.Response, sent time.Time, land func()) {
	defer resp.Body.Close()
	now := f.o.Now()
	d := f.o.Policy.Response(now, &policy.Exchange{
		URI:         e.uri,
		Status:      resp.Status,
		Header:      resp.Header,
		BodyLen:     resp.ContentLength,
		RequestTime: sent,
		Delay:       now.Sub(sent),
	})
	if !d.Store {
		f.refuse(fl, resp, d.Reason, now)
		land()
	}
	fl.begin(&head{
		status:        resp.Status,
		header:        resp.Header,
		contentLength: resp.ContentLength,
		outcome:       metrics.Miss,
		reason:        d.Reason,
		stored:        d.Store,
		shared:        d.Store || sharedFailure(resp),
	})
	err := f.stream(fl, resp.Body)
	fl.end(err)
	switch {
	case !d.Store:
	case err != nil:
		f.o.Metrics.NotStored(metrics.NotStoredCut)
		land()
	case fl.large:
		f.refuse(fl, resp, policy.ReasonTooLarge, now)
		land()
	default:
		f.enqueue(fl, resp, d, now, land)
	}
}

// refuse notes that a response is not stored, and lets its key pass for a while unless the backend may soon be better.
func (f *Filler) refuse(fl *flight, resp *origin.Response, why policy.Reason, now time.Time) {
	f.o.Metrics.NotStored(why)
	fl.setLarge()
	if !sharedFailure(resp) {
		f.passing.add(fl.key, now)
	}
}

// sharedFailure tells whether a response is a failure that all who wait may see: sending each of them to a backend in
// trouble would only add to it. One that sets cookies or calls itself private is nobody else's business.
func sharedFailure(resp *origin.Response) bool {
	return resp.Status >= http.StatusInternalServerError && len(resp.Header["Set-Cookie"]) == 0 &&
		!policy.Confined(resp.Header)
}

// stream copies a body to the flight's readers. It fails when the body is cut short or nobody is left.
func (f *Filler) stream(fl *flight, body io.Reader) error {
	buf := *buffers.Get().(*[]byte)
	defer buffers.Put(&buf)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if werr := fl.write(buf[:n], f.o.Policy.MaxBody); werr != nil {
				return werr
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}
