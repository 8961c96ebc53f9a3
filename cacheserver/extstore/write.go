package extstore

import (
	"encoding/binary"
	"hash/crc32"
	"time"
)

// A record is a header, the key and the value. The key is there for Scan: from it whoever compacts a page finds out whether the value
// is still wanted. A page is a row of buffers; no record reaches from one into the next, and behind the last one of a buffer there are zeros.
const (
	offSum       = 0 // uint32: CRC-32C of the rest of the header and the key
	offValueLen  = 4 // uint32
	offKeyLen    = 8 // uint16, never 0
	recordHeader = 12
)

// RecordSize returns the bytes that a value takes in a page.
func RecordSize(keyLen, valueLen int) int { return recordHeader + keyLen + valueLen }

// Write appends a value, given in pieces, to a bucket's page. It fails when the record is larger than a buffer, when there is no page
// to be had, and while the disk takes nothing: nothing is lost then, and a later call may succeed. The key must have 1 to 65,535 bytes.
// It waits for the disk where a buffer is full.
func (l *Log) Write(b Bucket, key []byte, value ...[]byte) (Place, bool) {
	size := RecordSize(len(key), 0)
	for _, part := range value {
		size += len(part)
	}
	if size > l.cfg.BufferSize {
		return Place{}, false
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	p := l.pageFor(b, size)
	if p == nil {
		return Place{}, false
	}
	at := l.append(p, size, key, value)
	l.counts.objectsWritten.Add(1)
	l.counts.bytesWritten.Add(uint64(size))
	return at, true
}

// pageFor returns the bucket's open page, with so much room in its buffer; nil if there can be none now. The caller holds writing.
func (l *Log) pageFor(b Bucket, size int) *page {
	p := l.open[b]
	if p != nil && len(p.buf)+size > l.cfg.BufferSize {
		if !l.flush(p) {
			return nil
		}
		if p.written == l.cfg.PageSize {
			l.retire(p)
			l.open[b], p = nil, nil
		}
	}
	if p == nil {
		if p = l.take(b); p == nil {
			l.evictFor(b)
			p = l.take(b)
		}
		l.open[b] = p
	}
	return p
}

// append puts a record into the page's buffer, which has room for it. The caller holds writing.
func (l *Log) append(p *page, size int, key []byte, value [][]byte) Place {
	from := len(p.buf)
	// Nobody reads behind the length of the buffer, so that no lock is needed to write there.
	rec := p.buf[from : from+size]
	binary.LittleEndian.PutUint32(rec[offValueLen:], uint32(size-RecordSize(len(key), 0)))
	binary.LittleEndian.PutUint32(rec[offKeyLen:], uint32(len(key)))
	n := recordHeader + copy(rec[recordHeader:], key)
	binary.LittleEndian.PutUint32(rec[offSum:], crc32.Checksum(rec[offValueLen:n], castagnoli))
	at := Place{Page: p.id, Version: p.version, Offset: uint32(p.written) + uint32(from+n)}
	for _, part := range value {
		n += copy(rec[n:], part)
	}
	at.Sum = crc32.Checksum(rec[recordHeader+len(key):], castagnoli)
	p.mu.Lock()
	p.buf = p.buf[:from+size]
	p.objects++
	p.bytes += int64(size)
	p.mu.Unlock()
	return at
}

// flush writes a page's buffer to its file. If that fails what is in it stays there, to be read, and is written later. The caller holds
// writing.
func (l *Log) flush(p *page) bool {
	if time.Now().Before(l.retryAt) {
		return false
	}
	whole := p.buf[:l.cfg.BufferSize]
	clear(whole[len(p.buf):])
	if _, err := p.file.WriteAt(whole, p.base+p.written); err != nil {
		if l.cfg.Failed != nil && l.retryAt.IsZero() {
			l.cfg.Failed(err)
		}
		l.counts.writeFailures.Add(1)
		l.retryAt = time.Now().Add(retryWrites)
		return false
	}
	l.retryAt = time.Time{}
	p.mu.Lock()
	p.written += int64(l.cfg.BufferSize)
	p.buf = p.buf[:0]
	p.mu.Unlock()
	return true
}
