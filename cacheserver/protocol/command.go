// Package protocol turns memcached's text protocol (protocol.txt) from bytes into commands and back. It knows neither
// sockets nor the store: a command's keys point into the line that it was read from, and nothing is allocated.
//
// The invariant that clients rely on: whatever a line holds, Parse either gives a command or the exact error line that
// memcached answers, and the caller can always go on with the next line.
package protocol

// Verb is what a command does.
type Verb uint8

// The verbs of the text protocol.
const (
	Unknown Verb = iota
	Get
	Gets
	Gat
	Gats
	Set
	Add
	Replace
	Append
	Prepend
	CAS
	Delete
	Incr
	Decr
	Touch
	FlushAll
	Stats
	Version
	Verbosity
	Quit
	Noop // the meta protocol's mn, which clients use as a fence
	MetaGet
	MetaSet
	MetaDelete
	MetaArithmetic
	MetaDebug
	Watch // an Admin command to the caller of Parse
	Admin // a command for administrators: its name is Arg, its words are Keys
)

// IsMeta tells whether the words behind the verb are ParseMeta's to read.
func (v Verb) IsMeta() bool { return v >= MetaGet && v <= MetaDebug }

// IsGet tells whether the verb is of the get family, whose lines may have any number of keys.
func (v Verb) IsGet() bool { return v >= Get && v <= Gats }

// Command is one parsed line. Its slices point into the line.
type Command struct {
	Verb    Verb
	Key     []byte // the single key of all but the get family
	Keys    []byte // the rest of a get line from its first key on, see NextKey, and of a meta command's, see ParseMeta
	Flags   uint32
	Exptime int64 // as sent: relative, absolute or negative
	Length  int64 // bytes of the data block that follows
	CAS     uint64
	Delta   uint64
	NoReply bool
	Arg     []byte // the name of an Admin command
	Level   int    // of verbosity
	Block   bool   // a data block of Length bytes and its CR LF follows
	HTTP    bool   // what is no command looks like a web client's request
}

// Error lines that Parse gives instead of a command, without their CR LF.
const (
	ErrUnknown   = "ERROR"
	ErrFormat    = "CLIENT_ERROR bad command line format"
	ErrDelta     = "CLIENT_ERROR invalid numeric delta argument"
	ErrExptime   = "CLIENT_ERROR invalid exptime argument"
	ErrTooLarge  = "SERVER_ERROR object too large for cache"
	ErrNoMemory  = "SERVER_ERROR out of memory storing object"
	ErrDataChunk = "CLIENT_ERROR bad data chunk"
	ErrNonNumber = "CLIENT_ERROR cannot increment or decrement non-numeric value"
)
