package protocol

// Bounds of a meta command's line.
const (
	maxMetaTokens = 20 // words, command, key and length included
	maxOpaque     = 32 // bytes of an O flag, its letter included
)

// Error lines of meta commands.
const (
	errFlagTwice = "CLIENT_ERROR duplicate flag"
	errFlag      = "CLIENT_ERROR invalid flag"
	errToken     = "CLIENT_ERROR bad token in command line format"
	errBase64    = "CLIENT_ERROR error decoding key"
	errInitial   = "CLIENT_ERROR invalid numeric initial value"
	errDelta     = "CLIENT_ERROR invalid numeric delta value"
	errManyFlags = "CLIENT_ERROR options flags are too long"
	errOfMA      = "CLIENT_ERROR invalid or duplicate flag" // ma has no other

	// ErrOpaque is the answer to a command whose opaque is too long. It is found last, when the item has been looked for.
	ErrOpaque = "CLIENT_ERROR opaque token too long"
)

// MetaFlag is a flag as it was sent: its letter and the token behind it.
type MetaFlag struct {
	Letter byte
	Token  []byte
}

// Meta is a meta command (protocol.txt "Meta Commands"). Its byte slices point into the line that was parsed, but for the key if
// that came encoded. A Meta may be used again for the next line.
type Meta struct {
	Verb   Verb
	Key    []byte
	Length int64 // ms: bytes of the data block

	Binary     bool // b: the key came, and goes back, base64-encoded
	Quiet      bool // q
	NoBump     bool // u
	Value      bool // v
	Invalidate bool // I
	Drop       bool // x: md drops the value and keeps the item
	LongOpaque bool // O has more than memcached gives back: see ErrOpaque

	HasTTL, HasVivify, HasRecache bool
	TTL, VivifyTTL, RecacheTTL    int64  // T, N, R: exptimes as sent
	HasCAS, HasNewCAS             bool   // C, E
	CAS, NewCAS                   uint64 //
	Mode                          byte   // M; 0 if there is none, a space if it has no letter
	ClientFlags                   uint32 // F
	Initial, Delta                uint64 // J, D
	flags                         [maxTokens]MetaFlag
	n                             int
	decoded                       []byte
	seen                          [2]uint64
}

// Flags returns the flags in the order in which they came.
func (m *Meta) Flags() []MetaFlag { return m.flags[:m.n] }

// ParseMeta reads the words behind a meta command's verb. An error comes as the line to answer. Where ms has an error but a
// Length that makes sense, a data block of that length follows; else Length is -1.
func ParseMeta(verb Verb, rest []byte, keyMax int, m *Meta) (errLine string) {
	*m = Meta{Verb: verb, Delta: 1, Length: -1, decoded: m.decoded[:0]}
	m.Key, rest = nextWord(rest)
	if len(m.Key) == 0 {
		return ErrFormat
	}
	var length []byte
	before := 2 // words before the flags
	if verb == MetaSet {
		length, rest = nextWord(rest)
		before++
	}
	if !m.split(rest, maxTokens-before) {
		return ErrFormat
	}
	if verb == MetaSet {
		n, ok := int32Of(length)
		if len(length) == 0 || !ok || n < 0 || n > maxLength {
			return ErrFormat
		}
		m.Length = int64(n)
	}
	if len(m.Key) > keyMax {
		errLine = ErrFormat
	} else if verb == MetaDebug {
		return m.debugFlags()
	} else if before+m.n > maxMetaTokens {
		errLine = errManyFlags
	} else {
		errLine = m.readFlags()
	}
	if errLine != "" && verb == MetaArithmetic {
		return errOfMA
	}
	return errLine
}

// split takes up the flags, as many as there may be. It fails for one that begins with a byte that no flag has.
func (m *Meta) split(rest []byte, most int) bool {
	for m.n < most {
		var w []byte
		if w, rest = nextWord(rest); len(w) == 0 {
			break
		}
		letter := w[0]
		if (letter < 'A' || letter > 'z') && (letter < '0' || letter > '9') {
			return false
		}
		m.flags[m.n] = MetaFlag{letter, w[1:]}
		m.n++
	}
	return true
}

// debugFlags reads the one flag of me, b, which memcached only sees before another.
func (m *Meta) debugFlags() string {
	if m.n < 2 || m.flags[0].Letter != 'b' || len(m.flags[0].Token) != 0 {
		return ""
	}
	if m.decodeKey() != "" {
		return ErrFormat
	}
	return ""
}

// readFlags takes in the flags. Of several errors the last one counts, but for a flag that is there twice or unknown, which
// ends it.
func (m *Meta) readFlags() (errLine string) {
	failed := false
	errLine = ErrFormat
	for _, f := range m.Flags() {
		if m.seen[f.Letter/64]>>(f.Letter%64)&1 != 0 {
			return errFlagTwice
		}
		m.seen[f.Letter/64] |= 1 << (f.Letter % 64)
		e, ok, known := m.flag(f.Letter, f.Token)
		if !known {
			return errFlag
		}
		failed = failed || !ok
		if e != "" {
			errLine = e
		}
	}
	if failed {
		return errLine
	}
	return ""
}

// flag takes in one flag. One that is not ok may have no error line of its own.
func (m *Meta) flag(letter byte, token []byte) (errLine string, ok, known bool) {
	if errLine, known := m.bare(letter); known {
		return errLine, errLine == "", true
	}
	errLine = errToken
	switch letter {
	case 'O':
		m.LongOpaque, ok = len(token)+1 > maxOpaque, true
	case 'P', 'L': // hints for proxies
		ok = true
	case 'T':
		m.TTL, ok = expiry(token)
		m.HasTTL = true
	case 'N':
		m.VivifyTTL, ok = expiry(token)
		m.HasVivify = true
	case 'R':
		m.RecacheTTL, ok = expiry(token)
		m.HasRecache = true
	case 'C':
		m.CAS, ok = argument(token)
		m.HasCAS = true
	case 'E':
		m.NewCAS, ok = argument(token)
		m.HasNewCAS = true
	case 'F':
		if m.ClientFlags, ok = uint32Of(token); len(token) == 0 {
			ok = false
		}
		errLine = ""
	case 'M':
		m.Mode, ok = ' ', true
		if len(token) > 0 {
			m.Mode = token[0]
		}
	case 'J':
		m.Initial, ok = argument(token)
		errLine = errInitial
	case 'D':
		m.Delta, ok = argument(token)
		errLine = errDelta
	default:
		return "", false, false
	}
	if ok {
		errLine = ""
	}
	return errLine, ok, true
}

// expiry reads an exptime behind a flag's letter.
func expiry(token []byte) (int64, bool) {
	n, ok := int32Of(token)
	return int64(n), ok && len(token) > 0
}

// argument reads a number behind a flag's letter.
func argument(token []byte) (uint64, bool) {
	n, ok := uint64Of(token)
	return n, ok && len(token) > 0
}

// bare takes in a flag that has no token; what follows its letter counts for nothing.
func (m *Meta) bare(letter byte) (errLine string, known bool) {
	switch letter {
	case 'b':
		errLine = m.decodeKey()
	case 'q':
		m.Quiet = true
	case 'u':
		m.NoBump = true
	case 'v':
		m.Value = true
	case 'I':
		m.Invalidate = true
	case 'x':
		m.Drop = true
	case 'k', 's', 't', 'c', 'f', 'l', 'h':
	default:
		return "", false
	}
	return errLine, true
}

// decodeKey takes the key for what its base64 text stands for.
func (m *Meta) decodeKey() string {
	m.Binary = true
	key, ok := decodeBase64(m.decoded, m.Key)
	if !ok {
		return errBase64
	}
	m.decoded, m.Key = key, key
	return ""
}
