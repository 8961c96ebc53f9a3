package fill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"pagegate/internal/metrics"
	"pagegate/internal/origin"
	"pagegate/internal/page"
	"pagegate/internal/policy"
)

// errand is what the leader of a flight needs of the request that started it, kept apart from that request's life.
type errand struct {
	uri, target, host string
	device            string
	policy            *policy.Policy
	asked             http.Header // the request's own fields
	wishes            policy.Wishes
	informational     func(int, http.Header)
}

func newErrand(f *Filler, r *Request) *errand {
	return &errand{
		uri:           r.URI,
		target:        r.SharedTarget,
		host:          f.o.Hosts.of(r.Host),
		device:        r.Device,
		policy:        r.Policy,
		asked:         r.Header,
		wishes:        r.Wishes,
		informational: r.Informational,
	}
}

// fly has a flight led to its end: where the caller can wait by the caller, up to the response's head and what of the body
// has come with it, and then by a goroutine of its own.
func (f *Filler) fly(fl *flight, e *errand, wait bool) {
	if !wait {
		go f.flyAlone(fl, e)
		return
	}
	rest := f.lead(fl, e)
	if rest == nil {
		f.flights.over(fl)
		return
	}
	go func() {
		rest()
		f.flights.over(fl)
	}()
}

// flyAlone leads a flight to its end.
func (f *Filler) flyAlone(fl *flight, e *errand) {
	if rest := f.lead(fl, e); rest != nil {
		rest()
	}
	f.flights.over(fl)
}

// lead runs a flight from take-off to landing: agree with the other processes, look whether the page has come meanwhile,
// fetch, publish, store. It does not wait for the body: if more of that is to come, rest goes on.
func (f *Filler) lead(fl *flight, e *errand) (rest func()) {
	begun := f.o.Now()
	land := func() {
		fl.held.release() // first: whoever takes the lock next finds the page, or that there is none
		f.flights.land(fl)
	}
	fl.maxBody = e.policy.MaxBody
	var old page.Page
	defer old.Release()
	found := f.approach(fl, &old)
	switch {
	case found && old.Mark():
		to := &redirect{copyMark(&old)}
		land()
		fl.end(to)
		return nil
	// What somebody else renewed while this flight waited for the lock is new enough.
	case found && old.Fresh(f.o.Now()) && (!fl.renew || old.StoredAt.After(begun)):
		f.answerFromCache(fl, &old, metrics.Hit)
		land()
		return nil
	}
	f.o.Metrics.Fills.Inc()
	return f.ask(fl, e, &old, land)
}

// ask fetches the page, or has the backend confirm the old one, and publishes what comes of it. old.Status is 0 when
// there is no old page.
func (f *Filler) ask(fl *flight, e *errand, old *page.Page, land func()) (rest func()) {
	fetched := f.fetchShared(fl, e, old)
	now := f.o.Now()
	switch resp, err := fetched.resp, fetched.err; {
	case fetched.confirmed:
		f.confirm(fl, e, old, &fetched, land)
	case (err != nil || failing(resp.Status)) && e.policy.StaleOnFailure(now, old, &e.wishes):
		if err == nil {
			resp.Body.Close()
		}
		f.answerFromCache(fl, old, metrics.Stale)
		land()
	case err != nil:
		land()
		fl.end(unanswered(err, old))
	default:
		return f.publish(fl, e, &fetched, land)
	}
	return nil
}

// unanswered is what those who wait are told of a fetch that failed and left nothing to be used. old.Status is 0 when there is
// no old page.
func unanswered(err error, old *page.Page) error {
	var e *origin.Error
	if errors.As(err, &e) && e.Kind == origin.KindConnect && policy.MustValidate(old) {
		return fmt.Errorf("%w: %w", ErrNotValidated, err)
	}
	return err
}

// failing lists the statuses that count as the backend's failure (RFC 5861, section 4).
func failing(status int) bool {
	switch status {
	case 500, 502, 503, 504:
		return true
	}
	return false
}

// fetched is what a shared fetch brought.
type fetched struct {
	resp      *origin.Response
	err       error
	confirmed bool        // resp is a 304 that speaks of the old page
	header    http.Header // what was sent
	sent      time.Time
	took      time.Duration // until the head was there
}

// fetchShared sends a flight's request: conditional where there is an old page that the backend may confirm.
func (f *Filler) fetchShared(fl *flight, e *errand, old *page.Page) (x fetched) {
	x.header = e.policy.FillHeader(e.asked, f.o.Scheme, f.keyed(fl), e.device)
	conditional := policy.Conditions(x.header, old)
	x.sent = f.o.Now()
	x.resp, x.err = f.send(fl.ctx, e, http.MethodGet, x.header)
	if conditional && x.err == nil && x.resp.Status == http.StatusNotModified {
		if x.confirmed = policy.Confirms(x.resp.Header, old); !x.confirmed {
			// It speaks of a page that is not here: ask for that (RFC 9111, section 4.3.4).
			x.resp.Body.Close()
			x.header = e.policy.FillHeader(e.asked, f.o.Scheme, f.keyed(fl), e.device)
			x.sent = f.o.Now()
			x.resp, x.err = f.send(fl.ctx, e, http.MethodGet, x.header)
		}
	}
	x.took = max(0, f.o.Now().Sub(x.sent))
	return x
}

func (f *Filler) send(ctx context.Context, e *errand, method string, h http.Header) (*origin.Response, error) {
	return f.fetch(ctx, &origin.Request{
		Method: method, Target: e.target, Host: e.host, Header: h, Informational: e.informational,
	})
}

// keyed names the request fields that the flight's key depends on.
func (f *Filler) keyed(fl *flight) []string {
	if fl.mark == nil {
		return f.o.KeyFields
	}
	return append(fl.mark.MarkNames(), f.o.KeyFields...)
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

// confirm gives the old page, freshened by the 304 that confirms it, to all who wait, and stores it again (RFC 9111,
// section 4.3.4).
func (f *Filler) confirm(fl *flight, e *errand, old *page.Page, x *fetched, land func()) {
	x.resp.Body.Close()
	now := f.o.Now()
	header := policy.Freshened(old, x.resp.Header)
	d := e.policy.Response(now, &policy.Exchange{
		URI: e.uri, Status: old.Status, Header: header, BodyLen: int64(len(old.Body)), RequestTime: x.sent, Delay: x.took,
	})
	kept := d.Store && f.sameKey(fl, d.Vary)
	stored := policy.Stored(header, now)
	p := newPage(old.Status, stored, &d, now, x.took)
	fl.begin(&head{
		status:        old.Status,
		header:        header,
		others:        stored,
		contentLength: int64(len(old.Body)),
		outcome:       metrics.Revalidated,
		stored:        kept,
		shared:        d.Share,
		page:          p.Times(),
	})
	_ = fl.write(old.Body, 0)
	fl.end(nil)
	if !kept {
		f.o.Metrics.NotStored(d.Reason)
		f.drop(fl.key)
		land()
		return
	}
	p.Body, p.GzippedHere, p.TaggedHere = fl.buf, old.GzippedHere, old.TaggedHere
	p.Codable = old.Codable
	for c, coded := range old.Coded {
		p.Coded[c] = bytes.Clone(coded)
	}
	f.enqueue(fl, job{key: fl.key, page: p, land: land})
}

// sameKey tells whether a response that varies by those fields belongs under the flight's key.
func (f *Filler) sameKey(fl *flight, vary []string) bool {
	if fl.mark == nil {
		return len(vary) == 0
	}
	return fl.mark.SameNames(vary)
}

// publish gives a response to the flight's readers and hands it on to be stored if it may be. rest is what has to wait for
// the body, if that has not come.
func (f *Filler) publish(fl *flight, e *errand, x *fetched, land func()) (rest func()) {
	resp := x.resp
	now := f.o.Now()
	d := e.policy.Response(now, &policy.Exchange{
		URI: e.uri, Status: resp.Status, Header: resp.Header, BodyLen: resp.ContentLength, RequestTime: x.sent, Delay: x.took,
	})
	if !d.Store {
		f.refuse(fl, resp, d.Reason, now)
		land()
		return f.give(fl, x, &head{reason: d.Reason, shared: sharedFailure(resp)}, func(error) {})
	}
	where := f.place(fl, e, x, &d, now)
	if where.elsewhere {
		resp.Body.Close()
		f.enqueue(fl, job{mark: where.mark, primary: fl.primary, land: land})
		fl.end(&redirect{where.mark})
		return nil
	}
	if where.only != "" {
		f.flights.alias(fl, where.key)
	}
	stored := policy.Stored(resp.Header, now)
	h := &head{
		others: stored, key: where.only, mark: where.mark, stored: true, shared: d.Share,
		codable: (f.codable(d.NginxReadable) || f.o.GzipForNginx && d.NginxReadable) && page.Codable(resp.Status, resp.Header),
	}
	return f.give(fl, x, h, func(err error) {
		switch {
		case err != nil:
			f.o.Metrics.NotStored(metrics.NotStoredCut)
			land()
		case fl.large:
			f.refuse(fl, resp, policy.ReasonTooLarge, now)
			land()
		default:
			p := newPage(resp.Status, stored, &d, now, x.took)
			p.Body = fl.buf // whole, and not changed any more
			f.enqueue(fl, job{key: where.key, page: p, primary: fl.primary, mark: where.mark, land: land})
		}
	})
}

// give publishes the head, filled in from the response, and the body: at once if it has come, else rest does as it arrives.
// Behind the body it calls then, with the error that cut it.
func (f *Filler) give(fl *flight, x *fetched, h *head, then func(error)) (rest func()) {
	resp := x.resp
	h.status, h.header, h.contentLength = resp.Status, resp.Header, resp.ContentLength
	h.outcome = metrics.Miss
	if resp.AtHand {
		body, err := readWhole(resp)
		resp.Body.Close()
		fl.bring(h, body, fl.maxBody, err)
		then(err)
		return nil
	}
	fl.begin(h)
	return func() {
		err := f.stream(fl, resp.Body)
		resp.Body.Close()
		fl.end(err)
		then(err)
	}
}

// readWhole reads a body that has come.
func readWhole(resp *origin.Response) ([]byte, error) {
	b := make([]byte, 0, max(resp.ContentLength, 0))
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, max(len(b), 512))
		}
		n, err := resp.Body.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

// refuse notes that a response is not stored, and lets its key pass for a while unless the backend may soon be better.
func (f *Filler) refuse(fl *flight, resp *origin.Response, why policy.Reason, now time.Time) {
	f.o.Metrics.NotStored(why)
	fl.setLarge()
	if !sharedFailure(resp) {
		f.passing.add(fl.key, why, now)
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
			if werr := fl.write(buf[:n], fl.maxBody); werr != nil {
				return werr
			}
		}
		if err == io.EOF { // itself: a body that was cut short may wrap it
			return nil
		}
		if err != nil {
			return err
		}
	}
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}
