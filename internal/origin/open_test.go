package origin

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOpenRefuses(t *testing.T) {
	for url, want := range map[string]string{
		"":                         "want demo:",
		"127.0.0.1:9000":           "want demo:",
		"localhost:9000":           "want demo:",
		"ftp://h":                  "want demo:",
		"http:///path":             "no host",
		"http://:80":               "no host",
		"http://h/path":            "a backend has no path",
		"http://h?x":               "neither query nor fragment",
		"http://h/#x":              "neither query nor fragment",
		"http://user:secret@h":     "no user or password",
		"http://h:port":            "no URL",
		"https:h":                  "no host",
		"http+unix://path.sock":    "three slashes",
		"http+unix:path.sock":      "three slashes",
		"http+unix:///":            "three slashes",
		"file://dir":               "three slashes",
		"file:dir":                 "three slashes",
		"file:///not/there":        "no such file",
		"demo:shop":                "nothing follows",
		"demo://h":                 "nothing follows",
		"http://[::1":              "no URL",
		"file://" + thisFile(t):    "not a directory",
		"http://h/\x00":            "no URL",
		"http+unix://h/path.sock":  "three slashes",
		"http+unix:///path.sock?x": "neither query nor fragment",
	} {
		from, err := Open(url, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %v, want %q", url, err, want)
		}
		if from != nil {
			t.Errorf("%q: an Origin beside an error", url)
		}
	}
	if _, err := Open("demo:", Options{IdleTimeout: -time.Second}); err == nil {
		t.Error("a negative bound was accepted")
	}
}

func thisFile(t *testing.T) string {
	t.Helper()
	name, err := filepath.Abs("open_test.go")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestOpenAccepts(t *testing.T) {
	for _, url := range []string{"http://h", "http://h/", "http://h:80", "http://[::1]:8080", "https://h", "HTTP://H",
		"http+unix:///path%20a.sock",
		"file://" + t.TempDir(), "demo:"} {
		open(t, url, Options{})
	}
}
