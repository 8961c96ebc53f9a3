package protocol

import "math"

// The most bytes that memcached reads as a number, leading zeros included.
const (
	digits32 = 11
	digits64 = 22
)

// Uint32 reads a word of a command for administrators as a decimal number of 32 bits.
func Uint32(word string) (n uint32, ok bool) {
	if word == "" {
		return 0, false
	}
	return uint32Of([]byte(word))
}

// Int32 is Uint32 for numbers that a minus may precede.
func Int32(word string) (n int32, ok bool) {
	if word == "" {
		return 0, false
	}
	return int32Of([]byte(word))
}

// uint32Of reads a word as a decimal number of 32 bits.
func uint32Of(w []byte) (n uint32, ok bool) {
	if len(w) > digits32 {
		return 0, false
	}
	long, ok := unsigned(w)
	return uint32(long), ok && long <= math.MaxUint32
}

// uint64Of reads a word as a decimal number of 64 bits.
func uint64Of(w []byte) (n uint64, ok bool) {
	if len(w) > digits64 {
		return 0, false
	}
	return unsigned(w)
}

// int32Of reads a word as a decimal number of 32 bits, which a minus may precede. A minus alone is 0, as in memcached.
func int32Of(w []byte) (n int32, ok bool) {
	if len(w) > digits32 {
		return 0, false
	}
	if len(w) > 0 && w[0] == '-' {
		if len(w) == 1 {
			return 0, true
		}
		long, ok := unsigned(w[1:])
		return int32(-int64(long)), ok && long <= -math.MinInt32
	}
	long, ok := unsigned(w)
	return int32(long), ok && long <= math.MaxInt32
}

// unsigned reads digits, and nothing else, as a number of 64 bits.
func unsigned(w []byte) (n uint64, ok bool) {
	if len(w) == 0 {
		return 0, false
	}
	for _, c := range w {
		d := uint64(c - '0')
		if d > 9 || n > math.MaxUint64/10 || n == math.MaxUint64/10 && d > math.MaxUint64%10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

// cUnsigned reads a word as C's strtoul does, whose rules memcached has kept for the client flags and the expiry of the storage commands: blanks other
// than a space, a sign, digits, and then the word's end or such a blank, whatever follows. Of a number over 32 bits the lower ones count.
func cUnsigned(w []byte) (n uint32, ok bool) {
	long, negative, ok := cNumber(w)
	if negative {
		if long = -long; long > math.MaxInt64 {
			return 0, false
		}
	}
	return uint32(long), ok
}

// cSigned is cUnsigned for strtol.
func cSigned(w []byte) (n int32, ok bool) {
	long, negative, ok := cNumber(w)
	switch {
	case negative && long > -math.MinInt64, !negative && long > math.MaxInt64:
		return 0, false
	case negative:
		long = -long
	}
	return int32(long), ok
}

// cNumber reads the sign and the digits of cUnsigned and cSigned.
func cNumber(w []byte) (n uint64, negative, ok bool) {
	for len(w) > 0 && isBlank(w[0]) {
		w = w[1:]
	}
	if len(w) > 0 && (w[0] == '-' || w[0] == '+') {
		negative, w = w[0] == '-', w[1:]
	}
	end := 0
	for end < len(w) && w[end] >= '0' && w[end] <= '9' {
		end++
	}
	if end < len(w) && w[end] != 0 && !isBlank(w[end]) {
		return 0, false, false
	}
	n, ok = unsigned(w[:end])
	return n, negative, ok
}

// isBlank tells whether a byte is one of C's blanks.
func isBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
