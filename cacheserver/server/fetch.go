package server

import (
	"sync/atomic"

	"pagegate/cacheserver/protocol"
	"pagegate/cacheserver/store"
)

// A value on disk is read while the session goes on: what is owed gets the value's memory, which is filled later, and nothing of it is
// sent before all that it waits for has been read. So the reads of a batch of requests, or of a get of many keys, go on at the same
// time, and the replies stay in order. A value that does not come has its reply taken out again.

// awaited is a value in what is owed that is still to be read.
type awaited struct {
	load        *store.Load
	first, last int // the pieces that it is in, with all that is only said if it comes
	from, to    int // the text that takes their place if it does not
	done        bool
}

// mark is a point in what is owed that it can be taken back to.
type mark struct{ pieces, to, text, owed, items, awaited int }

func (o *output) mark() mark {
	m := mark{pieces: len(o.pieces), text: len(o.text), owed: o.owed, items: len(o.items), awaited: len(o.awaited)}
	if m.pieces > 0 {
		m.to = o.pieces[m.pieces-1].to
	}
	return m
}

// boundary sees to it that what comes next is in pieces of its own, and returns the number of the first.
func (o *output) boundary() int {
	o.pieces = append(o.pieces, piece{from: len(o.text), to: len(o.text)})
	return len(o.pieces) - 1
}

// await says that all from a boundary on is owed only if a value comes; if not, what was appended to the text alone, from an offset on, is.
func (o *output) await(load *store.Load, first, from int) {
	o.awaited = append(o.awaited, awaited{load, first, len(o.pieces), from, len(o.text), false})
	o.boundary()
}

// replace takes the reply of a value that has not come out.
func (o *output) replace(a awaited) {
	for i := a.first; i < a.last; i++ {
		o.owed -= o.pieces[i].len()
		o.pieces[i] = piece{}
	}
	o.pieces[a.first] = piece{from: a.from, to: a.to}
	o.owed += a.to - a.from
}

// newLoad prepares the reading of a value, and takes over the item; false if there is no memory for it, then the item is given back.
func (s *session) newLoad(it store.Item) (*store.Load, bool) {
	load, ok := s.srv.store.NewLoad(it)
	if !ok {
		it.Release()
		s.stats.diskOOM.Add(1)
		return nil, false
	}
	s.stats.diskGets.Add(1)
	return load, true
}

// takeBack drops what is owed since a mark.
func (s *session) takeBack(m mark) {
	o := &s.out
	s.dropLoads(m.awaited)
	for _, it := range o.items[m.items:] {
		it.Release()
	}
	clear(o.pieces[m.pieces:])
	o.pieces, o.text, o.owed, o.items = o.pieces[:m.pieces], o.text[:m.text], m.owed, o.items[:m.items]
	if m.pieces > 0 && o.pieces[m.pieces-1].outside == nil {
		o.pieces[m.pieces-1].to = m.to
	}
}

// dropLoads gives up the reads that have not begun, from one on.
func (s *session) dropLoads(from int) {
	for _, a := range s.out.awaited[from:] {
		a.load.Abort()
		s.stats.diskAborted.Add(1)
	}
	clear(s.out.awaited[from:])
	s.out.awaited = s.out.awaited[:from]
}

// tryLoads does the reads for which there is no need to wait for the disk, and tells whether those were all; then endLoads is done
// too.
func (s *session) tryLoads() bool {
	all := true
	for i := range s.out.awaited {
		a := &s.out.awaited[i]
		a.done = a.load.Try()
		all = all && a.done
	}
	if all {
		s.endLoads()
	}
	return all
}

// startLoads begins the reads that tryLoads has left, one at least. When all have ended ready is called, from another goroutine; until then the session is nobody's.
func (s *session) startLoads(ready func()) {
	left := new(atomic.Int32)
	for _, a := range s.out.awaited {
		if !a.done {
			left.Add(1)
		}
	}
	done := func() {
		if left.Add(-1) == 0 {
			ready()
		}
	}
	for _, a := range s.out.awaited {
		if !a.done {
			a.load.Start(done)
		}
	}
}

// endLoads puts what is owed in order, after ready.
func (s *session) endLoads() {
	o := &s.out
	for _, a := range o.awaited {
		switch a.load.Outcome() {
		case store.Recached:
			s.stats.diskRecached.Add(1)
		case store.Damaged:
			s.stats.diskBadCRC.Add(1)
			s.stats.diskMisses.Add(1)
			o.replace(a)
		case store.Lost:
			s.stats.diskMisses.Add(1)
			o.replace(a)
		}
	}
	clear(o.awaited)
	if o.awaited = o.awaited[:0]; o.owed == 0 {
		o.reset()
	}
}

// waitForLoads does all that for a session with a goroutine of its own.
func (s *session) waitForLoads() {
	if s.tryLoads() {
		return
	}
	done := make(chan struct{})
	s.startLoads(func() { close(done) })
	<-done
	s.endLoads()
}

// getFromDisk is what a get answers where the value is on disk; false if there is no memory for it.
func (s *session) getFromDisk(key []byte, it store.Item, withCAS bool) bool {
	load, ok := s.newLoad(it)
	if !ok {
		return false
	}
	o := &s.out
	first := o.boundary()
	s.valueLine(key, load.Item(), withCAS)
	s.dataFromDisk(load)
	o.await(load, first, len(o.text))
	return true
}

// dataFromDisk appends the data block of a value that will be read.
func (s *session) dataFromDisk(load *store.Load) {
	s.segments = s.out.outside(load.Item(), s.segments)
	s.out.begin()
	s.out.endLine()
}

// metaFromDisk is metaValue where the value is on disk; first is the boundary before the reply. False if there is no memory for it.
func (s *session) metaFromDisk(it store.Item, first int) bool {
	load, ok := s.newLoad(it)
	if !ok {
		return false
	}
	s.dataFromDisk(load)
	o := &s.out
	from := len(o.text)
	if !s.meta.Quiet {
		o.text = append(append(o.text, metaMiss...), '\r', '\n')
	}
	o.await(load, first, from)
	return true
}

// binaryFromDisk is binaryValue where the value is on disk.
func (s *session) binaryFromDisk(load *store.Load, reply protocol.BinaryReply) {
	o := &s.out
	first := o.boundary()
	s.binaryHead(load.Item(), reply)
	s.segments = o.outside(load.Item(), s.segments)
	from := len(o.text)
	if !s.quiet {
		miss := protocol.BinaryReply{Opcode: s.req.Opcode, Opaque: s.req.Opaque, Status: protocol.StatusNotFound, KeyLen: reply.KeyLen}
		o.text = miss.Append(o.text)
		o.text = append(o.text, s.req.Key[:reply.KeyLen]...)
	}
	o.await(load, first, from)
}
