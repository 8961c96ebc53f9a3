package policy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

type fieldMap map[string]string

func (m fieldMap) Field(name string) string { return m[name] }

func TestRequest(t *testing.T) {
	p := &Policy{Cookies: NewCookieRule([]string{"_ga", "_ga_*", "_gid"})}
	tests := []struct {
		name   string
		method string
		body   bool
		fields fieldMap
		why    Reason
	}{
		{"a plain GET shares", "GET", false, nil, ReasonNone},
		{"so does a HEAD", "HEAD", false, nil, ReasonNone},
		{"RFC 9111 2: a POST does not", "POST", true, nil, ReasonMethod},
		{"a method in lower case is another method", "get", false, nil, ReasonMethod},
		{"RFC 9110 9.3.1: a GET with content", "GET", true, nil, ReasonRequestBody},
		{"RFC 9111 3.5: Authorization", "GET", false, fieldMap{"Authorization": "Basic eDp5"}, ReasonAuthorization},
		{"RFC 9111 5.2.1.5: no-store", "GET", false, fieldMap{"Cache-Control": "No-Store"}, ReasonRequestStore},
		{"a reload does not reach the backend", "GET", false, fieldMap{"Cache-Control": "no-cache", "Pragma": "no-cache"}, ReasonNone},
		{"analytics cookies only", "GET", false, fieldMap{"Cookie": "_ga=GA1.2.3; _ga_AB12=x;_gid=1"}, ReasonNone},
		{"RFC 9111 4.3.2: If-Match is the origin's", "GET", false, fieldMap{"If-Match": `"a"`}, ReasonConditional},
		{"RFC 9111 4.3.2: If-Unmodified-Since is the origin's", "GET", false, fieldMap{"If-Unmodified-Since": "x"}, ReasonConditional},
		{"a session cookie", "GET", false, fieldMap{"Cookie": "sessionid=1"}, ReasonCookie},
		{"a session cookie among analytics", "GET", false, fieldMap{"Cookie": "_ga=1; PHPSESSID=2; _gid=3"}, ReasonCookie},
		{"a name that only begins like one", "GET", false, fieldMap{"Cookie": "_gax=1"}, ReasonCookie},
		{"names have a case", "GET", false, fieldMap{"Cookie": "_GA=1"}, ReasonCookie},
		{"a cookie without a name", "GET", false, fieldMap{"Cookie": "secret"}, ReasonCookie},
		{"empty pairs are nothing", "GET", false, fieldMap{"Cookie": " ; ;"}, ReasonNone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			share, why, _ := p.Request(tt.method, tt.body, tt.fields)
			if share != (tt.why == ReasonNone) || why != tt.why {
				t.Errorf("share %v, why %q; want why %q", share, why, tt.why)
			}
		})
	}
}

func TestZeroCookieRuleTrustsNone(t *testing.T) {
	var r CookieRule
	if !r.Personal("_ga=1") {
		t.Error("the zero rule took a cookie for anonymous")
	}
}

// However a personal cookie is surrounded, it makes the request personal.
func TestPersonalCookieIsAlwaysFound(t *testing.T) {
	r := NewCookieRule([]string{"_ga*", "x"})
	rapid.Check(t, func(t *rapid.T) {
		pairs := rapid.SliceOf(rapid.SampledFrom([]string{"_ga=1", "_gat_x=2", "x=", " ", "x=a=b"})).Draw(t, "pairs")
		at := rapid.IntRange(0, len(pairs)).Draw(t, "at")
		sep := rapid.SampledFrom([]string{";", "; ", " ;\t"}).Draw(t, "sep")
		if r.Personal(strings.Join(pairs, sep)) {
			t.Fatalf("%q is personal", pairs)
		}
		with := append(append(append([]string{}, pairs[:at]...), "sid=1"), pairs[at:]...)
		if !r.Personal(strings.Join(with, sep)) {
			t.Fatalf("%q is not personal", with)
		}
	})
}

func TestRequestAllocatesNothing(t *testing.T) {
	p := &Policy{Cookies: NewCookieRule([]string{"_ga", "_gid*"})}
	f := fieldMap{"Cookie": "_ga=1; _gid_x=2", "Cache-Control": "max-age=0, x=\"a,b\""}
	if n := testing.AllocsPerRun(100, func() { p.Request("GET", false, f) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
