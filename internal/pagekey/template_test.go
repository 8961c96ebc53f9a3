package pagekey_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pagegate/internal/pagekey"
)

func TestTemplates(t *testing.T) {
	fields := fieldLines{
		"Cookie: a=1; B=two ,c=3", "X-A: one", "x-a: two", "X_A: three", "Cookie: d=4", "X-Forwarded-For: p",
		"X-Forwarded-For: q", "X-Empty:",
	}
	request := &pagekey.Request{
		Target: []byte("/p//%41?a=1&B=%20&b=3&c"), Host: []byte("Example.Com.:8080"), Method: []byte("HEAD"), HTTPS: true,
		Fields: fields,
	}
	for text, want := range map[string]string{
		"$uri?$args":                "/p/A?a=1&B=%20&b=3&c",
		"$document_uri$is_args":     "/p/A?",
		"$query_string":             "a=1&B=%20&b=3&c",
		"$request_uri":              "/p//%41?a=1&B=%20&b=3&c",
		"$scheme://$host":           "https://example.com",
		"$http_host":                "Example.Com.:8080",
		"$request_method":           "HEAD",
		"${arg_A}$arg_b|$arg_c|":    "1%20||",
		"$cookie_a.$cookie_b":       "1.two ,c=3",
		"-$cookie_c$cookie_d":       "-34",
		"$http_x_a":                 "one",
		"$http_x_forwarded_for":     "p, q",
		"$http_cookie":              "a=1; B=two ,c=3; d=4",
		"$HTTP_X_A${Host}_${URI}":   "oneexample.com_/p/A",
		"100% plain #?":             "100% plain #?",
		"[$http_none$http_x_empty]": "[]",
	} {
		template, err := pagekey.Parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if template.String() != text {
			t.Errorf("%s: prints as %s", text, template)
		}
		if got, err := template.Append(nil, request); err != nil || string(got) != want {
			t.Errorf("%s: %q (%v), want %q", text, got, err, want)
		}
	}
}

// TestJoinFields holds the rule of nginx since 1.23, which the installed nginx may be too old to be asked about.
func TestJoinFields(t *testing.T) {
	template, err := pagekey.Parse("[$http_x_a][$http_cookie][$http_none][$http_y]", pagekey.JoinFields(true))
	if err != nil {
		t.Fatal(err)
	}
	got, err := template.Append(nil, &pagekey.Request{
		Target: []byte("/"),
		Fields: fieldLines{"X-A: 1", "Cookie: a", "X-A:", "Y: 4", "X-A: 3", "Cookie: b"},
	})
	if want := "[1, , 3][a; b][][4]"; err != nil || string(got) != want {
		t.Errorf("%q (%v), want %q", got, err, want)
	}
}

func TestTemplateRefusals(t *testing.T) {
	for _, c := range []struct {
		text, target, host string
		want               error
	}{
		{"x$host", "/", "a..b", pagekey.ErrBadTarget},
		{"$uri", "http://h/", "a/b", pagekey.ErrBadTarget},
		{"$uri", "/", "", nil},
		{"$host", "/", "", pagekey.ErrNoKey},
		{"$host", "http://h", "", nil},
		{"x", "/..", "h", pagekey.ErrBadTarget},
		{"x$uri", "/%zz", "h", pagekey.ErrBadTarget},
		{"$request_uri", "*", "h", pagekey.ErrBadTarget},
		{"$cookie_a$http_a", "/", "h", pagekey.ErrNoKey},
		{"$args", "/", "h", pagekey.ErrNoKey},
	} {
		template, err := pagekey.Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		key, err := template.Append([]byte("kept "), &pagekey.Request{Target: []byte(c.target), Host: []byte(c.host)})
		if !errors.Is(err, c.want) || !strings.HasPrefix(string(key), "kept ") || err != nil && len(key) != len("kept ") {
			t.Errorf("%s for %s on %q: %q and %v, want %v", c.text, c.target, c.host, key, err, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":             `key template: it is empty`,
		"$":            `key template "$": no variable name after "$"`,
		"a$?b":         `key template "a$?b": no variable name after "$"`,
		"${}":          `key template "${}": no variable name after "${"`,
		"${uri":        `key template "${uri": no closing brace after ${uri`,
		"$uri$remote":  `key template "$uri$remote": unknown variable $remote`,
		"$Remote_Addr": `key template "$Remote_Addr": unknown variable $Remote_Addr`,
		"$1":           `key template "$1": unknown variable $1`,
		"$arg_":        `key template "$arg_": unknown variable $arg_`,
		"$uris":        `key template "$uris": unknown variable $uris`,
	} {
		if template, err := pagekey.Parse(text); err == nil || err.Error() != want || template != nil {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestFieldNames(t *testing.T) {
	template, err := pagekey.Parse("$host$uri?$args$http_x_b$cookie_z$http_cookie$http_accept_language$http_x_b$http_host")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := template.FieldNames(), []string{"Accept-Language", "Cookie", "X-B"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
