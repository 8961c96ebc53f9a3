package soak

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

const (
	// staleFor is the doors' --stale.
	staleFor = 3 * time.Second
	// slack is what clocks that tick once a second, a fetch under way and a busy machine add to a page's age.
	slack = 2500 * time.Millisecond
	// pages is how many there are.
	pages = 300
)

// tally counts what came of the requests.
type tally struct {
	requests, hits, stale, notModified, parts, personal, coded, cut, unavailable, back, herds, purged atomic.Int64

	mu    sync.Mutex
	wrong []string // the first of them
	more  int      // how many more
}

func (c *tally) fail(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.wrong) < 20 {
		c.wrong = append(c.wrong, fmt.Sprintf(format, args...))
	} else {
		c.more++
	}
}

func (c *tally) String() string {
	return fmt.Sprintf("%d requests: %d hits, %d stale, %d not modified, %d parts, %d personal, %d coded, %d herds, %d purges; "+
		"%d times 502 or 504 and %d bodies cut while the site or the cache was away; %d times a page went back to an older version within its time",
		c.requests.Load(), c.hits.Load(), c.stale.Load(), c.notModified.Load(), c.parts.Load(), c.personal.Load(), c.coded.Load(),
		c.herds.Load(), c.purged.Load(), c.unavailable.Load(), c.cut.Load(), c.back.Load())
}

// purges are when pages of a cache were removed, by a purge or a POST: the time before that began.
type purges struct{ begun, done sync.Map }

// begin notes that a page may be removed from now on.
func (p *purges) begin(target string, at time.Time) { p.begun.Store(target, at) }

// end notes that it has been removed.
func (p *purges) end(target string, at time.Time) { p.done.Store(target, at) }

// last is the time of a page's last purge in one of the maps.
func last(m *sync.Map, target string) (at time.Time, ok bool) {
	v, ok := m.Load(target)
	if ok {
		at = v.(time.Time)
	}
	return at, ok
}

// visitor asks one door for pages, and looks hard at what it gets.
type visitor struct {
	*stack
	door    door
	count   *tally
	cookies *sync.Map // that the site has set, and for whom
	client  *http.Client
	seen    map[string]said // the last of each page, by target
	tags    map[string]string
}

func newVisitor(s *stack, d door, count *tally, cookies *sync.Map) *visitor {
	return &visitor{stack: s, door: d, count: count, cookies: cookies, seen: make(map[string]said), tags: make(map[string]string), client: &http.Client{
		Transport:     &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 4, IdleConnTimeout: 10 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       20 * time.Second,
	}}
}

// visit makes requests until ctx ends.
func (v *visitor) visit(ctx context.Context, think time.Duration) {
	defer v.client.CloseIdleConnections()
	for ctx.Err() == nil {
		v.one()
		time.Sleep(rand.N(2 * think))
	}
}

// one makes one request of some kind.
func (v *visitor) one() {
	n := min(rand.IntN(pages), rand.IntN(pages)) // some pages are in greater demand
	target := fmt.Sprintf("/p/%d", n)
	switch kind := rand.IntN(100); {
	case kind < 55:
		v.ask("GET", target)
	case kind < 62:
		v.ask("HEAD", target)
	case kind < 70:
		v.ask("GET", target, "Range", fmt.Sprintf("bytes=0-%d", 100+rand.IntN(1000)))
	case kind < 78:
		v.ask("GET", target, "If-None-Match", v.tags[target])
	case kind < 84:
		v.ask("GET", target, "Accept-Encoding", []string{"gzip", "br", "zstd"}[rand.IntN(3)])
	case kind < 90:
		v.ask("GET", target, "Cookie", fmt.Sprintf("sid=v%d", rand.IntN(1000)))
	case kind < 94:
		v.ask("GET", fmt.Sprintf("/set/%d", n))
	case kind < 98:
		v.ask("GET", fmt.Sprintf("/lang/%d", n%20), "Accept-Language", []string{"de", "en", "fr"}[rand.IntN(3)])
	default:
		v.ask("POST", target)
	}
}

// ask makes a request and judges the answer.
func (v *visitor) ask(method, target string, fields ...string) (page said) {
	req, err := http.NewRequest(method, "http://"+v.door.addr+target, nil)
	if err != nil {
		v.count.fail("%v", err)
		return page
	}
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i+1] != "" {
			req.Header.Set(fields[i], fields[i+1])
		}
	}
	purged, wasPurged := last(&v.door.shared.done, target)
	from := time.Now()
	if method == http.MethodPost {
		v.door.shared.begin(target, from)
	}
	resp, err := v.client.Do(req)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	v.count.requests.Add(1)
	x := &exchange{visitor: v, what: v.door.name + ": " + method + " " + target + " " + strings.Join(fields, " "), req: req, resp: resp, body: body, from: from, to: time.Now()}
	if err != nil {
		x.broken(err)
		return page
	}
	if page, ok := x.judge(target); ok {
		x.inTime(page)
		if wasPurged && !v.site.missing(purged.Add(-outOfSight), x.to) && time.UnixMilli(page.version).Before(purged.Add(-slowest-grain-time.Second)) {
			v.count.fail("%s: version %d, purged at %d", x.what, page.version, purged.UnixMilli())
		}
		return page
	}
	return page
}

// exchange is a request and its answer.
type exchange struct {
	*visitor
	what     string
	req      *http.Request
	resp     *http.Response
	body     []byte
	from, to time.Time
}

// broken judges an answer that did not come whole: only a process that is killed can be the reason.
func (x *exchange) broken(err error) {
	if x.site.missing(x.from, x.to) || x.cache.missing(x.from, x.to) {
		x.count.cut.Add(1)
		return
	}
	x.count.fail("%s: %v", x.what, err)
}

// judge tells which page an answer is or speaks of, if any, after it has been found to be right.
func (x *exchange) judge(target string) (page said, ok bool) {
	status := x.resp.StatusCode
	switch cs := x.resp.Header.Get("Cache-Status"); {
	case strings.Contains(cs, "backend-failed") && strings.Contains(cs, "; hit"):
		x.count.stale.Add(1)
	case strings.Contains(cs, "; hit"):
		x.count.hits.Add(1)
	}
	switch {
	case status == http.StatusBadGateway || status == http.StatusGatewayTimeout:
		if !x.site.missing(x.from, x.to) {
			x.count.fail("%s: %d while the site runs: %q %s", x.what, status, x.body, x.resp.Header.Get("Cache-Status"))
		}
		x.noneStored(target)
		x.count.unavailable.Add(1)
		return page, false
	case x.req.Method == http.MethodPost:
		if status != http.StatusNoContent {
			x.count.fail("%s: %d", x.what, status)
		} else if x.door.own || !x.cache.missing(x.from.Add(-outOfSight), x.to) { // or it could not be told
			x.door.shared.end(target, x.from)
		}
		return page, false
	case status == http.StatusNotModified:
		if x.req.Header.Get("If-None-Match") == "" || len(x.body) > 0 {
			x.count.fail("%s: 304 unasked, or with a body", x.what)
		}
		x.count.notModified.Add(1)
		return page, false
	case status == http.StatusPartialContent:
		return x.part(target)
	case status != http.StatusOK:
		x.count.fail("%s: %d %q", x.what, status, x.body)
		return page, false
	case x.req.Method == http.MethodHead:
		return page, false
	}
	return x.whole(target)
}

// noneStored looks whether a failure could have been a page from the gateway's own store, which nobody kills.
func (x *exchange) noneStored(target string) {
	seen := x.seen[target+"nobody"]
	if !x.door.own || strings.HasPrefix(target, "/set/") || seen.version == 0 || len(x.req.Header["Cookie"]) > 0 || x.req.Method == http.MethodPost {
		return
	}
	rendered := time.UnixMilli(seen.version)
	usable := rendered.Add(lifetime*time.Second + staleFor - 1500*time.Millisecond) // dates are in whole seconds
	if gone, ok := last(&x.door.shared.begun, target); x.to.Before(usable) && (!ok || gone.Before(rendered.Add(-grain))) {
		x.count.fail("%s: %d, but the page is stored since %v ago", x.what, x.resp.StatusCode, x.to.Sub(rendered))
	}
}

// whole judges a whole page.
func (x *exchange) whole(target string) (page said, ok bool) {
	plain, err := decode(x.resp.Header.Get("Content-Encoding"), x.body)
	page, ok = parse(plain)
	if err != nil || !ok || page.target != target || !bytes.Equal(plain, render(page.target, page.version, page.who)) {
		x.count.fail("%s: not the page: %.100q (%d bytes, %v)", x.what, plain, len(plain), err)
		return page, false
	}
	x.itsOwn(page)
	if etag := x.resp.Header.Get("Etag"); etag != "" && len(x.req.Header["Cookie"]) == 0 {
		x.tags[target] = etag
	}
	return page, true
}

// part judges the first bytes of a page.
func (x *exchange) part(target string) (page said, ok bool) {
	x.count.parts.Add(1)
	page, ok = parse(x.body)
	if !ok || page.target != target || x.req.Header.Get("Range") == "" || !bytes.HasPrefix(render(page.target, page.version, page.who), x.body) {
		x.count.fail("%s: not a part of the page: %.100q", x.what, x.body)
		return page, false
	}
	x.itsOwn(page)
	return page, true
}

// itsOwn looks whether a page is the visitor's, or nobody's.
func (x *exchange) itsOwn(page said) {
	want := "nobody"
	if sid, personal := strings.CutPrefix(x.req.Header.Get("Cookie"), "sid="); personal {
		x.count.personal.Add(1)
		want = sid
	} else if strings.HasPrefix(page.target, "/lang/") {
		want = "speaker of " + x.req.Header.Get("Accept-Language")
	}
	if page.who != want {
		x.count.fail("%s: %s was given the page of %s", x.what, want, page.who)
	}
	if cookie := x.resp.Header.Get("Set-Cookie"); cookie != "" {
		if _, again := x.cookies.LoadOrStore(cookie, true); again {
			x.count.fail("%s: a cookie that somebody else has too: %s", x.what, cookie)
		}
	}
	if x.resp.Header.Get("Content-Encoding") != "" {
		x.count.coded.Add(1)
	}
}

// inTime looks whether a page is as new as it has to be: fresh, or stale for no longer than it may while the site is away.
func (x *exchange) inTime(page said) {
	if strings.HasPrefix(page.target, "/herd/") {
		return
	}
	old := lifetime*time.Second + grain + slack
	if x.site.missing(x.from.Add(-staleFor-old), x.to) {
		old += staleFor
	}
	if age := x.from.Sub(time.UnixMilli(page.version)); age > old {
		x.count.fail("%s: the page is %v old: %s", x.what, age, x.resp.Header)
	}
	key := page.target + page.who
	if x.seen[key].version > page.version {
		x.count.back.Add(1)
	}
	x.seen[key] = page
}

func decode(coding string, body []byte) ([]byte, error) {
	switch coding {
	case "gzip":
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case "br":
		return io.ReadAll(brotli.NewReader(bytes.NewReader(body)))
	case "zstd":
		r, err := zstd.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	}
	return body, nil
}
