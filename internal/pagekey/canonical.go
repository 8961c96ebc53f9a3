package pagekey

// Canonical tells whether a request target is the spelling that its key stands for: its path, with the escapes decoded,
// is the $uri, and no escape hides a slash or a question mark.
//
// Many targets have one key, and a backend may answer them differently: `//shop` and `/x/../shop` with a redirect or a
// 404, `/a%2Fb` with another page than `/a/b`, and `/a%3Fb` has the key of `/a` with the argument `b`. What such a target
// is answered must not be stored under the key, or whoever sends it decides what everybody sees. nginx itself does not
// look: it serves what the canonical spelling has put there.
func Canonical(target []byte) bool {
	t, err := dissect(target)
	if err != nil {
		return false
	}
	if t.plain {
		return true
	}
	path := t.raw[t.path:t.pathEnd]
	segment := 0 // where the present segment starts, by its decoded length
	dots := true // the present segment is dots only
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			if i+2 >= len(path) {
				return false
			}
			c = unhex(path[i+1])<<4 | unhex(path[i+2])
			if c == '/' || c == '?' {
				return false
			}
			i += 2
		} else if c == '/' {
			if i > 0 && (segment == 0 || dots && segment <= 2) {
				return false
			}
			segment, dots = 0, true
			continue
		}
		segment++
		dots = dots && c == '.'
	}
	return segment == 0 || !dots || segment > 2
}
