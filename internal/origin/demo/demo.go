// Package demo is the built-in site: some twenty small pages that each show one thing a cache has to get right, so that
// the programs can be tried, and tested, without a site of one's own.
//
// Every answer tells when it was rendered and how often its page has been rendered so far. A reload that shows the
// same line again was answered by a cache; one that counts on was answered here. Cookies are confined to the paths
// that need them, so that a visitor who has tried those pages still shares all others.
//
// The site keeps nothing but the counters. A path is tidied before it is looked up, since a cache keys a page by the
// tidied path: were "//shop" redirected here, the redirect might end up under the key of "/shop".
package demo

import (
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// DefaultDelay is how long the slow pages take if Options do not say.
const DefaultDelay = 200 * time.Millisecond

// Options of the site; the zero value is valid.
type Options struct {
	// Delay is how long the slow pages wait for their "database"; 0 for DefaultDelay.
	Delay time.Duration
	// Now is the site's clock; nil for time.Now. It does not shorten the delay.
	Now func() time.Time
}

// Handler makes the site. It may be served on a listener of its own, and by any number of goroutines at once; each
// Handler counts for itself.
func Handler(o Options) http.Handler {
	if o.Delay == 0 {
		o.Delay = DefaultDelay
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &site{delay: o.Delay, now: o.Now, routes: make(map[string]*route)}
	for _, r := range contents() {
		s.routes[r.Path] = r
		if r.Name != "" {
			s.listed = append(s.listed, r)
		}
	}
	return s
}

type site struct {
	delay  time.Duration
	now    func() time.Time
	routes map[string]*route // by tidied path; not changed after Handler, nor is the next
	listed []*route          // what the home page links to, in its order
}

// route is one page.
type route struct {
	Path  string
	Query string // for the home page's link
	Name  string // "" for a page that the home page does not list
	Note  string // what to see there
	get   func(*visit)
	post  func(*visit) // nil for a page that takes GET and HEAD only
	count atomic.Int64 // renderings so far
}

// visit is one request on its way through a page.
type visit struct {
	w     http.ResponseWriter
	r     *http.Request
	site  *site
	route *route
	Count int64 // which rendering of the page this is, from 1; 0 for no page
	at    time.Time
}

// ServeHTTP implements http.Handler.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{w: w, r: r, site: s, at: s.now().UTC()}
	v.route = s.routes[path.Clean("/"+r.URL.Path)]
	if v.route == nil {
		v.missing()
		return
	}
	page, allow := v.route.get, "GET, HEAD"
	if v.route.post != nil {
		allow += ", POST"
	}
	switch {
	case r.Method == http.MethodPost:
		page = v.route.post
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		page = nil
	}
	if page == nil {
		w.Header().Set("Allow", allow)
		v.plain(http.StatusMethodNotAllowed)
		return
	}
	v.Count = v.route.count.Add(1)
	page(v)
}

// query waits as long as a slow database would, and tells whether anybody still waits for the answer.
func (v *visit) query() bool {
	t := time.NewTimer(v.site.delay)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-v.r.Context().Done():
		return false
	}
}

// set sets a response field.
func (v *visit) set(name, value string) { v.w.Header().Set(name, value) }

// write sends a whole answer.
func (v *visit) write(status int, contentType string, body []byte) {
	v.set("Content-Type", contentType)
	v.set("Content-Length", strconv.Itoa(len(body)))
	v.w.WriteHeader(status)
	_, _ = v.w.Write(body) // that the client has gone is the server's affair
}

// plain answers with the status as a line of text.
func (v *visit) plain(status int) {
	v.write(status, "text/plain; charset=utf-8", []byte(strconv.Itoa(status)+" "+http.StatusText(status)+"\n"))
}

// Stamp tells one rendering from another, in words.
func (v *visit) Stamp() string {
	return fmt.Sprintf("Rendered at %s UTC, rendering no. %d of this page.", v.at.Format("2006-01-02 15:04:05.000"), v.Count)
}

// accepts tells whether the client takes a content coding (RFC 9110, section 12.5.3, as far as a demo needs it).
func (v *visit) accepts(coding string) bool {
	for item := range strings.SplitSeq(v.r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(item, ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
			return err != nil || q > 0
		}
	}
	return false
}
