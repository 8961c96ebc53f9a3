package protocol

import "math"

// ParseAuth reads the line by which a client of the text protocol authenticates itself, `set KEY FLAGS EXPTIME LENGTH`,
// of which only the length counts: of the data block that follows, in bytes, without its CR LF. ok is false for any
// other line.
func ParseAuth(line []byte) (length int64, ok bool) {
	var words [5][]byte
	for i := range words {
		words[i], line = nextWord(line)
	}
	if string(words[0]) != "set" {
		return 0, false
	}
	n, ok := unsigned(words[4])
	return int64(n), ok && n <= math.MaxInt32-2
}
