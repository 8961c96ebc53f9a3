package origin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// targetURL makes the URL for which net/http writes exactly target into the request line. URL.Opaque is written as it
// stands, so it takes all of the target, query included; but an Opaque that begins with "//" is taken for an
// authority, and the request line would become "http://..."; such a target goes through RawPath and RawQuery, which
// net/http writes as they stand if they are valid escapes of Path.
func targetURL(scheme, host, method, target string) (*url.URL, error) {
	if err := checkTarget(method, target); err != nil {
		return nil, err
	}
	u := &url.URL{Scheme: scheme, Host: host}
	if !strings.HasPrefix(target, "//") {
		u.Opaque = target
		return u, nil
	}
	raw, query, hasQuery := strings.Cut(target, "?")
	if strings.Contains(raw, "#") {
		return nil, fmt.Errorf("the target %q holds a fragment", target)
	}
	raw = escapeInvalid(raw)
	path, err := url.PathUnescape(raw)
	if err != nil {
		return nil, fmt.Errorf("the target %q: %w", target, err)
	}
	u.Path, u.RawPath = path, raw
	u.RawQuery, u.ForceQuery = query, hasQuery
	return u, nil
}

// checkTarget refuses what would not be read as one target in origin form: an absolute one could name another site than
// Host does, and a space or a line break would end it early.
func checkTarget(method, target string) error {
	if !strings.HasPrefix(target, "/") && !(target == "*" && method == http.MethodOptions) {
		return fmt.Errorf("the target %q does not begin with a slash", target)
	}
	for i := range len(target) {
		if c := target[i]; c <= ' ' || c == 0x7f {
			return fmt.Errorf("the target %q holds a space or a control byte", target)
		}
	}
	return nil
}

// escapeInvalid percent-encodes the bytes of a path that no URI may hold (RFC 3986, section 2): there is only one thing
// they can mean.
func escapeInvalid(path string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c >= 0x80 || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// checkFields refuses what net/http would refuse, or worse, send otherwise: it empties an invalid Host. CONNECT asks for
// a tunnel and not for a page.
func checkFields(r *Request) error {
	if !isToken(r.Method) || r.Method == http.MethodConnect {
		return fmt.Errorf("the method %q cannot be sent", r.Method)
	}
	if !validHost(r.Host) {
		return fmt.Errorf("the Host %q is not valid", r.Host)
	}
	for name, values := range r.Header {
		if !isToken(name) {
			return fmt.Errorf("the field name %q is no token", name)
		}
		for _, v := range values {
			if !validValue(v) {
				// The value may be a secret.
				return errors.New("the value of the field " + name + " holds a control byte")
			}
		}
	}
	return nil
}

// isToken implements RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		if !letter && !digit && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// validHost tells whether a Host may hold these bytes (RFC 3986, section 3.2.2); which host it is, is the backend's
// affair.
func validHost(host string) bool {
	for i := range len(host) {
		c := host[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		digit := '0' <= c && c <= '9'
		if !letter && !digit && strings.IndexByte("-._~%!$&'()*+,;=:[]", c) < 0 {
			return false
		}
	}
	return true
}

// validValue implements RFC 9110, section 5.5.
func validValue(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
