package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

func htmlPage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if r.URL.Path == "/german" {
		w.Header().Set("Vary", "Accept-Language")
	}
	fmt.Fprint(w, "a page")
}

// logged returns the access log's entries.
func (g *running) logged() (entries []map[string]any) {
	for line := range strings.Lines(g.log.String()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			g.t.Fatalf("%q: %v", line, err)
		}
		if e["message"] == "request" {
			entries = append(entries, e)
		}
	}
	return entries
}

// The access log tells for each request what became of it and why, and nothing that is secret.
func TestAccessLog(t *testing.T) {
	for _, tt := range []struct {
		config string
		want   []string // outcome and reason of each entry
	}{
		{"off", nil},
		{"misses", []string{"miss ", "pass cookie"}},
		{"all", []string{"miss ", "hit", "pass cookie"}},
	} {
		g := runGateway(t, "log: {access: "+tt.config+"}\nrules: [{path: /page, name: pages}]\n", htmlPage)
		g.get("/page")
		realproc.WaitFor(t, 10*time.Second, "the page to be stored", func() bool { return g.metric("pagegate_stored_total 1") })
		g.get("/page")
		g.get("/page?token=1", "Cookie", "sid=hush", "Authorization", "hush")
		var got []string
		for _, e := range g.logged() {
			if e["route"] != "pages" || e["method"] != "GET" || e["status"] != 200.0 || !strings.HasPrefix(fmt.Sprint(e["client"]), "127.0.0.1:") {
				t.Errorf("%v", e)
			}
			what := fmt.Sprint(e["outcome"])
			if why, ok := e["reason"]; ok {
				what += " " + fmt.Sprint(why)
			}
			got = append(got, what)
		}
		want := strings.Join(tt.want, ", ")
		if strings.Join(got, ", ") != strings.ReplaceAll(want, "cookie", "authorization") {
			t.Errorf("%s: %q, want %s", tt.config, got, want)
		}
		if strings.Contains(g.log.String(), "hush") {
			t.Errorf("a secret is in the log:\n%s", g.log)
		}
	}
}

// A bad request is logged with what is wrong with it.
func TestRefusedRequestsAreLogged(t *testing.T) {
	g := runGateway(t, "log: {access: misses}\n", htmlPage)
	g.raw("GET /../../etc HTTP/1.1\r\nHost: x\r\n\r\n")
	all := g.logged()
	if len(all) != 1 || all[0]["outcome"] != "refused" || all[0]["status"] != 400.0 || all[0]["target"] != "/../../etc" || all[0]["reason"] == "" {
		t.Errorf("%v", all)
	}
}

func TestSampledAccessLog(t *testing.T) {
	g := runGateway(t, "log: {access: all, one_in: 10}\n", htmlPage)
	for range 50 {
		g.get("/page")
	}
	if n := len(g.logged()); n != 5 {
		t.Errorf("%d of 50 requests are logged, want one in ten", n)
	}
}

// `gateway explain` tells what a request would get and why.
func TestExplain(t *testing.T) {
	g := runGateway(t, "rules: [{path: /private*, name: logins, bypass: true}]\n", htmlPage)
	if !g.hits("/page") {
		t.Fatal("not kept")
	}
	realproc.WaitFor(t, 10*time.Second, "the variant", func() bool {
		status, _, _ := g.get("/german", "Accept-Language", "de")
		return strings.HasPrefix(status, "hit")
	})
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"/page"}, []string{"route     default", "request   shares", `key       "/page?"`, "stored    status 200, 6 bytes", "answer    from the cache"}},
		{[]string{"http://any.example/page"}, []string{"stored    status 200"}},
		{[]string{"--header", "Cookie: sid=1", "/page"}, []string{"request   is a pass: cookie"}},
		{[]string{"/private/1"}, []string{"route     logins", "request   is a pass: rule", "stored    nothing"}},
		{[]string{"--header", "Accept-Language: de", "/german"}, []string{"a mark: the page has variants by Accept-Language", "stored    status 200", "answer    from the cache"}},
		{[]string{"--header", "Accept-Language: fr", "/german"}, []string{"variant   nothing is stored"}},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), append([]string{"explain", "--admin", g.admin}, tt.args...), &out, &errs); code != 0 {
			t.Errorf("%q: exit code %d: %s", tt.args, code, errs.String())
		}
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q:\n%swant %q in it", tt.args, out.String(), want)
			}
		}
	}
}

// `gateway purge` says how many pages it has taken away.
func TestPurgeCommand(t *testing.T) {
	g := runGateway(t, "", htmlPage)
	for _, page := range []string{"/a", "/b", "/c"} {
		if !g.hits(page) {
			t.Fatal("not kept")
		}
	}
	for _, tt := range []struct{ flags, want string }{
		{"--url /a", "1 page purged\n"}, {"--url /a", "0 pages purged\n"}, {"--prefix /", "2 pages purged\n"},
	} {
		code, out, errs := command(t, append([]string{"purge", "--admin", g.admin}, strings.Fields(tt.flags)...)...)
		if code != 0 || out != tt.want {
			t.Errorf("%s: exit code %d: %s%s", tt.flags, code, out, errs)
		}
	}
}

// What would be refused is told, and counts for nothing: nobody has sent such a request.
func TestExplainRefused(t *testing.T) {
	g := runGateway(t, "", htmlPage)
	code, _, errs := command(t, "explain", "--admin", g.admin, "/../../etc")
	if code != 1 || !strings.Contains(errs, "such a request is refused with 400: ") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if !g.metric(`pagegate_requests_total{outcome="refused",route="default"} 0`) {
		t.Error("it counts as a request")
	}
}

// A gateway whose cache server is gone is ready all the same, and says so.
func TestReadiness(t *testing.T) {
	g := runGateway(t, "cache: {servers: [\""+realproc.FreeAddr(t)+"\"]}\n", htmlPage)
	resp, err := noKeepAlive.Get("http://" + g.admin + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	_, _ = text.ReadFrom(resp.Body)
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(text.String(), "ready\nrunning: ok\ncache: ") || strings.Contains(text.String(), "cache: ok") {
		t.Errorf("%s\n%s", resp.Status, text.String())
	}
}
