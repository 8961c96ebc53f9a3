package pagekey

import "bytes"

// parts is a request target cut at its joints. The fields other than raw are offsets into raw.
type parts struct {
	raw       []byte
	authority int  // start of host[:port]; equal to path for the origin form
	hostEnd   int  // end of the host, before the port
	path      int  // start of the path
	pathEnd   int  // its end; equal to path where the absolute form has none
	argsEnd   int  // end of the arguments, before a fragment; they start one byte after pathEnd
	query     bool // a question mark follows the path
	plain     bool // the path is its own $uri
}

// args returns nginx's $args: what follows the first question mark, undecoded, without the fragment.
func (t *parts) args() []byte {
	if !t.query {
		return nil
	}
	return t.raw[t.pathEnd+1 : t.argsEnd]
}

// requestURI returns nginx's $request_uri. It is the target as sent, from the path on; nginx makes it "/" for an
// absolute form that ends with the authority, and leaves it without a slash where arguments follow the authority.
func (t *parts) requestURI() []byte {
	if t.path == len(t.raw) {
		return rootPath
	}
	return t.raw[t.path:]
}

var rootPath = []byte("/")

// Classes of bytes in a target. A usual byte is copied without a look, whatever stands before it.
const (
	usual    = iota
	special  // has a meaning in the path
	unusable // nginx answers 400 wherever it stands
)

// class tells the class of each byte. A dot is usual: it means something only after a slash.
var class = func() (c [256]uint8) {
	for b := range 0x21 {
		c[b] = unusable
	}
	c[0x7f] = unusable
	for _, b := range []byte("/%?#") {
		c[b] = special
	}
	return c
}()

// dissect cuts a target at its joints and refuses what can be refused without decoding the path.
func dissect(target []byte) (parts, error) {
	t := parts{raw: target, plain: true}
	if len(target) == 0 {
		return t, errEmpty
	}
	if target[0] != '/' {
		if err := t.cutAuthority(); err != nil {
			return t, err
		}
	}
	if !t.cutPath() || !t.cutArgs() {
		return t, errControl
	}
	return t, nil
}

// cutPath finds the end of the path, and whether it has to be decoded or normalised. It returns false if the path
// holds an unusable byte.
func (t *parts) cutPath() bool {
	raw := t.raw
	t.pathEnd = len(raw)
scan:
	for i := t.path; i < len(raw); i++ {
		c := raw[i]
		if class[c] == usual {
			continue
		}
		switch c {
		case '/':
			if i+1 < len(raw) && (raw[i+1] == '/' || raw[i+1] == '.') {
				t.plain = false
			}
		case '%':
			t.plain = false
		case '?', '#':
			t.pathEnd = i
			break scan
		default:
			return false
		}
	}
	if t.pathEnd == t.path {
		t.plain = false // an empty path becomes "/"
	}
	return true
}

// cutArgs finds the end of the arguments. It returns false if an unusable byte follows the path, be it in the fragment.
func (t *parts) cutArgs() bool {
	t.argsEnd = t.pathEnd
	rest := t.raw[t.pathEnd:]
	if len(rest) == 0 {
		return true
	}
	for _, c := range rest {
		if class[c] == unusable {
			return false
		}
	}
	if rest[0] == '?' {
		t.query = true
		t.argsEnd = len(t.raw)
		if fragment := bytes.IndexByte(rest, '#'); fragment >= 0 {
			t.argsEnd = t.pathEnd + fragment
		}
	}
	return true
}

// appendKey appends "$uri?$args".
func (t *parts) appendKey(dst []byte, merge bool) ([]byte, error) {
	if t.plain && t.query {
		return append(dst, t.raw[t.path:t.argsEnd]...), nil
	}
	dst, err := t.appendURI(dst, merge)
	if err != nil {
		return dst, err
	}
	dst = append(dst, '?')
	return append(dst, t.args()...), nil
}

// appendURI appends $uri.
func (t *parts) appendURI(dst []byte, merge bool) ([]byte, error) {
	path := t.raw[t.path:t.pathEnd]
	if t.plain {
		return append(dst, path...), nil
	}
	return appendNormal(dst, path, merge)
}
