// Package nginx is the part of the shipped nginx configuration that the filler and the gateway must agree with. They read
// the very files that nginx includes, so there is one list of each kind.
package nginx

import (
	_ "embed"
	"strings"
)

//go:embed analytics-cookies.txt
var analyticsCookies string

//go:embed tracking-arguments.txt
var trackingArguments string

//go:embed device-classes.txt
var deviceClasses string

//go:embed session-cookies.txt
var sessionCookies string

//go:embed types.conf
var types string

// AnalyticsCookies returns the patterns of the cookies that do not make a request personal: a name, or the start of one
// followed by `*`.
func AnalyticsCookies() []string { return entries(analyticsCookies) }

// TrackingArguments returns the patterns of the query arguments that no page depends on; `*` stands for any characters.
func TrackingArguments() []string { return entries(trackingArguments) }

// Class is a named list of patterns, in which `*` stands for any characters.
type Class struct {
	Name     string
	Patterns []string
}

// DeviceClasses returns the classes of devices in the order in which they are tried.
func DeviceClasses() []Class { return classes(deviceClasses) }

// SessionCookies returns the sets of cookies by which common applications know their visitors.
func SessionCookies() []Class { return classes(sessionCookies) }

// entries returns the lines of a list, less empty ones and comments.
func entries(list string) (lines []string) {
	for line := range strings.Lines(list) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

// classes reads a list each of whose lines begins with the name of its class.
func classes(list string) (all []Class) {
	for _, line := range entries(list) {
		name, pattern, _ := strings.Cut(line, " ")
		if n := len(all); n == 0 || all[n-1].Name != name {
			all = append(all, Class{Name: name})
		}
		last := &all[len(all)-1]
		last.Patterns = append(last.Patterns, strings.TrimSpace(pattern))
	}
	return all
}

// Types returns the content type that nginx gives to each extension, from the `types` block.
func Types() map[string]string {
	byExtension := make(map[string]string)
	inside := false
	for line := range strings.Lines(types) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#':
		case line == "types {":
			inside = true
		case line == "}":
			inside = false
		case inside:
			contentType, extensions := cutType(line)
			for _, ext := range strings.Fields(strings.TrimSuffix(extensions, ";")) {
				byExtension[ext] = contentType
			}
		}
	}
	return byExtension
}

// DefaultType returns the content type of a page whose extension has none, from the `default_type` line.
func DefaultType() string {
	for line := range strings.Lines(types) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "default_type "); ok {
			contentType, _ := cutType(rest)
			return strings.TrimSuffix(contentType, ";")
		}
	}
	return "text/plain" // nginx's own
}

// cutType cuts a content type, in quotes if it has parameters, off the start of a line.
func cutType(line string) (contentType, rest string) {
	if quoted, ok := strings.CutPrefix(line, `"`); ok {
		contentType, rest, _ = strings.Cut(quoted, `"`)
		return contentType, rest
	}
	contentType, rest, _ = strings.Cut(line, " ")
	return contentType, rest
}
