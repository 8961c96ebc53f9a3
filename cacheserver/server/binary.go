package server

import (
	"errors"

	"pagegate/cacheserver/protocol"
	"pagegate/cacheserver/store"
)

// bodyMax is the longest body of a request in bytes, memcached's upper bound of item sizes. What is longer ends the conversation.
const bodyMax = 1 << 30

// binaryState is what a session holds for a conversation in the binary protocol.
type binaryState struct {
	req           protocol.BinaryRequest // its Key points into the bytes of this step only
	op            protocol.Opcode        // of req, not the quiet form
	quiet         bool
	afterStatus   protocol.Status // the answer to a refused value, when it has passed by
	afterText     string
	authenticated bool // by SASL
	saslBegun     bool // the mechanism is chosen
	saslDone      bool // has been authenticated before
}

// stepBinary does one request but for its value; see step.
func (s *session) stepBinary(b []byte) (used int, more bool) {
	r := &s.req
	n, err := protocol.ParseBinary(b, r)
	if err != nil {
		s.srv.logf(1, "Invalid magic:  %x", b[0])
		s.closing = true
		return 0, false
	}
	if n == 0 {
		return 0, false
	}
	s.op, s.quiet = r.Opcode.Loud()
	if s.wantsWhole() && int64(len(b)) < protocol.BinaryHeaderLen+r.BodyLen {
		return 0, false
	}
	s.budget--
	s.newReply(true)
	if s.srv.logs(2) {
		s.srv.logf(2, "<%d binary %#02x %q", s.id, uint8(r.Opcode), r.Key)
	}
	switch {
	case !r.Framed():
		s.refuse(protocol.StatusUnknownCommand)
	case r.BodyLen > bodyMax:
		s.refuse(protocol.StatusInvalid)
	case s.srv.cfg.SASL != nil && !s.mayAsk():
		s.refuse(protocol.StatusAuthError)
	case r.KeyLen > s.srv.cfg.KeyMax, !r.WellFormed():
		s.refuse(protocol.StatusInvalid)
	default:
		return n + s.request(b[n:]), true
	}
	return n, true
}

// request does a request that is in order. What follows it is given for those that are done with their value at once;
// it returns how many bytes of that it used.
func (s *session) request(rest []byte) (used int) {
	switch s.op {
	case protocol.OpGet, protocol.OpGetK, protocol.OpTouch, protocol.OpGAT, protocol.OpGATK:
		s.binaryGet()
	case protocol.OpSet, protocol.OpAdd, protocol.OpReplace, protocol.OpAppend, protocol.OpPrepend:
		s.beginBinaryStore()
	case protocol.OpDelete:
		s.binaryDelete()
	case protocol.OpIncrement, protocol.OpDecrement:
		s.binaryDelta()
	case protocol.OpFlush:
		s.binaryFlush()
	case protocol.OpStat:
		s.binaryStat()
	case protocol.OpNoop:
		s.succeed(0)
	case protocol.OpVersion:
		s.succeedWith(Version)
	case protocol.OpQuit:
		s.succeed(0)
		s.closing = true
	case protocol.OpSASLList, protocol.OpSASLAuth, protocol.OpSASLStep:
		return s.sasl(rest)
	default: // verbosity too: memcached does not know it. It takes the whole body for a value, extras and key once more
		s.failBehind(protocol.StatusUnknownCommand, protocol.StatusUnknownCommand.Text(), s.req.BodyLen)
	}
	return 0
}

// succeed answers a request that has nothing to say but that it is done.
func (s *session) succeed(cas uint64) {
	if !s.quiet {
		s.header(protocol.BinaryReply{CAS: cas})
	}
}

// succeedWith answers with a value of a few bytes.
func (s *session) succeedWith(value string) {
	if s.quiet {
		return
	}
	s.header(protocol.BinaryReply{ValueLen: len(value)})
	from := len(s.out.text)
	s.out.text = append(s.out.text, value...)
	s.out.appended(from)
}

// header appends a reply's header.
func (s *session) header(p protocol.BinaryReply) {
	p.Opcode, p.Opaque = s.req.Opcode, s.req.Opaque
	if s.srv.logs(2) {
		s.srv.logf(2, ">%d binary %#02x status %#02x", s.id, uint8(p.Opcode), uint16(p.Status))
	}
	from := len(s.out.text)
	s.out.text = p.Append(s.out.text)
	s.out.appended(from)
}

// fail answers with an error, quiet or not.
func (s *session) fail(status protocol.Status) { s.failWith(status, status.Text()) }

func (s *session) failWith(status protocol.Status, text string) {
	s.header(protocol.BinaryReply{Status: status, ValueLen: len(text)})
	from := len(s.out.text)
	s.out.text = append(s.out.text, text...)
	s.out.appended(from)
}

// refuse answers with an error after which the conversation ends: nobody knows where the next request begins.
func (s *session) refuse(status protocol.Status) {
	s.fail(status)
	s.closing = true
}

// binaryGet answers get, touch, and what is both.
func (s *session) binaryGet() {
	r := &s.req
	touch := s.op != protocol.OpGet && s.op != protocol.OpGetK
	withKey := s.op == protocol.OpGetK || s.op == protocol.OpGATK
	why := s.beforeFetch(r.Key)
	var it store.Item
	var ok bool
	if touch {
		it, ok = s.srv.store.GetAndTouch(r.Key, s.srv.expires(r.Exptime))
		s.stats.touched(ok)
	} else {
		if it, ok = s.srv.store.Get(r.Key); ok {
			s.stats.hit(it.Class(), it.Segment())
		}
		s.stats.got(ok)
	}
	s.noteGet(r.Key, it, ok, why)
	var load *store.Load
	if ok && it.OnDisk() && s.op != protocol.OpTouch {
		load, ok = s.newLoad(it)
	}
	reply := protocol.BinaryReply{}
	if withKey {
		reply.KeyLen = len(r.Key)
	}
	switch {
	case load != nil:
		s.binaryFromDisk(load, reply)
	case ok:
		s.binaryValue(it, reply)
	case s.quiet:
	case withKey: // a miss that names its key has no text
		reply.Status = protocol.StatusNotFound
		s.header(reply)
		s.key()
	default:
		s.fail(protocol.StatusNotFound)
	}
}

// binaryValue answers with an item, whose reference it takes over.
func (s *session) binaryValue(it store.Item, reply protocol.BinaryReply) {
	s.binaryHead(it, reply)
	if s.op == protocol.OpTouch {
		it.Release()
		return
	}
	s.segments = s.out.value(it, s.segments)
}

// binaryHead appends what stands before an item's value.
func (s *session) binaryHead(it store.Item, reply protocol.BinaryReply) {
	reply.ExtrasLen, reply.CAS = 4, it.CAS()
	if s.op != protocol.OpTouch {
		reply.ValueLen = it.Len()
	}
	s.header(reply)
	from := len(s.out.text)
	flags := it.Flags()
	s.out.text = append(s.out.text, byte(flags>>24), byte(flags>>16), byte(flags>>8), byte(flags))
	s.out.appended(from)
	if reply.KeyLen > 0 {
		s.key()
	}
}

// key appends the request's key.
func (s *session) key() {
	from := len(s.out.text)
	s.out.text = append(s.out.text, s.req.Key...)
	s.out.appended(from)
}

// beginBinaryStore takes memory for the value that follows, or lets it pass by.
func (s *session) beginBinaryStore() {
	r := &s.req
	mode := store.Set
	switch s.op {
	case protocol.OpAdd:
		mode = store.Add
	case protocol.OpReplace:
		mode = store.Replace
	case protocol.OpAppend:
		mode = store.Append
	case protocol.OpPrepend:
		mode = store.Prepend
	}
	if !s.srv.store.KeepsCAS() {
		r.CAS = 0 // memcached finds no room in the new item for the id that is asked for
	}
	s.countSet(r.Key)
	err := s.beginValue(r.Key, r.Flags, r.Exptime, int(r.ValueLen()), mode)
	if err == nil {
		if r.CAS != 0 && mode != store.Append && mode != store.Prepend {
			s.mode = store.CAS // memcached makes one of all three
		}
		s.endBinaryValue() // if it is empty
		return
	}
	status, text := protocol.StatusNoMemory, "Out of memory allocating item"
	if errors.Is(err, store.ErrTooLarge) {
		status, text = protocol.StatusTooLarge, protocol.StatusTooLarge.Text()
	}
	s.failBehind(status, text, r.ValueLen())
}

// failBehind answers with an error when so many bytes have passed by.
func (s *session) failBehind(status protocol.Status, text string, bytes int64) {
	if bytes == 0 {
		s.failWith(status, text)
		return
	}
	s.swallow, s.afterStatus, s.afterText = bytes, status, text
}

// endBinaryValue stores the value if all of it has come.
func (s *session) endBinaryValue() {
	if s.pending.Remaining() > 0 {
		return
	}
	s.reading = false
	s.stats.cmdSet.Add(1)
	status, cas := s.commitOn(store.Terms{Mode: s.mode, Compare: s.req.CAS != 0, CAS: s.req.CAS})
	if s.mode == store.CAS {
		s.stats.cas(status)
	}
	switch {
	case status == store.Stored:
		s.succeed(cas)
	case status == store.Exists:
		s.fail(protocol.StatusExists)
	case s.mode == store.Add:
		s.fail(protocol.StatusExists)
	case s.mode == store.Replace, s.mode == store.CAS && status == store.NotFound:
		s.fail(protocol.StatusNotFound)
	default: // too large when joined, or out of memory, too
		s.fail(protocol.StatusNotStored)
	}
}

func (s *session) binaryDelete() {
	s.noteFound(s.req.Key)
	s.countDelete(s.req.Key)
	status := s.srv.store.DeleteIf(s.req.Key, s.req.CAS)
	switch status {
	case store.Stored:
		s.stats.deleteHits.Add(1)
		s.succeed(0)
	case store.Exists:
		s.fail(protocol.StatusExists)
	default:
		s.stats.deleteMisses.Add(1)
		s.fail(protocol.StatusNotFound)
	}
}

func (s *session) binaryFlush() {
	if s.srv.cfg.NoFlush {
		s.fail(protocol.StatusAuthError)
		return
	}
	s.flush(s.req.Exptime)
	s.succeed(0)
}
