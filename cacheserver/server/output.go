package server

import (
	"golang.org/x/sys/unix"

	"pagegate/cacheserver/store"
)

// copyBelow is the size in bytes below which a value is copied into the reply's text: cheaper than a piece of its own.
const copyBelow = 4096

// Bounds of what a connection may owe its client before it is no longer read from.
const (
	maxPieces = 256
	maxOwed   = 1 << 20
)

// output is what a connection owes its client: text and, between it, the store's own memory. Items whose memory is owed
// are held until it has been written.
type output struct {
	text   []byte
	pieces []piece
	items  []store.Item
	owed   int
	// awaited are the values among it that are still to be read from disk
	awaited []awaited
	count   int // replies, as far as there is a bound on what they take
	from    int // where the text that is being written begins
	done    int // bytes of the pieces that have been written
	cuts    []cut
}

// cut is where a message begins, in bytes from the beginning of what is owed.
type cut struct {
	at        int
	evenEmpty bool // it is sent even if there is nothing in it
}

// piece is a stretch of text by its offsets, or memory of the store.
type piece struct {
	from, to int
	outside  []byte
}

// len returns the bytes of a piece.
func (p piece) len() int {
	if p.outside != nil {
		return len(p.outside)
	}
	return p.to - p.from
}

func (o *output) empty() bool { return len(o.pieces) == 0 }

// full tells that the client has to read before more is done for it.
func (o *output) full() bool { return len(o.pieces) >= maxPieces || o.owed >= maxOwed }

// appended notes that the text has grown from the offset.
func (o *output) appended(from int) {
	o.owed += len(o.text) - from
	if n := len(o.pieces); n > 0 && o.pieces[n-1].outside == nil && o.pieces[n-1].to == from {
		o.pieces[n-1].to = len(o.text)
		return
	}
	o.pieces = append(o.pieces, piece{from: from, to: len(o.text)})
}

func (o *output) line(s string) {
	o.begin()
	o.text = append(o.text, s...)
	o.endLine()
}

// begin starts a line that is appended to the text piece by piece.
func (o *output) begin() { o.from = len(o.text) }

// endLine ends what begin has started.
func (o *output) endLine() {
	o.text = append(o.text, '\r', '\n')
	o.appended(o.from)
}

// value appends an item's value. It takes over the item: it is released when its bytes have been written.
func (o *output) value(it store.Item, segments [][]byte) [][]byte {
	if it.Len() < copyBelow {
		from := len(o.text)
		if b, whole := it.Bytes(); whole {
			o.text = append(o.text, b...)
		} else {
			segments = it.Segments(segments[:0])
			for _, s := range segments {
				o.text = append(o.text, s...)
			}
		}
		it.Release()
		o.appended(from)
		return segments
	}
	return o.outside(it, segments)
}

// outside is value for memory that is not copied.
func (o *output) outside(it store.Item, segments [][]byte) [][]byte {
	segments = it.Segments(segments[:0])
	for _, s := range segments {
		o.pieces = append(o.pieces, piece{outside: s})
	}
	o.owed += it.Len()
	o.items = append(o.items, it)
	return segments
}

// vectors appends what is still to be written to dst, up to the number that one writev takes. They are valid until the
// output changes.
func (o *output) vectors(dst []unix.Iovec) []unix.Iovec {
	skip := o.done
	for _, p := range o.pieces {
		b := p.outside
		if b == nil {
			b = o.text[p.from:p.to]
		}
		if skip >= len(b) {
			skip -= len(b)
			continue
		}
		v := unix.Iovec{Base: &b[skip]}
		v.SetLen(len(b) - skip)
		if dst = append(dst, v); len(dst) == maxVectors {
			return dst
		}
		skip = 0
	}
	return dst
}

// appendTo appends all that is owed to dst.
func (o *output) appendTo(dst []byte) []byte {
	for _, p := range o.pieces {
		if p.outside != nil {
			dst = append(dst, p.outside...)
		} else {
			dst = append(dst, o.text[p.from:p.to]...)
		}
	}
	return dst
}

// maxVectors is the system's IOV_MAX.
const maxVectors = 1024

// wrote notes that n bytes have gone out, and tells whether all have.
func (o *output) wrote(n int) bool {
	o.done += n
	if o.done < o.owed {
		return false
	}
	o.reset()
	return true
}

// keptText bounds the text buffer that an idle connection keeps.
const keptText = 16 << 10

// reset drops what is owed and gives the items back.
func (o *output) reset() {
	for _, it := range o.items {
		it.Release()
	}
	clear(o.pieces)
	o.text, o.pieces, o.items, o.owed, o.done = o.text[:0], o.pieces[:0], o.items[:0], 0, 0
	o.cuts = o.cuts[:0]
	if cap(o.text) > keptText {
		o.text = nil
	}
}

// replyCost is what a reply takes besides its bytes, in bytes.
const replyCost = 1 << 10

// take counts one more reply and tells whether it is within a bound in bytes.
func (o *output) take(limit int) bool {
	o.count++
	return o.count*replyCost+o.owed <= limit
}
