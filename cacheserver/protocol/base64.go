package protocol

// base64Values are what base64's characters stand for, one more than that: 0 is for bytes that are none. The padding counts as one of them.
var base64Values = func() (table [256]byte) {
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		table[c] = byte(i) + 1
	}
	table['='] = 1
	return table
}()

// decodeBase64 appends what text stands for to dst, as memcached reads it: bytes that are not base64 are passed over, the others have to be
// a multiple of four, and the first padding ends it.
func decodeBase64(dst, text []byte) (out []byte, ok bool) {
	count := 0
	for _, c := range text {
		if base64Values[c] != 0 {
			count++
		}
	}
	if count == 0 || count%4 != 0 {
		return dst, false
	}
	bits, digits, pad := uint32(0), 0, 0
	for _, c := range text {
		v := base64Values[c]
		if v == 0 {
			continue
		}
		if c == '=' {
			pad++
		}
		bits = bits<<6 | uint32(v-1)
		if digits++; digits < 4 {
			continue
		}
		block := [3]byte{byte(bits >> 16), byte(bits >> 8), byte(bits)}
		if pad > 2 {
			return dst, false
		}
		dst = append(dst, block[:3-pad]...)
		if pad > 0 {
			break
		}
		bits, digits = 0, 0
	}
	return dst, true
}
