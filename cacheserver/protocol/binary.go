package protocol

import (
	"encoding/binary"
	"errors"
)

// The binary protocol (protocol-binary.txt): packets of a header of 24 bytes and a body of extras, key and value, all
// numbers in network byte order.

// First bytes of packets.
const (
	BinaryRequestMagic  = 0x80
	BinaryResponseMagic = 0x81
)

// Lengths in bytes of a packet's header, and of the longest extras that a request of the protocol has.
const (
	BinaryHeaderLen = 24
	extrasMax       = 20
)

// ErrMagic is ParseBinary's error for what does not begin as a request does. The stream cannot be followed any more.
var ErrMagic = errors.New("not a request of the binary protocol")

// Opcode is what a binary request does.
type Opcode uint8

// The opcodes that memcached knows, without the quiet forms, which Loud turns into these.
const (
	OpGet       Opcode = 0x00
	OpSet       Opcode = 0x01
	OpAdd       Opcode = 0x02
	OpReplace   Opcode = 0x03
	OpDelete    Opcode = 0x04
	OpIncrement Opcode = 0x05
	OpDecrement Opcode = 0x06
	OpQuit      Opcode = 0x07
	OpFlush     Opcode = 0x08
	OpNoop      Opcode = 0x0a
	OpVersion   Opcode = 0x0b
	OpGetK      Opcode = 0x0c
	OpAppend    Opcode = 0x0e
	OpPrepend   Opcode = 0x0f
	OpStat      Opcode = 0x10
	OpTouch     Opcode = 0x1c
	OpGAT       Opcode = 0x1d
	OpSASLList  Opcode = 0x20
	OpSASLAuth  Opcode = 0x21
	OpSASLStep  Opcode = 0x22
	OpGATK      Opcode = 0x23
)

// loud is, by opcode, the one that does the same and is not quiet.
var loud = func() (table [256]Opcode) {
	for op := range table {
		table[op] = Opcode(op)
	}
	for quiet, op := range map[Opcode]Opcode{
		0x09: OpGet, 0x0d: OpGetK, 0x11: OpSet, 0x12: OpAdd, 0x13: OpReplace, 0x14: OpDelete, 0x15: OpIncrement,
		0x16: OpDecrement, 0x17: OpQuit, 0x18: OpFlush, 0x19: OpAppend, 0x1a: OpPrepend, 0x1e: OpGAT, 0x24: OpGATK,
	} {
		table[quiet] = op
	}
	return table
}()

// Loud returns the opcode that does the same and always answers, and whether op is its quiet form: one that leaves out
// the answer that is to be expected, which is success, or, for the get family, a miss.
func (op Opcode) Loud() (same Opcode, quiet bool) {
	same = loud[op]
	return same, same != op
}

// Status is the outcome in a binary response.
type Status uint16

// The statuses of memcached's protocol_binary.h.
const (
	StatusOK             Status = 0x00
	StatusNotFound       Status = 0x01
	StatusExists         Status = 0x02
	StatusTooLarge       Status = 0x03
	StatusInvalid        Status = 0x04
	StatusNotStored      Status = 0x05
	StatusNonNumeric     Status = 0x06
	StatusAuthError      Status = 0x20
	StatusAuthContinue   Status = 0x21
	StatusUnknownCommand Status = 0x81
	StatusNoMemory       Status = 0x82
)

// Text returns the words that memcached sends with an error.
func (st Status) Text() string {
	switch st {
	case StatusNotFound:
		return "Not found"
	case StatusExists:
		return "Data exists for key."
	case StatusTooLarge:
		return "Too large."
	case StatusInvalid:
		return "Invalid arguments"
	case StatusNotStored:
		return "Not stored."
	case StatusNonNumeric:
		return "Non-numeric server-side value for incr or decr"
	case StatusAuthError:
		return "Auth failure."
	case StatusUnknownCommand:
		return "Unknown command"
	case StatusNoMemory:
		return "Out of memory"
	}
	return ""
}

// BinaryRequest is a request of the binary protocol but for its value.
type BinaryRequest struct {
	Opcode    Opcode
	KeyLen    int
	ExtrasLen int
	BodyLen   int64 // bytes of extras, key and value, as the header says
	Opaque    uint32
	CAS       uint64
	Key       []byte // points into what was parsed

	Flags   uint32 // of set, add, replace
	Exptime int64  // of set, add, replace, increment, decrement, touch, gat, flush; as sent, 0 if not sent
	Delta   uint64 // of increment, decrement
	Initial uint64 // of increment, decrement
}

// NoInitial is the Exptime of an increment or decrement that shall not make a counter that is missing.
const NoInitial = 0xffffffff

// ParseBinary reads the header, extras and key at the front of b into r and returns how many bytes they have. n is 0
// when b holds only a part of them. It checks nothing but the first byte: see Framed and WellFormed.
func ParseBinary(b []byte, r *BinaryRequest) (n int, err error) {
	if len(b) < BinaryHeaderLen {
		return 0, nil
	}
	if b[0] != BinaryRequestMagic {
		return 0, ErrMagic
	}
	*r = BinaryRequest{
		Opcode:    Opcode(b[1]),
		KeyLen:    int(binary.BigEndian.Uint16(b[2:])),
		ExtrasLen: int(b[4]),
		BodyLen:   int64(binary.BigEndian.Uint32(b[8:])),
		Opaque:    binary.BigEndian.Uint32(b[12:]),
		CAS:       binary.BigEndian.Uint64(b[16:]),
	}
	n = BinaryHeaderLen + r.ExtrasLen + r.KeyLen
	if len(b) < n {
		return 0, nil
	}
	r.Key = b[n-r.KeyLen : n : n]
	r.extras(b[BinaryHeaderLen : n-r.KeyLen])
	return n, nil
}

// extras reads the fields of each opcode from what may be shorter or longer than they are.
func (r *BinaryRequest) extras(b []byte) {
	var e [extrasMax]byte
	copy(e[:], b)
	switch op, _ := r.Opcode.Loud(); op {
	case OpSet, OpAdd, OpReplace:
		r.Flags = binary.BigEndian.Uint32(e[:])
		r.Exptime = int64(binary.BigEndian.Uint32(e[4:]))
	case OpIncrement, OpDecrement:
		r.Delta = binary.BigEndian.Uint64(e[:])
		r.Initial = binary.BigEndian.Uint64(e[8:])
		r.Exptime = int64(binary.BigEndian.Uint32(e[16:]))
	case OpTouch, OpGAT, OpGATK, OpFlush:
		r.Exptime = int64(binary.BigEndian.Uint32(e[:]))
	}
}

// ValueLen returns the bytes of the value, which follow the key. It is not negative if the request is Framed.
func (r *BinaryRequest) ValueLen() int64 { return r.BodyLen - int64(r.KeyLen) - int64(r.ExtrasLen) }

// Framed tells whether the body is as long as its parts at least.
func (r *BinaryRequest) Framed() bool { return r.ValueLen() >= 0 }

// WellFormed tells whether a request has the parts that its opcode wants, as far as memcached looks; true for an opcode
// that is not known.
func (r *BinaryRequest) WellFormed() bool {
	op, _ := r.Opcode.Loud()
	value := r.ValueLen() > 0
	switch op {
	case OpGet, OpGetK, OpDelete:
		return r.ExtrasLen == 0 && r.KeyLen > 0 && !value
	case OpSet, OpAdd, OpReplace:
		return r.ExtrasLen == 8 && r.KeyLen > 0
	case OpAppend, OpPrepend, OpSASLAuth, OpSASLStep:
		return r.ExtrasLen == 0 && r.KeyLen > 0
	case OpIncrement, OpDecrement:
		return r.ExtrasLen == 20 && r.KeyLen > 0 && !value
	case OpTouch, OpGAT, OpGATK:
		return r.ExtrasLen == 4 && r.KeyLen > 0
	case OpFlush:
		return (r.ExtrasLen == 0 || r.ExtrasLen == 4) && r.KeyLen == 0 && !value
	case OpStat:
		return r.ExtrasLen == 0
	case OpQuit, OpNoop, OpVersion, OpSASLList:
		return r.BodyLen == 0
	}
	return true
}

// BinaryReply is the header of a response.
type BinaryReply struct {
	Opcode    Opcode // of the request, quiet or not
	Status    Status
	ExtrasLen int
	KeyLen    int
	ValueLen  int
	Opaque    uint32 // of the request
	CAS       uint64
}

// Append appends the header to dst. Extras, key and value are the caller's to append, in this order.
func (p BinaryReply) Append(dst []byte) []byte {
	dst = append(dst, BinaryResponseMagic, byte(p.Opcode))
	dst = binary.BigEndian.AppendUint16(dst, uint16(p.KeyLen))
	dst = append(dst, byte(p.ExtrasLen), 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(p.Status))
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.ExtrasLen+p.KeyLen+p.ValueLen))
	dst = binary.BigEndian.AppendUint32(dst, p.Opaque)
	return binary.BigEndian.AppendUint64(dst, p.CAS)
}
