package origin

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

func TestFileBackend(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, text := range map[string]string{"a b.txt": "a file", "page.html.tmpl": "{{.Now.Year}} {{.Host}}",
		"bad.html.tmpl": "\n{{.Nope}}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	from := open(t, "file://"+dir, Options{Now: func() time.Time { return now }, Log: zerolog.New(&log)})
	for target, want := range map[string]struct {
		status int
		body   string
	}{"/a%20b.txt": {200, "a file"}, "//a%20b.txt?x": {200, "a file"}, "/page.html": {200, "2026 site.example"},
		"/bad.html": {500, ""}, "/no": {404, ""}, "/..": {400, ""}} {
		resp, body := mustFetch(t, from, get(target))
		if resp.Status != want.status || want.body != "" && body != want.body || resp.ContentLength != int64(len(body)) {
			t.Errorf("%s: %d %q", target, resp.Status, body)
		}
	}
	if !strings.Contains(log.String(), "bad.html.tmpl:2") {
		t.Errorf("log: %s", &log)
	}
	if err := from.Close(); err != nil {
		t.Error(err)
	}
}

func TestDemoBackend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct{ set, want time.Duration }{{0, 200 * time.Millisecond}, {time.Minute / 4, time.Minute / 4}} {
			from := open(t, "demo:", Options{DemoDelay: c.set})
			start := time.Now()
			resp, body := mustFetch(t, from, get("/shop/1"))
			if took := time.Since(start); took != c.want || resp.Status != 200 || !strings.Contains(body, "Sencha") {
				t.Errorf("%v: %d after %v", c.set, resp.Status, took)
			}
		}
	})
}
