package policy

import (
	"math"
	"math/rand/v2"
	"time"

	"pagegate/internal/page"
)

// Verdict says what a stored page is good for.
type Verdict uint8

// Verdicts.
const (
	Ask     Verdict = iota // the backend has to be asked before the page may be used (RFC 9111, section 4.3)
	Use                    // the page answers the request
	UseOld                 // so it does, past its freshness, since the request allows that (max-stale)
	Refresh                // so it does, while somebody fetches a newer one (RFC 5861, section 3)
)

// Reuse decides whether a stored page that is chosen for a request may answer it at now (RFC 9111, section 4). It
// allocates nothing.
func (p *Policy) Reuse(now time.Time, pg *page.Page, w *Wishes) Verdict {
	if pg.Mark() {
		return Ask
	}
	if !pg.Fresh(now) {
		return p.reuseStale(now, pg, w)
	}
	if p.ClientControl && w.Picky() && !satisfied(now, pg, w) {
		return Ask
	}
	return Use
}

// satisfied tells whether a fresh page is what the request wants (RFC 9111, sections 5.2.1.1, 5.2.1.3 and 5.2.1.4). A
// plain reload of a page that does not change is satisfied by it (RFC 8246, section 2); no-cache insists.
func satisfied(now time.Time, pg *page.Page, w *Wishes) bool {
	switch {
	case w.NoCache:
		return false
	case w.MaxAge.Given && pg.Age(now) > w.MaxAge.For && !pg.Immutable,
		w.MaxAge.Given && w.MaxAge.For == 0 && !pg.Immutable:
		return false
	case w.MinFresh.Given && !pg.FreshUntil.IsZero() && pg.FreshUntil.Sub(now) < w.MinFresh.For:
		return false
	}
	return true
}

func (p *Policy) reuseStale(now time.Time, pg *page.Page, w *Wishes) Verdict {
	picky := p.ClientControl && w.Picky()
	switch {
	case pg.NoStale || picky:
		return Ask
	case p.ClientControl && w.MaxStale.Given && now.Sub(pg.FreshUntil) <= w.MaxStale.For:
		return UseOld
	case now.Before(pg.RefreshUntil):
		return Refresh
	}
	return Ask
}

// StaleOnFailure tells whether a page may be served at now although it is stale, because the backend failed (RFC 9111,
// section 4.2.4; RFC 5861, section 4). A request's own stale-if-error narrows what the response or the operator allows,
// and widens it where the response has not forbidden it.
func (p *Policy) StaleOnFailure(now time.Time, pg *page.Page, w *Wishes) bool {
	if pg.Mark() || pg.Status == 0 {
		return false
	}
	if pg.Fresh(now) {
		return true
	}
	if w.StaleIfError.Given && p.ClientControl {
		return !pg.NoStale && now.Sub(pg.FreshUntil) <= w.StaleIfError.For
	}
	return pg.UsableStale(now)
}

// MustValidate tells whether a stored page, which is stale, says that it is not to be used before the backend has confirmed
// it, and that a cache which cannot reach the backend should answer with 504 (RFC 9111, sections 5.2.2.2, 5.2.2.8 and
// 5.2.2.10).
func MustValidate(pg *page.Page) bool {
	if pg.Mark() || !pg.NoStale {
		return false
	}
	cc := effective(pg.HTTPHeader())
	return cc.has(ccMustRevalidate | ccProxyRevalidate | ccSMaxAge)
}

// earlyReach is how many times the backend's time before the end of its freshness a page may be chosen for a refresh; the
// chance is less than one in 20,000 before.
const earlyReach = 10

// Early tells whether a request that is answered by a fresh page should cause its refresh, so that a page in demand never
// expires: by a chance that grows towards the end, the earlier the longer the backend takes (probabilistic early
// expiration, Vattani, Chierichetti and Lowenstein, VLDB 2015). A page that nobody fetches again soon simply expires.
func Early(now time.Time, pg *page.Page) bool {
	left := pg.FreshUntil.Sub(now)
	if pg.Took <= 0 || left > earlyReach*pg.Took || pg.FreshUntil.IsZero() {
		return false
	}
	return time.Duration(-math.Log(1-rand.Float64())*float64(pg.Took)) >= left
}
