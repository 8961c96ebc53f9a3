package fill

import (
	"context"
	"net/http"

	"pagegate/internal/metrics"
	"pagegate/internal/page"
	"pagegate/internal/policy"
)

// head asks the backend for a page's head: an anonymous request, which nobody waits for with others since there is no
// body to share. Its answer freshens a stored page that it speaks of (RFC 9111, section 4.3.5).
func (f *Filler) head(ctx context.Context, r *Request, l *leg) (*Answer, error) {
	e := newErrand(f, r)
	fl := &flight{leg: *l, since: f.beginning(ctx, l.primary)}
	header := e.policy.FillHeader(e.asked, f.o.Scheme, f.keyed(fl), e.device)
	sent := f.o.Now()
	resp, err := f.send(ctx, e, http.MethodHead, header)
	var old page.Page
	defer old.Release()
	found := f.get(ctx, l.key, &old) && !old.Mark() && !old.BodyOnly
	if found && (err != nil || failing(resp.Status)) && e.policy.StaleOnFailure(f.o.Now(), &old, &e.wishes) {
		if err == nil {
			resp.Body.Close()
		}
		return &Answer{
			Status: old.Status, Header: old.HTTPHeader(), Body: http.NoBody, ContentLength: int64(len(old.Body)),
			Outcome: metrics.Stale, Page: old.Times(),
		}, nil
	}
	if err != nil {
		return nil, unanswered(err, &old)
	}
	if found && resp.Status == http.StatusOK {
		f.freshenByHead(fl, e, &old, &fetched{resp: resp, header: header, sent: sent, took: max(0, f.o.Now().Sub(sent))})
	}
	return &Answer{
		Status: resp.Status, Header: resp.Header, Body: resp.Body, ContentLength: resp.ContentLength, Outcome: metrics.Miss,
	}, nil
}

// freshenByHead stores a page again with what a HEAD told of it, or as a stale one if the HEAD tells of another page: that is
// still what to give while the backend fails.
func (f *Filler) freshenByHead(fl *flight, e *errand, old *page.Page, x *fetched) {
	now := f.o.Now()
	if !policy.HeadConfirms(x.resp.Header, x.resp.ContentLength, old) {
		if old.Fresh(now) || now.Before(old.RefreshUntil) {
			outdated := old.Outdated(now)
			outdated.RefreshUntil = outdated.FreshUntil
			f.set(fl.key, outdated)
		}
		return
	}
	header := policy.Freshened(old, x.resp.Header)
	d := e.policy.Response(now, &policy.Exchange{
		URI: e.uri, Status: old.Status, Header: header, BodyLen: int64(len(old.Body)), RequestTime: x.sent, Delay: x.took,
	})
	if !d.Store || !f.sameKey(fl, d.Vary) {
		return
	}
	p := newPage(old.Status, policy.Stored(header, now), &d, now, old.Took)
	p.Body, p.GzippedHere, p.TaggedHere = append([]byte(nil), old.Body...), old.GzippedHere, old.TaggedHere
	f.enqueue(fl, job{key: fl.key, page: p, land: func() {}})
}
