package pagekey

import "errors"

// ErrBadWire is returned by [AppendRaw] for bytes that no raw key is escaped to.
var ErrBadWire = errors.New("not a key as nginx writes it in a get command")

const upperHex = "0123456789ABCDEF"

// onWire tells which bytes stand for themselves in the text protocol's `get`: all but those up to the space, and the
// percent sign. 0x7f goes out as it is, though memcached's documentation rules out control bytes.
func onWire(c byte) bool { return c > 0x20 && c != '%' }

// AppendWire appends the wire form of a raw key to dst: what nginx writes after `get `, and so what every other client
// must use as the key of a page. The bytes 0x00 to 0x20 and the percent sign become %XX with upper-case digits; the
// rest is unchanged. The result is up to three times as long as raw.
func AppendWire(dst, raw []byte) []byte {
	start := 0
	for i, c := range raw {
		if onWire(c) {
			continue
		}
		dst = append(dst, raw[start:i]...)
		dst = append(dst, '%', upperHex[c>>4], upperHex[c&0x0f])
		start = i + 1
	}
	return append(dst, raw[start:]...)
}

// AppendRaw appends the raw key of a wire key to dst; it undoes [AppendWire]. It is strict: what AppendWire never
// writes (a bare space, lower-case digits, an escape of a byte that needs none) gives [ErrBadWire], so two wire keys
// never stand for one raw key.
func AppendRaw(dst, wire []byte) ([]byte, error) {
	base := len(dst)
	for i := 0; i < len(wire); i++ {
		c := wire[i]
		if onWire(c) {
			dst = append(dst, c)
			continue
		}
		if c != '%' || i+2 >= len(wire) {
			return dst[:base], ErrBadWire
		}
		high, low := unhex(wire[i+1]), unhex(wire[i+2])
		if high|low > 0x0f || wire[i+1] != upperHex[high] || wire[i+2] != upperHex[low] {
			return dst[:base], ErrBadWire
		}
		i += 2
		c = high<<4 | low
		if onWire(c) {
			return dst[:base], ErrBadWire
		}
		dst = append(dst, c)
	}
	return dst, nil
}
