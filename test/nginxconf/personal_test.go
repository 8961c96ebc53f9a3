package nginxconf_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pagegate/internal/policy"
)

// cookiePatterns reads analytics-cookies.txt: a pattern a line, empty lines and comments aside.
func cookiePatterns(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shippedDir, "analytics-cookies.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var patterns []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, line)
		}
	}
	if len(patterns) == 0 {
		t.Fatal("analytics-cookies.txt holds no pattern")
	}
	return patterns
}

// cookieRegexp derives the expression of pagegate-http.conf from the list.
func cookieRegexp(patterns []string) string {
	names := make([]string, len(patterns))
	for i, p := range patterns {
		prefix, any := strings.CutSuffix(p, "*")
		if names[i] = regexp.QuoteMeta(prefix); any {
			names[i] += "[^=;]*"
		}
	}
	return `^[\x20\x09;]*(?:(?:` + strings.Join(names, "|") + `)=[^;]*(?:;[\x20\x09;]*|$))*$`
}

// covered tells whether a pattern covers a name.
func covered(patterns []string, name string) bool {
	for _, p := range patterns {
		prefix, any := strings.CutSuffix(p, "*")
		if name == p || any && strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// TestCookieListIsProper checks the list's own form. Two patterns that cover one name would be two ways to match it, and
// a header of many such cookies would take nginx exponential time to refuse.
func TestCookieListIsProper(t *testing.T) {
	patterns := cookiePatterns(t)
	form := regexp.MustCompile("^[!#$%&'+.^_`|~0-9A-Za-z-]+\\*?$") // a cookie's name is a token (RFC 6265, section 4.1.1)
	for i, p := range patterns {
		if !form.MatchString(p) {
			t.Errorf("%q is no cookie name with or without a star at its end", p)
		}
		others := append(append([]string(nil), patterns[:i]...), patterns[i+1:]...)
		if covered(others, strings.TrimSuffix(p, "*")) {
			t.Errorf("%q is covered by another pattern", p)
		}
	}
}

// TestCookieRegexpIsTheList compares the expression in pagegate-http.conf, whose white space means nothing, with the one
// that follows from the list.
func TestCookieRegexpIsTheList(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(shippedDir, "pagegate-http.conf"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?s)"~\(\?x\)([^"]*)" 0;`).FindAllStringSubmatch(string(text), -1)
	if len(found) != 1 {
		t.Fatalf("%d expressions in extended form, want 1", len(found))
	}
	if got, want := strings.Join(strings.Fields(found[0][1]), ""), cookieRegexp(cookiePatterns(t)); got != want {
		t.Errorf("pagegate-http.conf and analytics-cookies.txt differ:\n got %s\nwant %s", got, want)
	}
}

// cookieHeaders generates Cookie headers out of names on the list, near the list and far from it.
func cookieHeaders(patterns []string) *rapid.Generator[string] {
	name := rapid.Custom(func(t *rapid.T) string {
		p := strings.TrimSuffix(rapid.SampledFrom(patterns).Draw(t, "pattern"), "*")
		return rapid.SampledFrom([]string{p, p, p, p + "x", p + " ", "x" + p, strings.ToUpper(p), "sid", ""}).Draw(t, "name")
	})
	pair := rapid.Custom(func(t *rapid.T) string {
		value := rapid.SampledFrom([]string{"=1", "=", "=a=b", `="q q"`, "=1,sid=2", "= 1", ""}).Draw(t, "value")
		return name.Draw(t, "name") + value
	})
	return rapid.Custom(func(t *rapid.T) string {
		var b strings.Builder
		for range rapid.IntRange(0, 5).Draw(t, "pairs") {
			b.WriteString(pair.Draw(t, "pair"))
			b.WriteString(rapid.SampledFrom([]string{"; ", ";", ";\t", " ; ", ";;", ", ", "; ; "}).Draw(t, "separator"))
		}
		return b.String()
	})
}

// TestCookieRegexpIsTheRule compares the expression with the rule of the filler and the gateway.
func TestCookieRegexpIsTheRule(t *testing.T) {
	patterns := cookiePatterns(t)
	rule := policy.NewCookieRule(patterns)
	anonymous := regexp.MustCompile(cookieRegexp(patterns))
	headers := cookieHeaders(patterns)
	rapid.Check(t, func(t *rapid.T) {
		header := headers.Draw(t, "header")
		if got, want := !anonymous.MatchString(header), rule.Personal(header); got != want {
			t.Fatalf("%q: personal is %v by the expression, %v by the rule", header, got, want)
		}
	})
}

// personalCases are Cookie headers and whether they make a request personal.
var personalCases = []struct {
	header   string
	personal bool
}{
	{"", false},
	{"_ga=GA1.2.1.2", false},
	{"_ga=1; _gid=2; _ga_AB12=3; __utmz=4; _hjSession_1=5", false},
	{"_ga=1;_gid=2", false},
	{"_ga=1;", false},
	{";; ;\t_ga=1 ;", false},
	{"_ga=", false},
	{"_ga=a=b=c", false},
	{"_gat=1; _gat_UA-1-1=1", false},
	{"_ga=1, session=2", false}, // a comma is part of the value (RFC 6265, section 4.1.1, taken as user agents do)
	{"cookielawinfo-checkbox-ads=yes", false},
	{"session=1", true},
	{"session=1; _ga=1", true},
	{"_ga=1; session=1", true},
	{"_ga=1;session=1", true},
	{"_ga=1; session=1; _gid=2", true},
	{`_ga="1; session=2"`, true}, // quotes do not hold a pair together
	{"_GA=1", true},
	{"x_ga=1", true},
	{"_gax=1", true},
	{" x=1; _ga=1", true},
	{"_ga", true},
	{"_ga=1; _gid", true},
	{"=1", true},
	{"_ga =1", true},
	{"$Version=1; _ga=1", true},
	{"_ga:1", true},
	{strings.Repeat("_ga_x=1; ", 800) + "_gid=1", false},
	{strings.Repeat("_ga_x=1; ", 800) + "session=1", true},
	{strings.Repeat(";", 7000) + "session=1", true},
	{"_ga=" + strings.Repeat("1", 7000) + "; session=1", true},
}

// TestCookies sends Cookie headers for a page that is in the cache: it answers the anonymous ones, the filler all others.
func TestCookies(t *testing.T) {
	patterns := cookiePatterns(t)
	rule := policy.NewCookieRule(patterns)
	cases := personalCases
	for _, p := range patterns {
		prefix, any := strings.CutSuffix(p, "*")
		for _, name := range []string{prefix, prefix + "9-x", "x" + prefix, strings.ToUpper(prefix)} {
			cases = append(cases, struct {
				header   string
				personal bool
			}{name + "=1", !(name == prefix || any && strings.HasPrefix(name, prefix) || covered(patterns, name))})
		}
	}
	forEach(t, tunedLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		d.store(t, "/page?", "for everybody", 0)
		c := dial(t, d.addr)
		for _, tc := range cases {
			if got := rule.Personal(tc.header); got != tc.personal {
				t.Errorf("%.60q: personal is %v by the policy, %v by its table", tc.header, got, tc.personal)
			}
			a := c.ask(get("/page", "Cookie: "+tc.header))
			if fromCache := a.Body == "for everybody"; fromCache == tc.personal {
				t.Errorf("%.60q: from the cache: %v, personal: %v", tc.header, fromCache, tc.personal)
			}
		}
		for _, got := range d.arrivals() {
			if !rule.Personal(got.Header.Get("Cookie")) {
				t.Errorf("the filler was asked for %q", got.Header.Get("Cookie"))
			}
		}
	})
}

// TestCookiesAgainstTheRule compares nginx itself with the rule of the filler and the gateway.
func TestCookiesAgainstTheRule(t *testing.T) {
	patterns := cookiePatterns(t)
	rule := policy.NewCookieRule(patterns)
	headers := cookieHeaders(patterns)
	d := open(t, overTCP)
	d.store(t, "/page?", "for everybody", 0)
	c := dial(t, d.addr)
	rapid.Check(t, func(rt *rapid.T) {
		header := headers.Draw(rt, "header")
		a := c.ask(get("/page", "Cookie: "+header))
		if passed := a.Body != "for everybody"; passed != rule.Personal(header) {
			rt.Fatalf("%q: nginx passed it on: %v", header, passed)
		}
	})
}

// TestBypass covers what else than a cookie decides between the cache and the filler.
func TestBypass(t *testing.T) {
	cases := []struct {
		fields []string
		bypass bool
	}{
		{nil, false},
		{[]string{"Authorization: Basic eDp5"}, true},
		{[]string{"authorization: Bearer x"}, true},
		{[]string{"Authorization: :0"}, true},
		{[]string{"Authorization: 0"}, true},
		{[]string{"Authorization:"}, false},
		{[]string{"Cookie: _ga=1", "Cookie: _gid=2"}, false},
		{[]string{"Cookie: _ga=1", "Cookie: session=2"}, true},
		{[]string{"cookie: session=2"}, true},
		{[]string{"Cookie: _ga=1", "Authorization: Basic eDp5"}, true},
		{[]string{"Content-Length: 0"}, false},
		{[]string{"Cache-Control: no-cache", "Pragma: no-cache"}, false},
		{[]string{"X-Pagegate-Bypass: 1", "X-Requested-With: XMLHttpRequest"}, false},
	}
	forEach(t, tunedLayouts, func(t *testing.T, l layout) {
		d := open(t, l)
		d.store(t, "/page?", "for everybody", 0)
		for _, method := range []string{"GET", "HEAD"} {
			for _, tc := range cases {
				name := fmt.Sprintf("%s %q", method, tc.fields)
				a := d.ask(t, request{method: method, target: "/page", fields: tc.fields})
				if bypass := a.Header.Get("X-Filler") == method; bypass != tc.bypass {
					t.Errorf("%s: bypass %v, want %v", name, bypass, tc.bypass)
				}
				got := d.arrivals()
				if len(got) > 1 || (len(got) == 1) != tc.bypass {
					t.Errorf("%s: %d requests reached the filler", name, len(got))
				}
			}
		}
	})
}
