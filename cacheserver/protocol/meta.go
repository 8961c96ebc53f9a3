package protocol

import (
	"encoding/base64"
	"math"
)

// Bounds of a meta command's line.
const (
	maxMetaFlags = 24 // memcached takes as many words in a line
	maxOpaque    = 32 // bytes of an O flag, its letter included
)

// Error lines of meta commands.
const (
	errFlagTwice  = "CLIENT_ERROR duplicate flag"
	errFlag       = "CLIENT_ERROR invalid flag"
	errToken      = "CLIENT_ERROR bad token in command line format"
	errOpaque     = "CLIENT_ERROR opaque token too long"
	errBase64     = "CLIENT_ERROR error decoding key"
	errModeLength = "CLIENT_ERROR incorrect length for M token"
	errInitial    = "CLIENT_ERROR invalid numeric initial value"
	errDelta      = "CLIENT_ERROR invalid numeric delta value"
	errManyFlags  = "CLIENT_ERROR options flags too long"
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

	HasTTL, HasVivify, HasRecache bool
	TTL, VivifyTTL, RecacheTTL    int64  // T, N, R: exptimes as sent
	HasCAS, HasNewCAS             bool   // C, E
	CAS, NewCAS                   uint64 //
	Mode                          byte   // M; 0 if there is none
	ClientFlags                   uint32 // F
	Initial, Delta                uint64 // J, D
	flags                         [maxMetaFlags]MetaFlag
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
		if verb == MetaDebug {
			return ErrFormat
		}
		return ErrUnknown
	}
	if len(m.Key) > keyMax {
		return ErrFormat
	}
	if verb == MetaSet {
		var errLine string
		if rest, errLine = m.length(rest); errLine != "" {
			return errLine
		}
	}
	if verb == MetaDebug {
		return m.debugFlags(rest)
	}
	return m.readFlags(rest)
}

func (m *Meta) length(rest []byte) ([]byte, string) {
	w, rest := nextWord(rest)
	n, ok := number(w)
	if !ok || n < 0 || n > math.MaxInt32-2 {
		return rest, ErrFormat
	}
	m.Length = n
	return rest, ""
}

// debugFlags reads the one flag of me, b; others are ignored.
func (m *Meta) debugFlags(rest []byte) string {
	if w, _ := nextWord(rest); len(w) > 0 && w[0] == 'b' {
		return m.decodeKey()
	}
	return ""
}

func (m *Meta) readFlags(rest []byte) (errLine string) {
	for {
		var w []byte
		if w, rest = nextWord(rest); len(w) == 0 {
			return errLine
		}
		if m.n == maxMetaFlags {
			return errManyFlags
		}
		letter := w[0]
		if letter >= 128 || m.seen[letter/64]>>(letter%64)&1 != 0 {
			return errFlagTwice
		}
		m.seen[letter/64] |= 1 << (letter % 64)
		m.flags[m.n] = MetaFlag{letter, w[1:]}
		m.n++
		e, known := m.flag(letter, w[1:])
		if !known {
			return errFlag
		}
		if e != "" { // the last one counts
			errLine = e
		}
	}
}

// flag takes in one flag.
func (m *Meta) flag(letter byte, token []byte) (errLine string, known bool) {
	if errLine, known := m.bare(letter); known {
		return errLine, true
	}
	ok := true
	switch letter {
	case 'O':
		if len(token)+1 > maxOpaque {
			return errOpaque, true
		}
	case 'P', 'L': // hints for proxies
	case 'T':
		m.TTL, ok = number(token)
		m.HasTTL = true
	case 'N':
		m.VivifyTTL, ok = number(token)
		m.HasVivify = true
	case 'R':
		m.RecacheTTL, ok = number(token)
		m.HasRecache = true
	case 'C':
		m.CAS, ok = unsigned(token)
		m.HasCAS = true
	case 'E':
		m.NewCAS, ok = unsigned(token)
		m.HasNewCAS = true
	case 'F':
		n, valid := unsigned(token)
		if !valid || n > math.MaxUint32 {
			return ErrFormat, true
		}
		m.ClientFlags = uint32(n)
	case 'M':
		if len(token) != 1 {
			return errModeLength, true
		}
		m.Mode = token[0]
	case 'J':
		if m.Initial, ok = unsigned(token); !ok {
			return errInitial, true
		}
	case 'D':
		if m.Delta, ok = unsigned(token); !ok {
			return errDelta, true
		}
	default:
		return "", false
	}
	if !ok {
		return errToken, true
	}
	return "", true
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
	case 'k', 's', 't', 'c', 'f', 'l', 'h', 'S':
	default:
		return "", false
	}
	return errLine, true
}

// decodeKey takes the key for what its base64 text stands for.
func (m *Meta) decodeKey() string {
	m.Binary = true
	key, err := base64.StdEncoding.AppendDecode(m.decoded, m.Key)
	if err != nil || len(key) == 0 {
		return errBase64
	}
	m.decoded, m.Key = key, key
	return ""
}
