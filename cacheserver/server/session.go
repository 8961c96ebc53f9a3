package server

import (
	"errors"

	"pagegate/cacheserver/store"
)

// session is one client's conversation, apart from how its bytes arrive: feed takes them, out collects the replies. It
// belongs to one worker. What is here is common to all protocols; the rest is in a file for each.
type session struct {
	srv   *Server
	stats *counters
	out   output

	pending  store.Pending // the value that is being read
	reading  bool          // pending is open
	mode     store.Mode
	swallow  int64 // bytes of a refused value that are still to come
	closing  bool  // no more is read; the connection ends when all is written
	budget   int   // requests that may still be done before others have their turn
	segments [][]byte
	id       int     // the socket's number, for the log
	caller   *caller // who it is; nil over UDP
	messages bool    // each reply is a message of its own: UDP
	idled    bool    // the conversation was ended because nothing came
	failed   bool    // it was ended because it made no sense, or because writing failed

	language language
	textState
	binaryState
}

// feed takes bytes and returns how many of them it used. It stops before the end when a request is not complete, or when
// it has stopped for another reason than want of bytes: see stopped.
func (s *session) feed(b []byte) int {
	used := 0
	if s.out.empty() {
		s.out.count = 0
	}
	for !s.stopped() {
		n, more := s.step(b[used:])
		used += n
		if !more {
			break
		}
	}
	return used
}

// stopped tells whether feed takes no more for now: the client has to read first, has had its turn, or has quit.
func (s *session) stopped() bool { return s.closing || s.budget <= 0 || s.out.full() }

// step takes one thing off the front of b: a request, or bytes of a value. more is false when there is not enough of it.
func (s *session) step(b []byte) (used int, more bool) {
	switch {
	case s.swallow > 0:
		n := min(s.swallow, int64(len(b)))
		if s.swallow -= n; s.swallow > 0 {
			return int(n), false
		}
		if s.after != "" {
			s.say(s.after)
			s.after = ""
		}
		if s.afterText != "" {
			s.failWith(s.afterStatus, s.afterText)
			s.afterText = ""
		}
		return int(n), true
	case s.reading:
		n := s.pending.Write(b)
		switch {
		case s.language == inBinary:
			s.endBinaryValue()
		case s.pending.Remaining() == 0:
			n += s.endOfBlock(b[n:])
		}
		return n, !s.reading
	case s.language == inBinary:
		return s.stepBinary(b)
	case s.language == inText && s.srv.cfg.AuthFile != nil && !s.admitted:
		return s.stepAuth(b)
	case s.language == inText:
		return s.stepText(b)
	case len(b) == 0:
		return 0, false
	}
	s.language = s.srv.cfg.Protocol.language(b[0])
	return 0, true
}

// beginValue takes memory for a value that is to be stored as mode says; its bytes come next. On an error, one of
// store.Alloc's, they have to pass by. exptime is as sent.
func (s *session) beginValue(key []byte, flags uint32, exptime int64, length int, mode store.Mode) error {
	pending, err := s.srv.store.Alloc(key, flags, s.srv.expires(exptime), length)
	if err == nil {
		s.pending, s.reading, s.mode = pending, true, mode
		return nil
	}
	switch {
	case errors.Is(err, store.ErrTooLarge):
		s.stats.tooLarge.Add(1)
		s.noteRefused(key, store.TooLarge, mode)
	case !errors.Is(err, store.ErrKey):
		s.stats.noMemory.Add(1)
		s.noteRefused(key, store.NoMemory, mode)
	}
	if mode == store.Set {
		s.srv.store.Drop(key) // nobody shall read the outdated value
	}
	return err
}

// memcachedLead is how many seconds before its start memcached's count of time begins.
const memcachedLead = 62

// flush makes all items invisible, at once or at a time as it is sent.
func (s *session) flush(exptime int64) {
	s.stats.cmdFlush.Add(1)
	at, shown := int64(0), s.srv.clock() // at once
	if exptime > 0 {
		at = s.srv.expires(exptime)
		shown = at
	}
	s.srv.oldest.Store(shown - 1 - (s.srv.started - memcachedLead))
	s.srv.store.FlushAll(at)
}

// newReply begins what is a message of its own over UDP; evenEmpty says that it is one even if nothing is said in it.
func (s *session) newReply(evenEmpty bool) {
	if s.messages {
		s.out.cuts = append(s.out.cuts, cut{s.out.owed, evenEmpty})
	}
}

// busy tells whether there is something to go on with though no byte is left.
func (s *session) busy() bool { return s.inGet || s.dump != nil }

// reason tells watchers why the conversation has ended.
func (s *session) reason() string {
	switch {
	case s.idled:
		return "idle_timeout"
	case s.failed:
		return "error"
	}
	return "normal"
}

// end gives back what an ended conversation holds.
func (s *session) end() {
	if s.reading {
		s.pending.Abort()
		s.reading = false
	}
	s.releaseHeld()
	s.dropLoads(0)
	if s.watch != nil {
		s.srv.events.remove(s.watch)
	}
	s.out.reset()
}
