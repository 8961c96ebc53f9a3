// Package test holds the tests of the project as a whole.
package test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport says which of the project's packages a package may import: imports run downwards only, so that no room knows
// the house it stands in. A package that is not named here is new: give it a place.
var mayImport = map[string][]string{
	"gateway":                          {"gateway/program", "internal/flow"},
	"gateway/program":                  {"gateway/edge", "internal/config", "internal/door", "internal/flow", "internal/loop", "internal/pagecache", "internal/pagecache/embedded", "internal/policy"},
	"gateway/edge":                     {"internal/door", "internal/loop", "internal/metrics", "internal/page", "internal/pagecache", "internal/policy"},
	"filler":                           {"filler/program", "internal/flow"},
	"filler/program":                   {"filler/handler", "internal/config", "internal/door", "internal/flow", "internal/pagecache"},
	"internal/doors":                   {"filler/program", "gateway/program", "internal/flow"},
	"filler/handler":                   {"internal/door"},
	"cacheserver":                      {"cacheserver/extstore", "cacheserver/server", "cacheserver/store", "internal/service", "internal/version"},
	"cacheserver/server":               {"cacheserver/protocol", "cacheserver/store", "internal/sockets"},
	"cacheserver/protocol":             {},
	"cacheserver/store":                {"cacheserver/extstore"},
	"cacheserver/extstore":             {},
	"internal/flow":                    {"internal/admin", "internal/config", "internal/door", "internal/fill", "internal/listen", "internal/loop", "internal/metrics", "internal/origin", "internal/origin/demo", "internal/page", "internal/pagecache", "internal/pagecache/remote", "internal/pagekey", "internal/policy", "internal/purge", "internal/service", "internal/version", "internal/warm", "nginx"},
	"internal/door":                    {"internal/fill", "internal/metrics", "internal/origin", "internal/page", "internal/pagekey", "internal/policy", "internal/purge"},
	"internal/door/doortest":           {},
	"internal/fill":                    {"internal/metrics", "internal/origin", "internal/page", "internal/pagecache", "internal/policy", "internal/purge"},
	"internal/idle":                    {},
	"internal/origin":                  {"internal/idle", "internal/origin/demo", "internal/origin/files"},
	"internal/origin/files":            {},
	"internal/origin/demo":             {},
	"internal/sockets":                 {"internal/uring"},
	"internal/uring":                   {},
	"internal/loop":                    {"internal/sockets", "internal/page"},
	"internal/glob":                    {},
	"internal/purge":                   {"internal/glob", "internal/page"},
	"internal/pagecache":               {"internal/page", "internal/purge"},
	"internal/pagecache/embedded":      {"cacheserver/store", "internal/page", "internal/pagecache", "internal/purge"},
	"internal/pagecache/remote":        {"internal/idle", "internal/page", "internal/pagecache", "internal/pagekey", "internal/purge", "internal/ring"},
	"internal/pagecache/pagecachetest": {"internal/page", "internal/pagecache", "internal/purge"},
	"internal/policy":                  {"internal/glob", "internal/page", "internal/pagekey"},
	"internal/config":                  {"internal/listen", "internal/origin", "internal/page", "internal/pagekey", "internal/ring", "nginx"},
	"internal/metrics":                 {"internal/policy"},
	"internal/admin":                   {"internal/metrics", "internal/purge"},
	"internal/page":                    {},
	"internal/pagekey":                 {"internal/glob"},
	"internal/pagekey/pagekeytest":     {"internal/pagekey", "internal/realproc"},
	"internal/ring":                    {},
	"internal/listen":                  {},
	"internal/realproc":                {},
	"internal/service":                 {},
	"internal/version":                 {},
	"internal/warm":                    {},
	"nginx":                            {},
}

func TestImportsRunDownwards(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "pagegate/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		name := strings.TrimPrefix(words[0], "pagegate/")
		if name == "test" || strings.HasPrefix(name, "test/") {
			continue
		}
		seen[name] = true
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("%s has no place among the imports", name)
		}
		for _, imported := range words[1:] {
			if dep, ours := strings.CutPrefix(imported, "pagegate/"); ours && !slices.Contains(allowed, dep) {
				t.Errorf("%s imports %s", name, dep)
			}
		}
	}
	for name := range mayImport {
		if !seen[name] {
			t.Errorf("%s is named here and does not exist", name)
		}
	}
}
