// Package glob matches names against the one kind of pattern that pagegate's configuration, command line and purges know:
// text in which each `*` stands for any bytes, none included.
package glob

import "strings"

// Match tells whether a pattern matches the whole of s. It allocates nothing; its time is linear in the length of s for
// each part of the pattern.
func Match(pattern, s string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == s
	}
	s, ok := strings.CutPrefix(s, head)
	if !ok {
		return false
	}
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(s, part)
		}
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s, rest = s[i+len(part):], next
	}
}

// Any tells whether one of the patterns matches the whole of s.
func Any(patterns []string, s string) bool {
	for _, p := range patterns {
		if Match(p, s) {
			return true
		}
	}
	return false
}
