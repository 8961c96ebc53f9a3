package protocol

import "bytes"

// ParseAuth reads the line by which a client of the text protocol authenticates itself, `set KEY FLAGS EXPTIME LENGTH`,
// of which only the beginning and the length count: of the data block that follows, in bytes, without its CR LF. ok is false for any
// other line. The line comes without its LF; memcached takes the byte before that, whatever it is, for the CR.
func ParseAuth(line []byte) (length int64, ok bool) {
	if !bytes.HasPrefix(line, []byte("set")) { // which a word may go on from
		return 0, false
	}
	var words [4][]byte
	_, rest := nextWord(line[:len(line)-1])
	if n, _ := split(rest, words[:]); n < 4 {
		return 0, false
	}
	size, ok := uint32Of(words[3])
	return int64(size), ok
}
