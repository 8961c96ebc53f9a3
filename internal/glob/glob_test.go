package glob

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A pattern is the expression that has `.*` in place of each star.
func TestMatchIsTheExpression(t *testing.T) {
	pattern, text := rapid.StringMatching(`[ab*/]{0,8}`), rapid.StringMatching(`[ab/]{0,12}`)
	rapid.Check(t, func(t *rapid.T) {
		p, s := pattern.Draw(t, "pattern"), text.Draw(t, "text")
		expression := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(p), `\*`, ".*") + "$")
		if got, want := Match(p, s), expression.MatchString(s); got != want {
			t.Fatalf("%q matches %q: %v, want %v", p, s, got, want)
		}
	})
}

func TestAny(t *testing.T) {
	if Any(nil, "") || !Any([]string{"x", "a*"}, "ab") || Any([]string{"x", "a*"}, "ba") {
		t.Error("Any")
	}
}
