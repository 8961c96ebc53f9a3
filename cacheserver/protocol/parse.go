package protocol

import (
	"bytes"
	"math"
)

// LineMin is the length in bytes, with its end, of the shortest line that may be a command; a shorter one gets ErrFormat.
const LineMin = 4

// maxLength is the longest data block that a line may announce, in bytes.
const maxLength = math.MaxInt32 - 2

// Parse reads one line, without its end, into c. It returns "" or the error line that the client gets. Where a storage command
// has an error but says how long its data block is, c.Block tells that the block follows all the same. keyMax is the
// longest key in bytes; a longer key of a get is left to the caller, which sees each of them by NextKey.
func Parse(line []byte, keyMax int, c *Command) (errLine string) {
	*c = Command{}
	end := bytes.IndexByte(line, ' ')
	if end < 0 {
		end = len(line)
	}
	word, rest := line[:end], line[end:]
	c.Verb = verbOf(word)
	switch c.Verb {
	case Unknown:
		return c.administration(line)
	case Get, Gets:
		return c.keys(rest)
	case Gat, Gats:
		return c.getAndTouch(rest)
	case MetaGet, MetaSet, MetaDelete, MetaArithmetic, MetaDebug:
		c.Keys = rest
		return ""
	case Stats:
		c.Arg, c.Keys = word, rest
		return ""
	case Set, Add, Replace, Append, Prepend, CAS:
		return c.storage(rest, keyMax)
	case Delete, Incr, Decr, Touch:
		return c.simple(rest, keyMax)
	case Watch:
		c.Verb, c.Arg, c.Keys = Admin, word, rest
	}
	return "" // version, quit, mn: what follows counts for nothing
}

// administration reads a line whose command stands in memcached's second table, which blanks may precede. Of any other command
// c.HTTP tells whether the line looks like a web client's.
func (c *Command) administration(line []byte) string {
	word, rest := nextWord(line)
	var w [2][]byte
	n, last := split(rest, w[:])
	c.NoReply = isNoReply(last)
	switch string(word) {
	case "flush_all":
		c.Verb = FlushAll
		return c.flushAll(w[0], n)
	case "verbosity":
		c.Verb = Verbosity
		return c.verbosity(w[0])
	case "cache_memlimit", "shutdown", "lru", "lru_crawler", "slabs", "extstore", "debugtime", "debugitem", "refresh_certs":
		c.Verb, c.Arg, c.Keys = Admin, word, rest
		return ""
	}
	c.HTTP = bytes.HasPrefix(last, []byte("HTTP/"))
	return ErrUnknown
}

// verbosity reads `LEVEL`.
func (c *Command) verbosity(w []byte) string {
	level, ok := uint32Of(w)
	if !ok {
		return ErrFormat
	}
	c.Level = int(min(level, math.MaxInt32))
	return ""
}

// flushAll reads `[EXPTIME] [noreply]`.
func (c *Command) flushAll(w []byte, n int) string {
	if n == 0 || n == 1 && c.NoReply {
		return ""
	}
	exptime, ok := int32Of(w)
	if !ok {
		return ErrExptime
	}
	c.Exptime = int64(exptime)
	return ""
}

func (c *Command) keys(rest []byte) string {
	c.Keys = rest
	if w, _ := nextWord(rest); len(w) == 0 {
		return ErrFormat
	}
	return ""
}

func (c *Command) getAndTouch(rest []byte) string {
	word, rest := nextWord(rest)
	if w, _ := nextWord(rest); len(w) == 0 {
		return ErrFormat
	}
	exptime, ok := int32Of(word)
	if !ok {
		return ErrExptime
	}
	c.Exptime, c.Keys = int64(exptime), rest
	return ""
}

// storage reads `KEY FLAGS EXPTIME BYTES [CAS] [noreply]`.
func (c *Command) storage(rest []byte, keyMax int) string {
	var w [5][]byte
	n, last := split(rest, w[:])
	if n < 4 {
		return ErrFormat
	}
	length, ok := int32Of(w[3])
	if !ok || length < 0 || length > maxLength {
		return ErrFormat
	}
	c.Length, c.Block, c.NoReply = int64(length), true, isNoReply(last)
	flags, okFlags := cUnsigned(w[1])
	exptime, okExptime := cSigned(w[2])
	okCAS := true
	if c.Verb == CAS {
		c.CAS, okCAS = uint64Of(w[4])
	}
	if len(w[0]) > keyMax || !okFlags || !okExptime || !okCAS {
		return ErrFormat
	}
	c.Key, c.Flags, c.Exptime = w[0], flags, int64(exptime)
	return ""
}

// deleteWords is how many words delete may have. memcached used to count them, and memccapable holds servers to that.
const deleteWords = 3

// simple reads `KEY [noreply]`, and for all but delete a number behind the key.
func (c *Command) simple(rest []byte, keyMax int) string {
	var w [2][]byte
	n, last := split(rest, w[:])
	if n < 1 || n < 2 && c.Verb != Delete {
		return ErrFormat
	}
	if n > deleteWords && c.Verb == Delete {
		return ErrUnknown
	}
	c.NoReply = isNoReply(last)
	if len(w[0]) > keyMax {
		return ErrFormat
	}
	c.Key = w[0]
	switch c.Verb {
	case Incr, Decr:
		var ok bool
		if c.Delta, ok = uint64Of(w[1]); !ok {
			return ErrDelta
		}
	case Touch:
		exptime, ok := int32Of(w[1])
		if !ok {
			return ErrExptime
		}
		c.Exptime = int64(exptime)
	}
	return ""
}

func isNoReply(last []byte) bool { return string(last) == "noreply" }

// NextKey cuts the next key off a get line's Keys; nil when there is none.
func (c *Command) NextKey() []byte {
	var key []byte
	key, c.Keys = nextWord(c.Keys)
	return key
}

func verbOf(w []byte) Verb {
	switch string(w) {
	case "get":
		return Get
	case "gets":
		return Gets
	case "gat":
		return Gat
	case "gats":
		return Gats
	case "set":
		return Set
	case "add":
		return Add
	case "replace":
		return Replace
	case "append":
		return Append
	case "prepend":
		return Prepend
	case "cas":
		return CAS
	case "delete":
		return Delete
	case "incr":
		return Incr
	case "decr":
		return Decr
	case "touch":
		return Touch
	case "stats":
		return Stats
	case "version":
		return Version
	case "watch":
		return Watch
	case "quit":
		return Quit
	case "mn":
		return Noop
	case "mg":
		return MetaGet
	case "ms":
		return MetaSet
	case "md":
		return MetaDelete
	case "ma":
		return MetaArithmetic
	case "me":
		return MetaDebug
	}
	return Unknown
}
