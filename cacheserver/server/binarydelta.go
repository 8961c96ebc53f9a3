package server

import (
	"encoding/binary"
	"errors"
	"strconv"

	"pagegate/cacheserver/protocol"
	"pagegate/cacheserver/store"
)

// binaryDelta does increment and decrement, which make a counter that is missing unless told not to.
func (s *session) binaryDelta() {
	r := &s.req
	decr := s.op == protocol.OpDecrement
	s.noteFound(r.Key)
	value, cas, status := s.srv.store.Delta(r.Key, r.Delta, decr, r.CAS)
	switch status {
	case store.Stored:
		s.stats.delta(decr, true)
		s.counter(value, cas)
	case store.NotFound:
		if r.Exptime != protocol.NoInitial {
			s.newCounter()
			return
		}
		s.stats.delta(decr, false)
		s.fail(protocol.StatusNotFound)
	case store.Exists:
		s.fail(protocol.StatusExists)
	case store.NonNumeric:
		s.fail(protocol.StatusNonNumeric)
	default:
		s.failWith(protocol.StatusNoMemory, "Out of memory incrementing value")
	}
}

// newCounter stores the initial value that the request names.
func (s *session) newCounter() {
	r := &s.req
	var buf [20]byte // of 2^64-1
	text := strconv.AppendUint(buf[:0], r.Initial, 10)
	pending, err := s.srv.store.Alloc(r.Key, 0, s.srv.expires(r.Exptime), len(text))
	if errors.Is(err, store.ErrTooLarge) || errors.Is(err, store.ErrNoMemory) {
		s.stats.noMemory.Add(1)
		s.failWith(protocol.StatusNoMemory, "Out of memory allocating new item")
		return
	}
	if err != nil {
		s.fail(protocol.StatusInvalid)
		return
	}
	pending.Write(text)
	status, cas := pending.Commit(store.Add, 0)
	if status != store.Stored { // somebody else was faster
		s.fail(protocol.StatusNotStored)
		return
	}
	s.counter(r.Initial, cas)
}

// counter answers with a counter's value.
func (s *session) counter(value, cas uint64) {
	if s.quiet {
		return
	}
	s.header(protocol.BinaryReply{ValueLen: 8, CAS: cas})
	from := len(s.out.text)
	s.out.text = binary.BigEndian.AppendUint64(s.out.text, value)
	s.out.appended(from)
}
