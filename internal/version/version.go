// Package version says which build of pagegate a program is. `make release` and `make package` write it into the program
// (-ldflags -X); another build knows what the Go tool recorded, which is the commit if it was built in a git tree.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Set by the linker.
var (
	number string // 1.2.3
	commit string // the short hash
	date   string // of the commit, RFC 3339 in UTC
)

// String is the build in one line: number, commit, the commit's date, Go version and architecture. What is not known is
// left out; a build that nobody gave a number is "devel".
func String() string {
	n, c, d := number, commit, date
	if info, ok := debug.ReadBuildInfo(); ok && n == "" {
		c, d = recorded(info)
	}
	if n == "" {
		n = "devel"
	}
	text := n
	if c != "" {
		text += " commit " + c
	}
	if d != "" {
		text += " of " + d
	}
	return fmt.Sprintf("%s, %s %s/%s", text, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// recorded finds the commit and its date among what the Go tool recorded.
func recorded(info *debug.BuildInfo) (commit, date string) {
	changed := ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			commit = s.Value[:min(len(s.Value), 12)]
		case "vcs.time":
			date = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				changed = "+changes"
			}
		}
	}
	if commit != "" {
		commit += changed
	}
	return commit, date
}
