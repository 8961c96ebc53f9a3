package pagekey

import "bytes"

// cutAuthority finds scheme, host and port of the absolute form (RFC 9112, section 3.2.2) where nginx finds them. Any
// scheme does, its value is not used, and a port may be empty or too large; user information is refused.
func (t *parts) cutAuthority() error {
	raw := t.raw
	if !isAlpha(raw[0]) {
		return errForm
	}
	i := 1
	for i < len(raw) && (isAlnum(raw[i]) || raw[i] == '+' || raw[i] == '-' || raw[i] == '.') {
		i++
	}
	if !bytes.HasPrefix(raw[i:], schemeEnd) {
		return errForm
	}
	t.authority = i + len(schemeEnd)
	t.hostEnd = t.authority + hostLen(raw[t.authority:])
	t.path = t.hostEnd
	if t.path < len(raw) && raw[t.path] == ':' {
		t.path++
		for t.path < len(raw) && isDigit(raw[t.path]) {
			t.path++
		}
	}
	if t.path < len(raw) && raw[t.path] != '/' && raw[t.path] != '?' {
		return errAuthority
	}
	if _, ok := cutHost(raw[t.authority:t.hostEnd]); !ok {
		return errHost
	}
	return nil
}

var schemeEnd = []byte("://")

// hostLen returns how many bytes at the start of b can be the host of an absolute form: letters, digits, dots and
// dashes, or an address in brackets. It returns 0 for an unclosed or malformed bracket.
func hostLen(b []byte) int {
	if len(b) > 0 && b[0] == '[' {
		for i := 1; i < len(b); i++ {
			if b[i] == ']' {
				return i + 1
			}
			if !isAlnum(b[i]) && bytes.IndexByte(literalMarks, b[i]) < 0 {
				return 0
			}
		}
		return 0
	}
	i := 0
	for i < len(b) && (isAlnum(b[i]) || b[i] == '.' || b[i] == '-') {
		i++
	}
	return i
}

// literalMarks are the bytes besides letters and digits that may stand between the brackets of an IP literal
// (unreserved, sub-delims and the colon of RFC 3986, section 3.2.2).
var literalMarks = []byte(":-._~!$&'()*+,;=")

// cutHost returns the part of a Host field, or of the absolute form's host, that becomes $host once it is in lower
// case: without the port and without one trailing dot. It returns false for a host that nginx refuses: an empty one,
// one with two dots in a row (the port's included), a slash, a space or a control byte. Anything else passes, an
// unclosed bracket or a byte above 0x7f too.
func cutHost(host []byte) ([]byte, bool) {
	end := len(host)
	lastDot := -2
	portSeen := false
	literal := len(host) > 0 && host[0] == '['
	for i, c := range host {
		switch {
		case c == '.':
			if lastDot == i-1 {
				return nil, false
			}
			lastDot = i
		case c == ':' && !literal && !portSeen:
			end = i
			portSeen = true
		case c == ']' && literal:
			end = i + 1
			literal = false
			portSeen = true
		case c == '/' || c <= 0x20 || c == 0x7f:
			return nil, false
		}
	}
	if end > 0 && lastDot == end-1 {
		end--
	}
	return host[:end], end > 0
}

// appendLower appends s with A to Z in lower case.
func appendLower(dst, s []byte) []byte {
	for _, c := range s {
		dst = append(dst, lower(c))
	}
	return dst
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlnum(c byte) bool { return isAlpha(c) || isDigit(c) }
