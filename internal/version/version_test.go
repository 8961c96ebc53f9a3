package version

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestString(t *testing.T) {
	defer func(n, c, d string) { number, commit, date = n, c, d }(number, commit, date)
	number, commit, date = "1.2.3", "abc", "2026-01-02T03:04:05Z"
	platform := ", " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
	if got, want := String(), "1.2.3 commit abc of 2026-01-02T03:04:05Z"+platform; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	number, commit, date = "", "", ""
	if got, want := String(), "devel"+platform; got != want { // a test's program has no commit recorded
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRecorded(t *testing.T) {
	info := &debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789abcdef"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	if commit, date := recorded(info); commit != "0123456789ab+changes" || date != "2026-01-02T03:04:05Z" {
		t.Errorf("got %q, %q", commit, date)
	}
}
