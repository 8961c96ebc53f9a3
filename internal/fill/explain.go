package fill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"pagegate/internal/page"
	"pagegate/internal/pagecache"
)

// Explain writes for people what is stored of a page, or why nothing is.
func (f *Filler) Explain(ctx context.Context, w io.Writer, key []byte) {
	now := f.o.Now()
	fmt.Fprintf(w, "key       %q\n", key)
	if l, ok := f.o.Cache.(pagecache.Locator); ok {
		fmt.Fprintf(w, "kept in   %s\n", l.Where(key))
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
		fmt.Fprintf(w, "stored    a mark: the page has variants by %s\n", strings.Join(p.MarkNames(), ", "))
	default:
		explainPage(w, &p, now)
	}
}

func explainPage(w io.Writer, p *page.Page, now time.Time) {
	fmt.Fprintf(w, "stored    status %d, %d bytes", p.Status, len(p.Body))
	for c, coded := range p.Coded {
		if coded != nil {
			fmt.Fprintf(w, ", %d in %s", len(coded), page.Coding(c))
		}
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
