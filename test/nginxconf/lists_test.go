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
	"pagegate/internal/realproc"
	"pagegate/nginx"
)

// expressions returns the extended expressions of a shipped file, less their white space.
func expressions(t *testing.T, file string) (all []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shippedDir, file))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?s)"~\*?\(\?x\)([^"]*)"`).FindAllStringSubmatch(string(text), -1) {
		all = append(all, strings.Join(strings.Fields(m[1]), ""))
	}
	return all
}

// alternatives is the expression for a list of patterns; any stands for what `*` does.
func alternatives(patterns []string, any string) string {
	parts := make([]string, len(patterns))
	for i, p := range patterns {
		parts[i] = strings.NewReplacer(`\*`, any, " ", `\x20`).Replace(regexp.QuoteMeta(p))
	}
	return strings.Join(parts, "|")
}

// The expressions that ship for nginx are made from the lists that the filler and the gateway have built in.
func TestExpressionsAreTheLists(t *testing.T) {
	var sessions, devices []string
	for _, set := range nginx.SessionCookies() {
		sessions = append(sessions, `(?:^|;)[\x20\x09]*(?:`+alternatives(set.Patterns, `[^=;]*`)+`)[\x20\x09]*(?:[=;]|$)`)
	}
	for _, class := range nginx.DeviceClasses() {
		devices = append(devices, alternatives(class.Patterns, `.*`))
	}
	for file, want := range map[string][]string{"pagegate-sessions.conf": sessions, "pagegate-devices.conf": devices} {
		if got := expressions(t, file); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s:\n got %s\nwant %s", file, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
	}
	arguments := expressions(t, "pagegate-arguments.conf")
	if want := `(?<pagegate_tracking>(?:` + alternatives(nginx.TrackingArguments(), `[^=&]*`) + `)`; len(arguments) != 1 || !strings.Contains(arguments[0], want) {
		t.Errorf("pagegate-arguments.conf:\n got %s\nwant %s in it", arguments, want)
	}
}

// nginx and the filler find the same requests personal, for each set of session cookies.
func TestSessionsAgainstTheRule(t *testing.T) {
	addr := realproc.FreeAddr(t)
	var show strings.Builder
	for _, set := range nginx.SessionCookies() {
		fmt.Fprintf(&show, "$pagegate_%s", set.Name)
	}
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join(shippedDir, "pagegate-sessions.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sessions.conf"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	realproc.Nginx(t, realproc.NginxHTTP(t.TempDir(), fmt.Sprintf(
		"include %s/sessions.conf; keepalive_requests 10000000; server { listen %s; location / { return 200 \"%s\"; } }", dir, addr, &show)), addr)
	c := dial(t, addr)
	var patterns []string
	var rules []policy.CookieRule
	for _, set := range nginx.SessionCookies() {
		patterns = append(patterns, set.Patterns...)
		rules = append(rules, policy.SessionCookies(set.Patterns))
	}
	check := func(t interface{ Errorf(string, ...any) }, header string) {
		want := ""
		for i := range rules {
			want += map[bool]string{true: "1", false: "0"}[rules[i].Personal(header)]
		}
		if a := c.ask(get("/", "Cookie: "+header)); a.Body != want {
			t.Errorf("%q: nginx says %s, the rules %s", header, a.Body, want)
		}
	}
	for _, header := range []string{
		"PHPSESSID=1", "PHPSESSID", "PHPSESSID =1", "; PHPSESSID=1", "a=1;PHPSESSID=1", "a=PHPSESSID", "a=1, PHPSESSID=1", "XPHPSESSID=1", "PHPSESSIDX=1",
		"phpsessid=1", "wordpress_logged_in_a=b", "x_wordpress_a=b", "laravel_session=1", "myshop-session=1", "_myshop_session=1", "_session=1",
		strings.Repeat("a_=1; ", 1000) + "sessionid=1", strings.Repeat("_session", 800),
	} {
		check(t, header)
	}
	headers := cookieHeaders(patterns)
	rapid.Check(t, func(t *rapid.T) { check(t, headers.Draw(t, "header")) })
}
