package loop

import (
	"bytes"
	"hash/maphash"

	"github.com/valyala/fasthttp"
)

// Request is a request whose head has been read.
type Request struct {
	Ctx fasthttp.RequestCtx
	// Keep says that the head will be known: when the same bytes come again, Fast is asked with this Request again.
	Keep bool
	// Known is what Fast wants to find again then; it belongs to the head's bytes and to no particular client.
	Known any
	// Spare is what was found for a head that has had to give way to this one, for Fast to use anew; nil if there is none.
	Spare any
}

const (
	// knownHeads is how many heads a worker knows at most, in as many places: each has one, for which others contend.
	knownHeads = 512
	// knownSize is the size in bytes of the largest head that is kept.
	knownSize = 2 << 10
)

// known remembers requests by the bytes of their heads. Equal bytes are parsed alike and want the same, so that of a head
// which has come before neither has to be found out again. A head is kept when it comes a second time and nothing else has
// come for its place meanwhile: those that come once push nothing out.
type known struct {
	seed  maphash.Seed
	heads [knownHeads]*knownHead
	once  [4 * knownHeads]uint64 // hashes of heads that have come once
}

type knownHead struct {
	hash uint64
	head []byte
	Request
}

func newKnown() *known { return &known{seed: maphash.MakeSeed()} }

// find returns the request of a head, nil for one that is not known, and its hash, 0 for one that is too large to keep.
func (k *known) find(head []byte) (r *Request, hash uint64) {
	if len(head) > knownSize {
		return nil, 0
	}
	hash = maphash.Bytes(k.seed, head) | 1 // never 0
	if h := k.heads[hash/2%knownHeads]; h != nil && h.hash == hash && bytes.Equal(h.head, head) {
		return &h.Request, hash
	}
	return nil, hash
}

// place returns the place for a head that has come for the second time, empty; nil for another.
func (k *known) place(head []byte, hash uint64) *knownHead {
	if hash == 0 {
		return nil
	}
	if once := &k.once[hash/2%uint64(len(k.once))]; *once != hash {
		*once = hash
		return nil
	}
	h := &k.heads[hash/2%knownHeads]
	if *h == nil {
		*h = new(knownHead)
	}
	(*h).giveWay()
	return *h
}

// giveWay empties a place.
func (h *knownHead) giveWay() {
	if h.hash, h.Keep = 0, true; h.Known != nil {
		h.Spare, h.Known = h.Known, nil
	}
}

// keep fills a place: its request is the head's from now on.
func (h *knownHead) keep(head []byte, hash uint64) {
	h.hash, h.head = hash, append(h.head[:0], head...)
}
