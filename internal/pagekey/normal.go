package pagekey

import "bytes"

// appendNormal appends the $uri of a path that begins with a slash or is empty.
//
// Decoding comes before the path rules: an escaped slash or dot is a slash or a dot. Three bytes are exempt, since
// decoded they would end the path or start an escape: an escaped percent sign, number sign or question mark is an
// ordinary byte of its segment. A segment is therefore judged when it ends, by its decoded bytes.
func appendNormal(dst, path []byte, merge bool) ([]byte, error) {
	base := len(dst)
	dst = append(dst, '/')
	segment := len(dst) // where the present segment starts in dst
	for i := 1; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			var refused error
			if c, refused = decode(path[i:]); refused != nil {
				return dst[:base], refused
			}
			i += 2
		}
		if c != '/' {
			dst = append(dst, c)
			continue
		}
		end := len(dst)
		if dst = dropDots(dst, base, segment); len(dst) <= base {
			return dst[:base], errAboveRoot
		}
		// A dropped segment takes its slash along; an empty one does if slashes are merged.
		if len(dst) == end && (end > segment || !merge) {
			dst = append(dst, '/')
		}
		segment = len(dst)
	}
	if dst = dropDots(dst, base, segment); len(dst) <= base {
		return dst[:base], errAboveRoot
	}
	return dst, nil
}

// dropDots removes a last segment "." or "..", the latter with the segment before it, so that dst ends with a slash
// again; if there is no segment before it, the whole path goes. The path starts at base, its last segment at segment.
func dropDots(dst []byte, base, segment int) []byte {
	switch string(dst[segment:]) {
	case ".":
		return dst[:segment]
	case "..":
		return dst[:base+bytes.LastIndexByte(dst[base:segment-1], '/')+1]
	}
	return dst
}

// decode returns the byte of the escape that b begins with.
func decode(b []byte) (byte, error) {
	if len(b) < 3 {
		return 0, errEscape
	}
	high, low := unhex(b[1]), unhex(b[2])
	if high|low > 0x0f {
		return 0, errEscape
	}
	if high|low == 0 {
		return 0, errZero
	}
	return high<<4 | low, nil
}

// unhex returns the value of a hexadecimal digit, or 0xff.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return (c | 0x20) - 'a' + 10
	}
	return 0xff
}
