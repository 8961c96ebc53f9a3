package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// fact is something about the machine.
type fact struct{ Name, Value string }

// versionArgs make each program tell its version.
var versionArgs = [][]string{
	{"nginx", "-v"}, {"memcached", "-V"}, {"haproxy", "-v"}, {"varnishd", "-V"}, {"wrk", "-v"},
}

// describeMachine says what the figures were found on.
func describeMachine() ([]fact, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, err
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return nil, err
	}
	facts := []fact{
		{"CPU", fmt.Sprintf("%s, %d cores to use", valueOf("/proc/cpuinfo", "model name", ":"), runtime.NumCPU())},
		{"memory", fmt.Sprintf("%.0f GiB", float64(info.Totalram)*float64(info.Unit)/(1<<30))},
		{"system", fmt.Sprintf("%s, Linux %s", strings.Trim(valueOf("/etc/os-release", "PRETTY_NAME", "="), `"`), unix.ByteSliceToString(u.Release[:]))},
		{"Go", strings.TrimPrefix(runtime.Version(), "go")},
	}
	for _, args := range versionArgs {
		path, err := find(args[0])
		if err != nil {
			return nil, err
		}
		out, _ := exec.Command(path, args[1:]...).CombinedOutput() // wrk tells its version with its usage and an error
		line, _, _ := strings.Cut(string(out), "\n")
		facts = append(facts, fact{args[0], firstVersion(line)})
	}
	return facts, nil
}

// firstVersion returns the first word with a digit of what a program says about itself.
func firstVersion(line string) string {
	for _, word := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" ()/", r) }) {
		if strings.ContainsAny(word, "0123456789") {
			return strings.TrimPrefix(word, "varnish-")
		}
	}
	return line
}

// valueOf returns the value of a name in a file of lines, "?" if it is not there.
func valueOf(file, name, separator string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, separator); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "?"
}
