package page

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/cespare/xxhash/v2"
)

// The record: all of a page but its body. Integers are little endian; times are unix milliseconds, 0 for none.
//
//	offset  size  what
//	0       4     magic "pgp" and the version
//	4       1     bits: 1 nginx-readable, 2 the body follows the record, 4 never stale, 8 immutable, 16 gzip, 32 entity tag by this project
//	5       1     bits: 1 text that may be coded, 2 not coded yet
//	6       2     status
//	8       8     stored at
//	16      8     fresh until
//	24      8     stale until
//	32      8     refresh until
//	40      4     initial age in seconds
//	44      4     how long the backend took, in milliseconds
//	48      8     what tells this mark's variants from an earlier mark's; 0 for a page
//	56      4     length of the header block
//	60      12    lengths of the body in br, zstd and gzip, which follow the plain one; 0 for none
//	72      8     length of the body
//	80      8     checksum of the body (xxhash64)
//	88      n     header block
//	88+n    8     checksum of the record so far (xxhash64)
const (
	atStatus, atStored, atFresh, atStale, atRefresh = 6, 8, 16, 24, 32
	atAge, atTook, atVariants                       = 40, 44, 48
	atHeaderLen, atCoded, atBodyLen, atBodySum      = 56, 60, 72, 80

	recordFixed   = 88
	recordTrailer = 8
	recordVersion = 2

	bitReadable  = 1
	bitWhole     = 2
	bitNoStale   = 4
	bitImmutable = 8
	bitGzipped   = 16
	bitTagged    = 32

	bitCodable = 1
	bitUncoded = 2

	// maxHeader bounds the header block of a page: a backend's fields beyond it keep the page out of the cache.
	maxHeader = 64 << 10
)

// ErrRecord says that bytes found in a cache are no record of this version: another program's, cut short, or damaged.
// The reader treats them as a miss.
var ErrRecord = errors.New("page: not a record of this version")

// ErrHeaderTooLarge says that a page's header block is over 64 KiB.
var ErrHeaderTooLarge = errors.New("page: the header is over 64 KiB")

// RecordLen returns the length of the page's record in bytes.
func (p *Page) RecordLen() int { return recordFixed + len(p.Header) + recordTrailer }

// AppendRecord appends the page's record. With whole, the record says that the body follows it in the same item; the
// caller puts it there.
func (p *Page) AppendRecord(dst []byte, whole bool) ([]byte, error) {
	if len(p.Header) > maxHeader {
		return dst, ErrHeaderTooLarge
	}
	start := len(dst)
	dst = append(dst, 'p', 'g', 'p', recordVersion, p.bits(whole), p.codingBits())
	le := binary.LittleEndian
	dst = le.AppendUint16(dst, uint16(p.Status))
	dst = le.AppendUint64(dst, millis(p.StoredAt))
	dst = le.AppendUint64(dst, millis(p.FreshUntil))
	dst = le.AppendUint64(dst, millis(p.StaleUntil))
	dst = le.AppendUint64(dst, millis(p.RefreshUntil))
	dst = le.AppendUint32(dst, whole32(p.InitialAge, time.Second))
	dst = le.AppendUint32(dst, whole32(p.Took, time.Millisecond))
	dst = le.AppendUint64(dst, p.Variants)
	dst = le.AppendUint32(dst, uint32(len(p.Header)))
	for _, coded := range p.Coded {
		n := len(coded)
		if !whole {
			n = 0
		}
		dst = le.AppendUint32(dst, uint32(n))
	}
	dst = le.AppendUint64(dst, uint64(len(p.Body)))
	dst = le.AppendUint64(dst, xxhash.Sum64(p.Body))
	dst = append(dst, p.Header...)
	return binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[start:])), nil
}

// AppendBodies appends what follows a record that is whole: the body, plain and in its codings.
func (p *Page) AppendBodies(dst []byte) []byte {
	dst = append(dst, p.Body...)
	for _, coded := range p.Coded {
		dst = append(dst, coded...)
	}
	return dst
}

// BodiesLen is the length in bytes of what AppendBodies appends.
func (p *Page) BodiesLen() int {
	n := len(p.Body)
	for _, coded := range p.Coded {
		n += len(coded)
	}
	return n
}

// DecodeWhole reads an item that holds a record and the bodies behind it. The page's Header and bodies point into item.
func (p *Page) DecodeWhole(item []byte) error {
	rest, whole, _, err := p.decode(item)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	bodyLen := le.Uint64(item[atBodyLen:])
	if !whole || bodyLen > uint64(len(rest)) {
		return ErrRecord
	}
	p.Body, rest = rest[:bodyLen:bodyLen], rest[bodyLen:]
	for c := range p.Coded {
		n := int(le.Uint32(item[atCoded+4*c:]))
		if n > len(rest) {
			return ErrRecord
		}
		if p.Coded[c] = nil; n > 0 {
			p.Coded[c], rest = rest[:n:n], rest[n:]
		}
	}
	if len(rest) != 0 {
		return ErrRecord
	}
	return nil
}

// DecodeSplit reads a record that stands beside a body. It returns ErrRecord when the two do not belong together. The
// page's Header and Body point into the arguments.
func (p *Page) DecodeSplit(record, body []byte) error {
	rest, whole, sum, err := p.decode(record)
	if err != nil {
		return err
	}
	bodyLen := binary.LittleEndian.Uint64(record[atBodyLen:])
	if whole || len(rest) != 0 || bodyLen != uint64(len(body)) || sum != xxhash.Sum64(body) {
		return ErrRecord
	}
	p.Body = body
	return nil
}

// decode reads the record at the start of item and returns what follows it and the body's checksum.
func (p *Page) decode(item []byte) (rest []byte, whole bool, bodySum uint64, err error) {
	if len(item) < recordFixed+recordTrailer || string(item[:3]) != "pgp" || item[3] != recordVersion {
		return nil, false, 0, ErrRecord
	}
	le := binary.LittleEndian
	headerLen := le.Uint32(item[atHeaderLen:])
	if headerLen > maxHeader || len(item) < recordFixed+int(headerLen)+recordTrailer {
		return nil, false, 0, ErrRecord
	}
	end := recordFixed + int(headerLen)
	if le.Uint64(item[end:]) != xxhash.Sum64(item[:end]) || !validHeader(item[recordFixed:end]) {
		return nil, false, 0, ErrRecord
	}
	p.setBits(item[4], item[5])
	p.Status = int(le.Uint16(item[atStatus:]))
	p.StoredAt = fromMillis(le.Uint64(item[atStored:]))
	p.FreshUntil = fromMillis(le.Uint64(item[atFresh:]))
	p.StaleUntil = fromMillis(le.Uint64(item[atStale:]))
	p.RefreshUntil = fromMillis(le.Uint64(item[atRefresh:]))
	p.InitialAge = time.Duration(le.Uint32(item[atAge:])) * time.Second
	p.Took = time.Duration(le.Uint32(item[atTook:])) * time.Millisecond
	p.Variants = le.Uint64(item[atVariants:])
	p.Header = item[recordFixed:end]
	return item[end+recordTrailer:], item[4]&bitWhole != 0, le.Uint64(item[atBodySum:]), nil
}

func (p *Page) bits(whole bool) byte {
	return bitIf(bitReadable, p.NginxReadable) | bitIf(bitWhole, whole) | bitIf(bitNoStale, p.NoStale) |
		bitIf(bitImmutable, p.Immutable) | bitIf(bitGzipped, p.GzippedHere) | bitIf(bitTagged, p.TaggedHere)
}

func (p *Page) codingBits() byte { return bitIf(bitCodable, p.Codable) | bitIf(bitUncoded, p.Uncoded) }

func bitIf(bit byte, set bool) byte {
	if set {
		return bit
	}
	return 0
}

func (p *Page) setBits(b, coding byte) {
	p.Codable = coding&bitCodable != 0
	p.Uncoded = coding&bitUncoded != 0
	p.NginxReadable = b&bitReadable != 0
	p.NoStale = b&bitNoStale != 0
	p.Immutable = b&bitImmutable != 0
	p.GzippedHere = b&bitGzipped != 0
	p.TaggedHere = b&bitTagged != 0
}

func millis(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixMilli())
}

func fromMillis(ms uint64) time.Time {
	if ms == 0 || ms > math.MaxInt64 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms))
}

// whole32 is how many whole units d has, as far as 32 bits can say.
func whole32(d, unit time.Duration) uint32 {
	return uint32(min(max(0, d/unit), math.MaxUint32))
}
