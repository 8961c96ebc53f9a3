package pagekey_test

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// The generators favour what path rules are about. A token is a few bytes; a target is a run of tokens.

func genEscape() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		format := rapid.SampledFrom([]string{"%%%02x", "%%%02X"}).Draw(t, "case")
		return fmt.Sprintf(format, rapid.IntRange(0, 255).Draw(t, "byte"))
	})
}

func genByte(low, high int) *rapid.Generator[string] {
	return rapid.Map(rapid.IntRange(low, high), func(b int) string { return string([]byte{byte(b)}) })
}

// often are tokens with a meaning; the repeats make them likelier.
var often = []string{
	"/", "/", "/", "/", "//", ".", "..", "/.", "/..", "/./", "/../", "a", "b", "a.b", "index.html", "+", "-", "~",
	"%2e", "%2E", "%2f", "%2F", "%2F%2F", "%25", "%23", "%3f", "%3F", "%2b", "%20", "%41", "%C3%A9", "%FF", "%7f",
	"?", "?", "&", "=", "#", "a=1", "A=2&", "b_c=", "%26",
}

// rare are tokens that usually make a target bad.
var rare = []string{"%", "%2", "%zz", "%g0", "%0g", "%00", "%0", "\x00", "\t", "\x01", "\x1f", "\x7f", "%%", "% 1"}

func genToken() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		switch n := rapid.IntRange(0, 39).Draw(t, "kind"); {
		case n < 28:
			return rapid.SampledFrom(often).Draw(t, "often")
		case n < 32:
			return genEscape().Draw(t, "escape")
		case n < 35:
			return genByte(0x80, 0xff).Draw(t, "high")
		case n < 39:
			return genByte(0x21, 0x7e).Draw(t, "ascii")
		default:
			return rapid.SampledFrom(rare).Draw(t, "rare")
		}
	})
}

// genPath is an origin-form target.
func genPath() *rapid.Generator[string] {
	return rapid.Map(rapid.SliceOfN(genToken(), 0, 12), func(tokens []string) string {
		return "/" + strings.Join(tokens, "")
	})
}

var hostTokens = []string{
	"a", "B", "example", "Example.COM", ".", "..", "-", "_", ":", ":80", ":", "[", "]", "[::1]", "[fe80::1%25eth0]", "1",
	"127.0.0.1", "@", "%41", "\xc3\xa9", "~", "!", "[v1.x:~]", "/", "?", "#", "\\",
}

func genHost() *rapid.Generator[string] {
	odd := rapid.Map(rapid.SliceOfN(rapid.SampledFrom(hostTokens), 0, 4), func(tokens []string) string {
		return strings.Join(tokens, "")
	})
	usual := rapid.SampledFrom([]string{"h", "Example.com:8080", "example.com.", "[::1]:80", "a-b.c"})
	return rapid.OneOf(usual, odd, odd)
}

// genTarget is a target of any form.
func genTarget() *rapid.Generator[string] {
	scheme := rapid.SampledFrom([]string{
		"http://", "http://", "https://", "HTTP://", "x://", "h2+a-b.c://", "ht_tp://", "1http://", "http:/", "http:", "://",
	})
	return rapid.Custom(func(t *rapid.T) string {
		switch n := rapid.IntRange(0, 19).Draw(t, "form"); {
		case n < 14:
			return genPath().Draw(t, "path")
		case n < 19:
			rest := strings.Join(rapid.SliceOfN(genToken(), 0, 6).Draw(t, "rest"), "")
			slash := rapid.SampledFrom([]string{"/", "/", "", "?"}).Draw(t, "slash")
			return scheme.Draw(t, "scheme") + genHost().Draw(t, "host") + slash + rest
		default:
			return strings.Join(rapid.SliceOfN(genToken(), 0, 4).Draw(t, "tokens"), "")
		}
	})
}

func genTargets(n int) *rapid.Generator[[]string] { return rapid.SliceOfN(genTarget(), n, n) }

// genValue is the value of a field: anything but the bytes that end a line. It neither starts nor ends with a tab:
// whether that belongs to the value is for the parser of the request to say (nginx 1.22 says yes, RFC 9110 no), and
// values come to this package without white space around them.
func genValue(tokens ...string) *rapid.Generator[string] {
	odd := genByte(1, 255).Filter(func(b string) bool { return b != "\r" && b != "\n" })
	token := rapid.OneOf(rapid.SampledFrom(tokens), rapid.SampledFrom(tokens), rapid.SampledFrom(tokens), odd)
	return rapid.Map(rapid.SliceOfN(token, 0, 8), func(tokens []string) string {
		return strings.Trim(strings.Join(tokens, ""), " \t")
	})
}

// genFields is a run of field lines, often of the same name. It leaves out fields that nginx refuses to see twice.
func genFields() *rapid.Generator[[]string] {
	cookies := genValue("a", "a;", "A,", "=", "=", ";", "; ", " ", "\t", "ab", "b=2", "a=1", "a=3", "B", "\"", "a=1; b=2")
	values := genValue("en", "de", ", ", ";", " ", "\t", "%", "x")
	name := rapid.SampledFrom([]string{
		"X-A", "x-a", "X_A", "X-B", "X-AB", "Accept-Language", "User-Agent", "X-Forwarded-For", "Via", "Referer", "X.A",
	})
	line := rapid.Custom(func(t *rapid.T) string {
		space := rapid.SampledFrom([]string{"", " ", "   "}).Draw(t, "space")
		if rapid.Bool().Draw(t, "is a cookie") {
			return rapid.SampledFrom([]string{"Cookie", "cookie"}).Draw(t, "name") + ":" + space + cookies.Draw(t, "cookie")
		}
		return name.Draw(t, "name") + ":" + space + values.Draw(t, "value") + space
	})
	return rapid.SliceOfN(line, 0, 5)
}
