package nginx

import (
	"slices"
	"testing"
)

func TestShippedFilesAreRead(t *testing.T) {
	if got := DefaultType(); got != "text/html; charset=utf-8" {
		t.Errorf("default type %q", got)
	}
	types := Types()
	for ext, want := range map[string]string{
		"css": "text/css", "js": "text/javascript", "mjs": "text/javascript", "txt": "text/plain; charset=utf-8",
		"json": "application/json", "html": "",
	} {
		if types[ext] != want {
			t.Errorf("%s: %q, want %q", ext, types[ext], want)
		}
	}
	cookies := AnalyticsCookies()
	if !slices.Contains(cookies, "_ga") || !slices.Contains(cookies, "_ga_*") || slices.Contains(cookies, "") {
		t.Errorf("cookies: %q", cookies)
	}
	if args := TrackingArguments(); !slices.Contains(args, "utm_*") || !slices.Contains(args, "gclid") {
		t.Errorf("arguments: %q", args)
	}
	if d := DeviceClasses(); len(d) != 2 || d[0].Name != "mobile" || d[1].Name != "tablet" || !slices.Contains(d[0].Patterns, "Windows Phone") {
		t.Errorf("devices: %q", d)
	}
	if s := SessionCookies(); len(s) != 5 || s[0].Name != "wordpress" || !slices.Contains(s[0].Patterns, "wordpress_*") {
		t.Errorf("sessions: %q", s)
	}
}
