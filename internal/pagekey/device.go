package pagekey

import (
	"bytes"
	"strings"
)

// Device is a class of devices that have pages of their own, and the names by which their user agents are known.
type Device struct {
	Name string
	// Patterns are looked for anywhere in the User-Agent field, without regard to case; `*` stands for any bytes.
	Patterns []string
}

// DefaultDevice is $pagegate_device where no class's patterns match.
const DefaultDevice = "desktop"

// Devices gives $pagegate_device its meaning: the first class one of whose patterns the User-Agent field has, or
// [DefaultDevice].
func Devices(classes []Device) Option {
	lowered := make([]Device, len(classes))
	for i, c := range classes {
		lowered[i].Name = c.Name
		for _, p := range c.Patterns {
			lowered[i].Patterns = append(lowered[i].Patterns, strings.ToLower(p))
		}
	}
	return func(t *Template) { t.devices = lowered }
}

// Device returns the request's $pagegate_device, "" if the template does not depend on it.
func (t *Template) Device(r *Request) string {
	if !t.hasDevice {
		return ""
	}
	return t.device(nil, r)
}

// device returns the class of a request; it uses dst as room.
func (t *Template) device(dst []byte, r *Request) string {
	base := len(dst)
	dst = t.appendHTTP(dst, r, "User-Agent")
	agent := dst[base:]
	for i, c := range agent {
		agent[i] = lower(c)
	}
	for i := range t.devices {
		for _, p := range t.devices[i].Patterns {
			if containsParts(agent, p) {
				return t.devices[i].Name
			}
		}
	}
	return DefaultDevice
}

// containsParts tells whether s has the parts of a pattern, which are separated by stars, one after another.
func containsParts(s []byte, pattern string) bool {
	for {
		part, rest, more := strings.Cut(pattern, "*")
		i := bytes.Index(s, []byte(part))
		if i < 0 {
			return false
		}
		if !more {
			return true
		}
		s, pattern = s[i+len(part):], rest
	}
}
