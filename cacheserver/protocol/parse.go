package protocol

import "math"

// maxTokens bounds the words of a line that is not a get; more than any command has.
const maxTokens = 8

// Parse reads one line, without its end, into c. It returns "" or the error line that the client gets. keyMax is the
// longest key in bytes; a longer key of a get is left to the caller, which sees each of them by NextKey.
func Parse(line []byte, keyMax int, c *Command) (errLine string) {
	*c = Command{}
	word, rest := nextWord(line)
	verb := verbOf(word)
	c.Verb = verb
	switch verb {
	case Unknown:
		if len(word) == 0 {
			return ErrFormat
		}
		return ErrUnknown
	case Get, Gets:
		return c.keys(rest)
	case Gat, Gats:
		return c.getAndTouch(rest)
	case MetaGet, MetaSet, MetaDelete, MetaArithmetic, MetaDebug:
		c.Keys = rest
		return ""
	case Admin, Stats:
		c.Arg, c.Keys = word, rest
		return ""
	}
	var words [maxTokens][]byte
	n := 0
	for n < maxTokens {
		var w []byte
		if w, rest = nextWord(rest); len(w) == 0 {
			break
		}
		words[n] = w
		n++
	}
	return c.fill(words[:n], keyMax)
}

// fill reads the words behind the verb.
func (c *Command) fill(w [][]byte, keyMax int) string {
	switch c.Verb {
	case Set, Add, Replace, Append, Prepend:
		return c.storage(w, keyMax, 4)
	case CAS:
		return c.storage(w, keyMax, 5)
	case Delete:
		return c.delete(w, keyMax)
	case Incr, Decr:
		return c.arithmetic(w, keyMax)
	case Touch:
		return c.touch(w, keyMax)
	case FlushAll:
		return c.flushAll(w)
	case Verbosity:
		return c.verbosity(w)
	}
	return ""
}

// verbosity reads `LEVEL [noreply]`.
func (c *Command) verbosity(w [][]byte) string {
	c.NoReply = isNoReply(w)
	if len(w) == 0 {
		return ErrFormat
	}
	level, ok := unsigned(w[0])
	if !ok {
		return ErrFormat
	}
	c.Level = int(min(level, math.MaxInt32))
	return ""
}

func (c *Command) keys(rest []byte) string {
	c.Keys = rest
	if w, _ := nextWord(rest); len(w) == 0 {
		return ErrUnknown
	}
	return ""
}

func (c *Command) getAndTouch(rest []byte) string {
	exptime, rest := nextWord(rest)
	if w, _ := nextWord(rest); len(w) == 0 {
		return ErrUnknown
	}
	var ok bool
	if c.Exptime, ok = number(exptime); !ok {
		return ErrExptime
	}
	c.Keys = rest
	return ""
}

// storage reads `KEY FLAGS EXPTIME BYTES [CAS] [noreply]`.
func (c *Command) storage(w [][]byte, keyMax, words int) string {
	if len(w) < words || len(w) > words+1 {
		return ErrUnknown
	}
	c.NoReply = isNoReply(w)
	flags, okFlags := unsigned(w[1])
	exptime, okExptime := number(w[2])
	length, okLength := number(w[3])
	okCAS := true
	if words == 5 {
		c.CAS, okCAS = unsigned(w[4])
	}
	if len(w[0]) > keyMax || !okFlags || flags > math.MaxUint32 || !okExptime || !okLength || !okCAS ||
		length < 0 || length > math.MaxInt32-2 {
		return ErrFormat
	}
	c.Key, c.Flags, c.Exptime, c.Length = w[0], uint32(flags), exptime, length
	return ""
}

func (c *Command) delete(w [][]byte, keyMax int) string {
	if len(w) == 0 || len(w) > 3 {
		return ErrUnknown
	}
	c.NoReply = isNoReply(w[1:])
	if zero := len(w) > 1 && string(w[1]) == "0"; len(w) > 1 && !zero && !c.NoReply || len(w) == 3 && !(zero && c.NoReply) {
		return ErrDelete
	}
	if len(w[0]) > keyMax {
		return ErrFormat
	}
	c.Key = w[0]
	return ""
}

func (c *Command) arithmetic(w [][]byte, keyMax int) string {
	if len(w) < 2 || len(w) > 3 {
		return ErrUnknown
	}
	c.NoReply = isNoReply(w)
	if len(w[0]) > keyMax {
		return ErrFormat
	}
	var ok bool
	if c.Delta, ok = unsigned(w[1]); !ok {
		return ErrDelta
	}
	c.Key = w[0]
	return ""
}

func (c *Command) touch(w [][]byte, keyMax int) string {
	if len(w) < 2 || len(w) > 3 {
		return ErrUnknown
	}
	c.NoReply = isNoReply(w)
	if len(w[0]) > keyMax {
		return ErrFormat
	}
	var ok bool
	if c.Exptime, ok = number(w[1]); !ok {
		return ErrExptime
	}
	c.Key = w[0]
	return ""
}

func (c *Command) flushAll(w [][]byte) string {
	if len(w) > 2 {
		return ErrUnknown
	}
	c.NoReply = isNoReply(w)
	if len(w) == 2 || len(w) == 1 && !c.NoReply {
		var ok bool
		if c.Exptime, ok = number(w[0]); !ok {
			return ErrExptime
		}
	}
	return ""
}

func isNoReply(w [][]byte) bool { return len(w) > 0 && string(w[len(w)-1]) == "noreply" }

// NextKey cuts the next key off a get line's Keys; nil when there is none.
func (c *Command) NextKey() []byte {
	var key []byte
	key, c.Keys = nextWord(c.Keys)
	return key
}

// Words returns the words of what is behind a verb.
func Words(rest []byte) []string {
	var all []string
	for {
		var w []byte
		if w, rest = nextWord(rest); len(w) == 0 {
			return all
		}
		all = append(all, string(w))
	}
}

// nextWord cuts a word off a line: words are parted by spaces.
func nextWord(line []byte) (word, rest []byte) {
	i := 0
	for i < len(line) && line[i] == ' ' {
		i++
	}
	j := i
	for j < len(line) && line[j] != ' ' {
		j++
	}
	return line[i:j], line[j:]
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
	case "flush_all":
		return FlushAll
	case "stats":
		return Stats
	case "version":
		return Version
	case "verbosity":
		return Verbosity
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
	case "cache_memlimit", "shutdown", "watch", "lru", "lru_crawler", "slabs", "debugtime", "debugitem", "refresh_certs":
		return Admin
	}
	return Unknown
}

// unsigned reads a decimal number of 64 bits.
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

// number reads a decimal number with an optional sign that fits 63 bits.
func number(w []byte) (int64, bool) {
	negative := len(w) > 0 && w[0] == '-'
	if negative {
		w = w[1:]
	}
	n, ok := unsigned(w)
	if !ok || n > math.MaxInt64 {
		return 0, false
	}
	if negative {
		return -int64(n), true
	}
	return int64(n), true
}
