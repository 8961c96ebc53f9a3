package fill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"

	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/policy"
)

// Explained is a request that Explain speaks of.
type Explained struct {
	Key    []byte
	Policy *policy.Policy
	Wishes policy.Wishes
	Header http.Header
}

// Where tells in words where the page of a key is kept, "" if that cannot be told.
func (f *Filler) Where(key []byte) string {
	if l, ok := f.o.Cache.(pagecache.Locator); ok {
		return l.Where(key)
	}
	return ""
}

// Host is the Host that shared fills are sent with where the key does not hold it.
func (f *Filler) Host() string { return f.o.Hosts.Canonical }

// Explain writes for people what is stored of a page, or why nothing is, and what a request that shares it would get.
func (f *Filler) Explain(ctx context.Context, w io.Writer, r *Explained) {
	now, key := f.o.Now(), r.Key
	fmt.Fprintf(w, "key       %q\n", key)
	if where := f.Where(key); where != "" {
		fmt.Fprintf(w, "kept in   %s\n", where)
	}
	if until, why := f.passing.get(string(key)); now.Before(until) {
		fmt.Fprintf(w, "passes    for %v more: what came last was not storable: %s\n", until.Sub(now).Round(time.Second), why)
	}
	var p page.Page
	defer p.Release()
	switch err := f.o.Cache.Get(ctx, key, &p); {
	case errors.Is(err, pagecache.ErrMiss):
		fmt.Fprintln(w, "stored    nothing")
	case err != nil:
		fmt.Fprintf(w, "stored    cannot be told: %v\n", err)
	case p.Mark():
		names := p.MarkNames()
		fmt.Fprintf(w, "stored    a mark: the page has variants by %s\n", strings.Join(names, ", "))
		f.explainVariant(ctx, w, r, &p)
	default:
		explainPage(w, &p, now)
		fmt.Fprintf(w, "answer    %s\n", verdicts[r.Policy.Reuse(now, &p, &r.Wishes)])
	}
}

// verdicts are the policy's, for people.
var verdicts = map[policy.Verdict]string{
	policy.Ask:     "the backend is asked first",
	policy.Use:     "from the cache",
	policy.UseOld:  "from the cache, past its freshness, as the request allows",
	policy.Refresh: "from the cache, past its freshness, while it is fetched anew",
}

// explainVariant writes what is stored of the variant that a mark has for a request.
func (f *Filler) explainVariant(ctx context.Context, w io.Writer, r *Explained, mark *page.Page) {
	var p page.Page
	defer p.Release()
	key := variantKey(string(r.Key), mark, mark.MarkNames(), r.Header)
	if err := f.o.Cache.Get(ctx, []byte(key), &p); err != nil {
		fmt.Fprintln(w, "variant   nothing is stored for these request fields")
		return
	}
	now := f.o.Now()
	explainPage(w, &p, now)
	fmt.Fprintf(w, "answer    %s\n", verdicts[r.Policy.Reuse(now, &p, &r.Wishes)])
}

func explainPage(w io.Writer, p *page.Page, now time.Time) {
	fmt.Fprintf(w, "stored    status %d, %d %s", p.Status, len(p.Body), english.PluralWord(len(p.Body), "byte", ""))
	for c, coded := range p.Coded {
		if coded != nil {
			fmt.Fprintf(w, ", %d in %s", len(coded), page.Coding(c))
		}
	}
	if p.Uncoded {
		fmt.Fprint(w, ", not coded yet")
	}
	fmt.Fprintln(w)
	if p.BodyOnly {
		fmt.Fprintln(w, "by        an application, or another program: a bare body, served as nginx serves it")
		return
	}
	fmt.Fprintf(w, "age       %v\n", p.Age(now).Round(time.Second))
	for _, t := range []struct {
		what  string
		until time.Time
	}{{"fresh", p.FreshUntil}, {"refresh", p.RefreshUntil}, {"stale", p.StaleUntil}} {
		if t.what != "fresh" && !t.until.After(p.FreshUntil) {
			continue // it has no such window
		}
		if left := t.until.Sub(now).Round(time.Second); left > 0 {
			fmt.Fprintf(w, "%-9s for %v more\n", t.what, left)
		} else {
			fmt.Fprintf(w, "%-9s ended %v ago\n", t.what, -left)
		}
	}
	fmt.Fprintf(w, "nginx     %s\n", map[bool]string{true: "may read it", false: "may not read it: its answer would not equal the backend's"}[p.NginxReadable])
	p.EachField(func(name, value []byte) { fmt.Fprintf(w, "          %s: %s\n", name, value) })
}
