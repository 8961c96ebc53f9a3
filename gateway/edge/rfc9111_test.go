package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"pagegate/internal/fill"
	"pagegate/internal/origin"
	"pagegate/internal/policy"
)

// step is one request of a scenario, what the backend would answer to it, and what has to come of it.
type step struct {
	after  time.Duration // that passes before it
	method string        // GET if empty
	target string        // /a if empty
	send   []string      // fields of the request
	reply  []string      // fields of the backend's answer
	status int           // of the backend's answer, 200 if 0; -1 for none at all, -2 where it cannot be reached
	body   string        // of the backend's answer, "body N" for the Nth request if empty

	// What has to come.
	cached  bool     // the backend is not asked
	behind  bool     // it is asked for the next visitors, behind this one's back
	asked   []string // fields that the backend has to see, "Name: value"; "!Name" for one that it must not
	want    int      // status, the backend's if 0
	has     []string // fields of the answer, "Name: value", "Name: *" for any; "!Name" for one that must be missing
	content string   // body, not looked at if empty
}

// The rules of RFC 9111 and its companions, by whole exchanges through the gateway in its pure RFC mode.
func TestRFC(t *testing.T) {
	const (
		s    = time.Second
		date = "Thu, 01 Jan 2026 00:00:00 GMT" // when each scenario begins
		past = "Wed, 31 Dec 2025 00:00:00 GMT"
		soon = "Thu, 01 Jan 2026 00:01:00 GMT"
	)
	fresh := []string{"Cache-Control", "max-age=60"}
	tagged := []string{"Cache-Control", "max-age=60", "Etag", `"1"`}
	scenarios := map[string][]step{
		"9111-3 explicit freshness is kept":                                 {{reply: fresh}, {cached: true, content: "body 1"}},
		"9110-8.8.3 a tag of the body":                                      {{reply: fresh}, {cached: true, has: []string{"Etag: *"}}},
		"9111-4.3.1 the backend is not asked by a tag that it did not give": {{reply: []string{"Cache-Control", "max-age=60, stale-if-error=600"}}, {after: 61 * s, reply: fresh, asked: []string{"!If-None-Match"}}},
		"9111-3 nothing said, nothing kept":                                 {{}, {}},
		"9111-3 no-store":                                                   {{reply: []string{"Cache-Control", "max-age=60, no-store"}}, {}},
		"9111-3 private":                                                    {{reply: []string{"Cache-Control", "max-age=60, private"}}, {}},
		"9111-3 any status with freshness":                                  {{status: 599, reply: fresh}, {cached: true, want: 599}},
		"9111-3 a part is no page":                                          {{status: 206, reply: fresh}, {}},
		"9111-3.1 all fields are kept":                                      {{reply: append([]string{"X-A", "1", "X-A", "2"}, fresh...)}, {cached: true, has: []string{"X-A: 1, 2"}}},
		"9111-3.5 Authorization is never answered by another's":             {{send: []string{"Authorization", "x"}, reply: fresh, asked: []string{"Authorization: x"}}, {}},
		"9111-4.1 another variant is asked for":                             {{send: []string{"Foo", "1"}, reply: append([]string{"Vary", "Foo"}, fresh...)}, {send: []string{"Foo", "2"}, reply: append([]string{"Vary", "Foo"}, fresh...), asked: []string{"Foo: 2"}}, {send: []string{"Foo", "1"}, cached: true, content: "body 1"}, {send: []string{"Foo", "2"}, cached: true, content: "body 2"}, {}},
		"9111-4.1 white space does not matter":                              {{send: []string{"Foo", "1,2"}, reply: append([]string{"Vary", "foo"}, fresh...)}, {send: []string{"Foo", " 1 ,  2"}, cached: true}, {send: []string{"Foo", "1", "Foo", "2"}, cached: true}},
		"9111-4.1 both without the field":                                   {{reply: append([]string{"Vary", "Foo, Bar"}, fresh...)}, {cached: true}, {send: []string{"Bar", "1"}}},
		"9111-4.1 fields that are not named":                                {{send: []string{"Foo", "1", "Other", "1"}, reply: append([]string{"Vary", "Foo"}, fresh...)}, {send: []string{"Foo", "1", "Other", "2"}, cached: true}},
		"9111-4.1 asterisk":                                                 {{reply: append([]string{"Vary", "*"}, fresh...)}, {}},
		"9111-4.1 a variant is validated as itself":                         {{send: []string{"Foo", "1"}, reply: append([]string{"Vary", "Foo"}, tagged...)}, {after: 61 * s, send: []string{"Foo", "1"}, status: 304, reply: append([]string{"Vary", "Foo"}, tagged...), asked: []string{"Foo: 1", `If-None-Match: "1"`}, want: 200, content: "body 1"}},
		"9111-4.1 a page that stops to vary":                                {{send: []string{"Foo", "1"}, reply: append([]string{"Vary", "Foo"}, fresh...)}, {send: []string{"Foo", "2"}, reply: fresh}, {send: []string{"Foo", "3"}, cached: true, content: "body 2"}},
		"9111-4.2 stale is asked for":                                       {{reply: fresh}, {after: 60 * s}},
		"9111-4.2.1 s-maxage first":                                         {{reply: []string{"Cache-Control", "max-age=60, s-maxage=10"}}, {after: 9 * s, cached: true}, {after: 2 * s}},
		"9111-4.2.1 Expires less Date":                                      {{reply: []string{"Expires", soon, "Date", date}}, {after: 59 * s, cached: true}, {after: s}},
		"9111-4.2.2 heuristic":                                              {{reply: []string{"Last-Modified", past, "Date", date}}, {after: 59 * time.Minute, cached: true}, {after: 2 * time.Minute}},
		"9111-4.2.2 not for any status":                                     {{status: 403, reply: []string{"Last-Modified", past}}, {}},
		"9111-4.2.3 Age counts":                                             {{reply: append([]string{"Age", "50"}, fresh...)}, {after: 9 * s, cached: true, has: []string{"Age: 59"}}, {after: s}},
		"9111-4.2.3 an old Date counts":                                     {{reply: append([]string{"Date", "Wed, 31 Dec 2025 23:59:30 GMT"}, fresh...)}, {after: 29 * s, cached: true}, {after: s}},
		"9111-4.2.4 stale on a broken connection":                           {{reply: fresh}, {after: 61 * s, status: -1, want: 200, content: "body 1"}},
		"9111-4.2.4 not with must-revalidate":                               {{reply: []string{"Cache-Control", "max-age=60, must-revalidate"}}, {after: 61 * s, status: -1, want: 502}},
		"9111-4.2.4 not with proxy-revalidate":                              {{reply: []string{"Cache-Control", "max-age=60, proxy-revalidate"}}, {after: 61 * s, status: -1, want: 502}},
		"9111-4.2.4 not with s-maxage":                                      {{reply: []string{"Cache-Control", "s-maxage=60"}}, {after: 61 * s, status: -1, want: 502}},
		"9111-4.3.1 an entity tag is sent":                                  {{reply: tagged}, {after: 61 * s, status: 304, reply: tagged, asked: []string{`If-None-Match: "1"`}, want: 200, content: "body 1"}, {cached: true}},
		"9111-4.3.1 a date is sent":                                         {{reply: append([]string{"Last-Modified", past}, fresh...)}, {after: 61 * s, status: 304, reply: fresh, asked: []string{"If-Modified-Since: " + past}, want: 200, content: "body 1"}},
		"9111-4.3.1 a new page replaces the old":                            {{reply: tagged}, {after: 61 * s, reply: fresh, content: "body 2"}, {cached: true, content: "body 2"}},
		"9111-4.3.2 the client's own conditions":                            {{reply: tagged}, {send: []string{"If-None-Match", `"1"`}, cached: true, want: 304, has: []string{`Etag: "1"`, "!Content-Type"}}, {send: []string{"If-None-Match", `"2"`}, cached: true}},
		"9111-4.3.2 one tag of several":                                     {{reply: tagged}, {send: []string{"If-None-Match", `"0", W/"1"`}, cached: true, want: 304}},
		"9111-4.3.2 a date":                                                 {{reply: append([]string{"Last-Modified", past}, fresh...)}, {send: []string{"If-Modified-Since", date}, cached: true, want: 304}},
		"9111-4.3.2 a tag goes before a date":                               {{reply: append([]string{"Last-Modified", past}, tagged...)}, {send: []string{"If-None-Match", `"2"`, "If-Modified-Since", date}, cached: true}},
		"9111-4.3.2 If-Match is the backend's":                              {{reply: tagged}, {send: []string{"If-Match", `"1"`}, asked: []string{`If-Match: "1"`}}},
		"9111-4.3.3 a failure while validating":                             {{reply: tagged}, {after: 61 * s, status: 503, want: 200, content: "body 1"}},
		"9111-4.3.4 fields are updated":                                     {{reply: append([]string{"X-A", "1", "X-B", "1"}, tagged...)}, {after: 61 * s, status: 304, reply: append([]string{"X-A", "2"}, tagged...), want: 200, has: []string{"X-A: 2", "X-B: 1"}}, {cached: true, has: []string{"X-A: 2", "X-B: 1"}}},
		"9111-4.3.4 a 304 of another page":                                  {{reply: tagged}, {after: 61 * s, status: 304, reply: []string{"Etag", `"2"`}, want: 304, asked: []string{"!If-None-Match"}}},
		"9111-4.3.5 a HEAD freshens":                                        {{reply: append([]string{"X-A", "1"}, tagged...)}, {after: 61 * s, method: "HEAD", reply: append([]string{"X-A", "2"}, tagged...)}, {after: s, cached: true, has: []string{"X-A: 2"}, content: "body 1"}},
		"9111-4.3.5 a HEAD tells of a new page":                             {{reply: append([]string{"Cache-Control", "max-age=60, stale-while-revalidate=600"}, "Etag", `"1"`)}, {after: 61 * s, method: "HEAD", send: []string{"Cache-Control", "no-cache"}, reply: []string{"Etag", `"2"`}}, {content: "body 3"}},
		"9111-4.3.5 the old one is what is left on failure":                 {{reply: tagged}, {after: 61 * s, method: "HEAD", reply: []string{"Etag", `"2"`}}, {status: -1, want: 200, content: "body 1"}},
		"9111-4.3.5 a fresh one is stale after that":                        {{reply: tagged}, {method: "HEAD", send: []string{"Cache-Control", "no-cache"}, reply: []string{"Etag", `"2"`}}, {status: -1, want: 200, content: "body 1"}, {}},
		"9111-4.4 POST invalidates":                                         {{reply: fresh}, {method: "POST"}, {content: "body 3"}},
		"9111-4.4 so does an unknown method":                                {{reply: fresh}, {method: "M-SEARCH"}, {}},
		"9111-4.4 not if it failed":                                         {{reply: fresh}, {method: "POST", status: 500}, {cached: true}},
		"9111-4.4 OPTIONS does not":                                         {{reply: fresh}, {method: "OPTIONS"}, {cached: true}},
		"9111-4.4 Location":                                                 {{target: "/b", reply: fresh}, {method: "PUT", status: 201, reply: []string{"Location", "b"}}, {target: "/b"}},
		"9111-4.4 Content-Location":                                         {{target: "/b?x", reply: fresh}, {method: "DELETE", reply: []string{"Content-Location", "http://site.example/b?x"}}, {target: "/b?x"}},
		"9111-4.4 not of another host":                                      {{target: "/b", reply: fresh}, {method: "PUT", status: 201, reply: []string{"Location", "http://other.example/b"}}, {target: "/b", cached: true}},
		"9111-4.4 with all variants":                                        {{send: []string{"Foo", "1"}, reply: append([]string{"Vary", "Foo"}, fresh...)}, {send: []string{"Foo", "2"}, reply: append([]string{"Vary", "Foo"}, fresh...)}, {method: "POST"}, {send: []string{"Foo", "1"}, reply: append([]string{"Vary", "Foo"}, fresh...)}, {send: []string{"Foo", "2"}}},
		"9111-5.1 Age is sent":                                              {{reply: fresh}, {after: 7 * s, cached: true, has: []string{"Age: 7"}}},
		"9110-6.6.1 Date stays":                                             {{reply: append([]string{"Date", date}, fresh...)}, {after: 7 * s, cached: true, has: []string{"Date: " + date}}},
		"9110-6.6.1 a missing Date is added":                                {{reply: fresh, has: []string{"Date: " + date}}, {after: 7 * s, cached: true, has: []string{"Date: " + date}}},
		"9111-5.2.1.1 max-age":                                              {{reply: fresh}, {after: 7 * s, send: []string{"Cache-Control", "max-age=6"}}},
		"9111-5.2.1.2 max-stale":                                            {{reply: fresh}, {after: 70 * s, send: []string{"Cache-Control", "max-stale=10"}, cached: true}},
		"9111-5.2.1.3 min-fresh":                                            {{reply: fresh}, {after: 7 * s, send: []string{"Cache-Control", "min-fresh=54"}}},
		"9111-5.2.1.4 no-cache":                                             {{reply: tagged}, {send: []string{"Cache-Control", "no-cache"}, reply: tagged, status: 304, want: 200, asked: []string{`If-None-Match: "1"`}}},
		"9111-5.2.1.5 no-store":                                             {{send: []string{"Cache-Control", "no-store"}, reply: fresh}, {}},
		"9111-5.2.1.7 only-if-cached":                                       {{send: []string{"Cache-Control", "only-if-cached"}, cached: true, want: 504}, {reply: fresh}, {send: []string{"Cache-Control", "only-if-cached"}, cached: true, content: "body 2"}},
		"9111-5.2.2.2 must-revalidate while fresh":                          {{reply: []string{"Cache-Control", "max-age=60, must-revalidate"}}, {cached: true}},
		"9111-5.2.2.4 no-cache is validated each time":                      {{reply: []string{"Cache-Control", "no-cache", "Etag", `"1"`}}, {status: 304, reply: []string{"Cache-Control", "no-cache", "Etag", `"1"`}, asked: []string{`If-None-Match: "1"`}, want: 200, content: "body 1"}, {status: 304, asked: []string{`If-None-Match: "1"`}, want: 200}},
		"9111-5.2.2.4 no-cache fields are not kept":                         {{reply: []string{"Cache-Control", `max-age=60, no-cache="x-a, x-b"`, "X-A", "1", "X-B", "1", "X-C", "1"}, has: []string{"X-A: 1"}}, {cached: true, has: []string{"!X-A", "!X-B", "X-C: 1"}}},
		"9111-5.2.2.7 private fields are not kept":                          {{reply: []string{"Cache-Control", `max-age=60, private="set-cookie"`, "Set-Cookie", "a=1"}, has: []string{"Set-Cookie: a=1"}}, {cached: true, has: []string{"!Set-Cookie"}}},
		"9213 above Cache-Control":                                          {{reply: []string{"Cache-Control", "no-store", "CDN-Cache-Control", "max-age=60"}}, {cached: true, has: []string{"Cache-Control: no-store"}}},
		"5861-3 stale-while-revalidate":                                     {{reply: []string{"Cache-Control", "max-age=10, stale-while-revalidate=60"}}, {after: 11 * s, behind: true, content: "body 1", reply: fresh}, {after: s, cached: true, content: "body 2"}},
		"5861-4 stale-if-error":                                             {{reply: []string{"Cache-Control", "max-age=10, stale-if-error=5"}}, {after: 14 * s, status: 503, want: 200}, {after: 2 * s, status: 503}},
		"5861-4 in the request":                                             {{reply: tagged}, {after: 70 * s, send: []string{"Cache-Control", "stale-if-error=5"}, status: 503}, {send: []string{"Cache-Control", "stale-if-error=20"}, status: 503, want: 200}},
		"8246 immutable":                                                    {{reply: []string{"Cache-Control", "max-age=60, immutable"}}, {send: []string{"Cache-Control", "max-age=0"}, cached: true}},
		"9110-14.2 a range of a kept page":                                  {{reply: fresh, body: "0123456789"}, {send: []string{"Range", "bytes=2-4"}, cached: true, want: 206, content: "234", has: []string{"Content-Range: bytes 2-4/10"}}, {send: []string{"Range", "bytes=-3"}, cached: true, want: 206, content: "789"}, {send: []string{"Range", "bytes=7-"}, cached: true, want: 206, content: "789"}},
		"9110-14.2 a range of a missing page":                               {{send: []string{"Range", "bytes=2-4"}, reply: append([]string{"Content-Length", "10"}, fresh...), body: "0123456789", asked: []string{"!Range"}, want: 206, content: "234"}, {cached: true, content: "0123456789"}},
		"9110-14.2 another unit is ignored":                                 {{reply: fresh, body: "0123456789"}, {send: []string{"Range", "lines=1-2"}, cached: true, content: "0123456789"}},
		"9110-15.5.17 beyond the end":                                       {{reply: fresh, body: "0123456789"}, {send: []string{"Range", "bytes=10-"}, cached: true, want: 416, has: []string{"Content-Range: bytes */10"}}},
		"9110-13.1.5 If-Range with its tag":                                 {{reply: tagged, body: "0123456789"}, {send: []string{"Range", "bytes=2-4", "If-Range", `"1"`}, cached: true, want: 206}, {send: []string{"Range", "bytes=2-4", "If-Range", `"2"`}, cached: true, want: 200}},
		"9110-13.1.5 If-Range with its date":                                {{reply: append([]string{"Last-Modified", past}, fresh...), body: "0123456789"}, {send: []string{"Range", "bytes=2-4", "If-Range", past}, cached: true, want: 206}, {send: []string{"Range", "bytes=2-4", "If-Range", date}, cached: true, want: 200}},
		"9110-9.3.2 HEAD of a kept page":                                    {{reply: tagged}, {method: "HEAD", cached: true, has: []string{"Content-Length: 6", `Etag: "1"`}}},
		"9211 a hit says so":                                                {{reply: fresh, has: []string{"Cache-Status: pagegate; fwd=uri-miss; fwd-status=200; stored"}}, {after: 7 * s, cached: true, has: []string{"Cache-Status: pagegate; hit; ttl=53"}}},
		"9211 a validation says so":                                         {{reply: tagged}, {after: 61 * s, status: 304, want: 200, has: []string{"Cache-Status: pagegate; fwd=stale; fwd-status=304; stored"}}},
	}
	for name, steps := range scenarios {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { play(t, steps) }) })
	}
}

// script is the backend of a scenario.
type script struct {
	mu    sync.Mutex
	step  step
	count int // of the scenario's requests
	asked *origin.Request
}

func (b *script) Fetch(_ context.Context, r *origin.Request) (*origin.Response, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = r
	if b.step.status < 0 {
		kind := map[int]origin.Kind{-1: origin.KindProtocol, -2: origin.KindConnect}[b.step.status]
		return nil, &origin.Error{Kind: kind, Err: errors.New("as the scenario has it")}
	}
	body := b.step.body
	if body == "" {
		body = fmt.Sprint("body ", b.count)
	}
	status := b.step.status
	if status == 0 {
		status = 200
	}
	if r.Method == "HEAD" || status == 304 {
		resp := reply(status, "text/plain", "", b.step.reply...)
		resp.ContentLength = -1
		return resp, nil
	}
	return reply(status, "text/plain", body, b.step.reply...), nil
}

func (b *script) Close() error { return nil }

// play goes through a scenario, every request of which has the fields always besides its own. It begins at a full minute,
// and time is the bubble's.
func play(t *testing.T, steps []step, always ...string) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	begun := time.Now()
	clock := func() time.Time { return start.Add(time.Since(begun)) }
	b := &script{}
	e := scriptedEdge(t, b, clock)
	for i, st := range steps {
		time.Sleep(st.after)
		synctest.Wait()
		b.mu.Lock()
		b.step, b.count, b.asked = st, i+1, nil
		b.mu.Unlock()
		var ctx fasthttp.RequestCtx
		ctx.Response.Header.SetNoDefaultContentType(true) // as the server does
		h := &ctx.Request.Header
		h.SetMethod(first(st.method, "GET"))
		h.SetRequestURI(first(st.target, "/a"))
		h.SetHost("site.example")
		for send := append(always[:len(always):len(always)], st.send...); len(send) > 0; send = send[2:] {
			h.Add(send[0], send[1])
		}
		e.Handle(&ctx)
		body := string(ctx.Response.Body())
		synctest.Wait()
		check(t, i+1, &st, b, &ctx, body)
		ctx.Response.Reset()
	}
}

func check(t *testing.T, n int, st *step, b *script, ctx *fasthttp.RequestCtx, body string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if st.cached != (b.asked == nil) {
		t.Fatalf("request %d: the backend was asked: %v; Cache-Status: %s", n, b.asked != nil, ctx.Response.Header.Peek("Cache-Status"))
	}
	want := st.want
	if want == 0 && !st.cached && !st.behind && st.status > 0 {
		want = st.status
	} else if want == 0 {
		want = 200
	}
	if got := ctx.Response.StatusCode(); got != want {
		t.Errorf("request %d: status %d, want %d (%s)", n, got, want, ctx.Response.Header.Peek("Cache-Status"))
	}
	if st.content != "" && body != st.content {
		t.Errorf("request %d: body %q, want %q", n, body, st.content)
	}
	fields := http.Header{}
	for name, value := range ctx.Response.Header.All() {
		fields.Add(string(name), string(value))
	}
	if n := ctx.Response.Header.ContentLength(); n >= 0 {
		fields.Set("Content-Length", fmt.Sprint(max(n, len(body))))
	}
	compare(t, fmt.Sprintf("request %d: the answer", n), fields, st.has)
	if len(st.asked) > 0 && b.asked != nil {
		compare(t, fmt.Sprintf("request %d: what the backend saw", n), b.asked.Header, st.asked)
	}
}

// compare holds fields against "Name: value", "Name: *" and "!Name".
func compare(t *testing.T, what string, fields http.Header, want []string) {
	t.Helper()
	for _, w := range want {
		if name, missing := strings.CutPrefix(w, "!"); missing {
			if v, ok := fields[name]; ok {
				t.Errorf("%s has %s: %q", what, name, v)
			}
			continue
		}
		name, value, _ := strings.Cut(w, ": ")
		if got := strings.Join(fields[name], ", "); got != value && (value != "*" || got == "") {
			t.Errorf("%s has %s: %q, want %q", what, name, got, value)
		}
	}
}

func first(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// scriptedEdge is a gateway's front in the pure RFC mode, as --ttl 0 makes it.
func scriptedEdge(t *testing.T, o origin.Origin, clock func() time.Time) *Edge {
	pol := &policy.Policy{Stale: time.Hour, MaxBody: 1 << 20, ClientControl: true, AllFields: true}
	return edgeOf(t, fill.Options{Origin: o, Policy: pol, PassFor: -1, Now: clock})
}
