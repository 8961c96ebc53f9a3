package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// packet builds a request.
func packet(op Opcode, extras, key, value string) []byte {
	b := []byte{BinaryRequestMagic, byte(op), byte(len(key) >> 8), byte(len(key)), byte(len(extras)), 0, 0, 0}
	b = binary.BigEndian.AppendUint32(b, uint32(len(extras)+len(key)+len(value)))
	b = binary.BigEndian.AppendUint32(b, 0xcafe)
	b = binary.BigEndian.AppendUint64(b, 7)
	return append(append(append(b, extras...), key...), value...)
}

func TestParseBinary(t *testing.T) {
	const deltaExtras = "\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x09\xff\xff\xff\xff"
	for _, tt := range []struct {
		name       string
		b          []byte
		want       BinaryRequest
		wellFormed bool
	}{
		{"get", packet(OpGet, "", "k", ""), BinaryRequest{Opcode: OpGet, KeyLen: 1, BodyLen: 1, Key: []byte("k")}, true},
		{"getkq", packet(0x0d, "", "kk", ""), BinaryRequest{Opcode: 0x0d, KeyLen: 2, BodyLen: 2, Key: []byte("kk")}, true},
		{"get without a key", packet(OpGet, "", "", ""), BinaryRequest{Opcode: OpGet, Key: []byte{}}, false},
		{"get with a value", packet(OpGet, "", "k", "v"), BinaryRequest{Opcode: OpGet, KeyLen: 1, BodyLen: 2, Key: []byte("k")}, false},
		{"set", packet(OpSet, "\x00\x00\x00\x02\xff\xff\xff\xff", "k", "vvv"),
			BinaryRequest{Opcode: OpSet, KeyLen: 1, ExtrasLen: 8, BodyLen: 12, Key: []byte("k"), Flags: 2, Exptime: 1<<32 - 1}, true},
		{"set with short extras", packet(OpSet, "\x00\x00\x00\x02", "k", "v"),
			BinaryRequest{Opcode: OpSet, KeyLen: 1, ExtrasLen: 4, BodyLen: 6, Key: []byte("k"), Flags: 2}, false},
		{"incrementq", packet(0x15, deltaExtras, "n", ""), BinaryRequest{Opcode: 0x15, KeyLen: 1, ExtrasLen: 20, BodyLen: 21,
			Key: []byte("n"), Delta: 5, Initial: 9, Exptime: NoInitial}, true},
		{"extras longer than any", packet(OpDecrement, deltaExtras+"more", "n", ""), BinaryRequest{Opcode: OpDecrement, KeyLen: 1,
			ExtrasLen: 24, BodyLen: 25, Key: []byte("n"), Delta: 5, Initial: 9, Exptime: NoInitial}, false},
		{"touch", packet(OpTouch, "\x00\x00\x00\x05", "k", ""), BinaryRequest{Opcode: OpTouch, KeyLen: 1, ExtrasLen: 4, BodyLen: 5,
			Key: []byte("k"), Exptime: 5}, true},
		{"flush", packet(OpFlush, "", "", ""), BinaryRequest{Opcode: OpFlush, Key: []byte{}}, true},
		{"flush with a key", packet(OpFlush, "", "k", ""), BinaryRequest{Opcode: OpFlush, KeyLen: 1, BodyLen: 1, Key: []byte("k")}, false},
		{"noop with a value", packet(OpNoop, "", "", "v"), BinaryRequest{Opcode: OpNoop, BodyLen: 1, Key: []byte{}}, false},
		{"unknown", packet(0x70, "ee", "k", "v"), BinaryRequest{Opcode: 0x70, KeyLen: 1, ExtrasLen: 2, BodyLen: 4, Key: []byte("k")}, true},
	} {
		tt.want.Opaque, tt.want.CAS = 0xcafe, 7
		var r BinaryRequest
		n, err := ParseBinary(tt.b, &r)
		if err != nil || n != BinaryHeaderLen+r.ExtrasLen+r.KeyLen {
			t.Errorf("%s: %d, %v", tt.name, n, err)
		}
		if diff := cmp.Diff(tt.want, r); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
		if !r.Framed() || r.WellFormed() != tt.wellFormed {
			t.Errorf("%s: framed %v, well-formed %v", tt.name, r.Framed(), r.WellFormed())
		}
		for i := range n {
			if n, err := ParseBinary(tt.b[:i], &r); n != 0 || err != nil {
				t.Errorf("%s: from %d bytes: %d, %v", tt.name, i, n, err)
			}
		}
	}
}

func TestParseBinaryRefuses(t *testing.T) {
	var r BinaryRequest
	for _, b := range []string{"get a\r\n", "\x81", "\x00"} { // as in memcached, when there is as much as a header
		whole := append([]byte(b), make([]byte, BinaryHeaderLen-len(b))...)
		if n, err := ParseBinary(whole[:BinaryHeaderLen-1], &r); n != 0 || err != nil {
			t.Errorf("%q: %d, %v", b, n, err)
		}
		if _, err := ParseBinary(whole, &r); !errors.Is(err, ErrMagic) {
			t.Errorf("%q: %v", b, err)
		}
	}
	b := packet(OpGet, "", "key", "")
	b[11] = 2 // a body shorter than its key
	if n, err := ParseBinary(b, &r); n != len(b) || err != nil || r.Framed() {
		t.Errorf("%d, %v, %+v", n, err, r)
	}
}

func TestBinaryReply(t *testing.T) {
	got := BinaryReply{Opcode: OpGetK, Status: StatusNotFound, ExtrasLen: 4, KeyLen: 258, ValueLen: 65536, Opaque: 0xa1b2c3d4, CAS: 1 << 56}.Append([]byte("x"))
	want := "x\x81\x0c\x01\x02\x04\x00\x00\x01\x00\x01\x01\x06\xa1\xb2\xc3\xd4\x01\x00\x00\x00\x00\x00\x00\x00"
	if string(got) != want {
		t.Errorf("%q\nwant %q", got, want)
	}
}

func TestLoud(t *testing.T) {
	quiet := 0
	for op := range 256 {
		same, q := Opcode(op).Loud()
		if again, q := same.Loud(); again != same || q {
			t.Errorf("%#x: %#x is quiet too", op, same)
		}
		if q {
			quiet++
		}
	}
	if quiet != 14 {
		t.Errorf("%d quiet opcodes", quiet)
	}
}

func TestParseBinaryAllocatesNothing(t *testing.T) {
	b := packet(OpSet, "\x00\x00\x00\x02\x00\x00\x00\x00", "some_key", "")
	var r BinaryRequest
	buf := make([]byte, 0, 100)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := ParseBinary(b, &r); err != nil || !r.WellFormed() {
			t.Fatal(err)
		}
		buf = BinaryReply{Opcode: r.Opcode}.Append(buf[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Whatever comes: no panic, nothing is read past the request, and a part of a request is never taken for the whole.
func FuzzParseBinary(f *testing.F) {
	for op := range Opcode(0x30) {
		f.Add(packet(op, "", "key", ""))
		f.Add(packet(op, "\x00\x00\x00\x01\x00\x00\x00\x02", "key", "value"))
	}
	f.Add(packet(OpIncrement, "\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x09\xff\xff\xff\xff", "n", ""))
	f.Add([]byte("\x80\x12\x00\x01\x08\x00\x00\x00\xff\xff\xff\xe8abcdefghijklmnopqrstuvwxyz"))
	f.Add([]byte("get a\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := bytes.Clone(b)
		var r BinaryRequest
		n, err := ParseBinary(b, &r)
		if !bytes.Equal(before, b) {
			t.Error("the bytes were changed")
		}
		if err != nil || n == 0 {
			if n != 0 || (err == nil && len(b) >= BinaryHeaderLen+255+65535) {
				t.Errorf("%d, %v", n, err)
			}
			return
		}
		if len(r.Key) != r.KeyLen || n > len(b) || (r.Framed() && r.ValueLen() < 0) {
			t.Errorf("%d of %d bytes: %+v", n, len(b), r)
		}
		var part BinaryRequest
		if m, err := ParseBinary(b[:n-1], &part); m != 0 || err != nil {
			t.Errorf("of all but the last byte: %d, %v", m, err)
		}
		r.WellFormed()
	})
}
