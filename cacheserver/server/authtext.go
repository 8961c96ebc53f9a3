package server

import (
	"bytes"

	"pagegate/cacheserver/protocol"
)

// Limits in bytes of what a client may send before it has authenticated itself: of a line, with its end or still without, and of the data of its set.
const (
	authLineMin = 7
	authLineMax = 2048
	authDataMax = 16 << 10
)

// stepAuth stands before the text protocol under -Y: the one thing that it lets pass is `set KEY FLAGS EXPTIME LENGTH`
// with the data `user password`, which stores nothing. Then the conversation begins. Lines that are too short or too long to be that
// end it. See step.
func (s *session) stepAuth(b []byte) (used int, more bool) {
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		s.closing = len(b) > authLineMax
		return 0, false
	}
	used = end + 1
	if used < authLineMin {
		s.closing, s.failed = true, true
		return used, false
	}
	length, ok := protocol.ParseAuth(b[:end])
	switch {
	case !ok:
		s.budget--
		s.reply("CLIENT_ERROR unauthenticated")
		return used, true
	case length > authDataMax:
		s.budget--
		s.reply("CLIENT_ERROR auth token too long")
		return used, true
	case int64(len(b)-used) < length+2:
		return 0, false
	}
	s.budget--
	data := b[used : used+int(length)+2]
	s.reply(s.admit(data[:length], data[length:]))
	return used + len(data), true
}

// admit looks at who wants in and returns what to answer.
func (s *session) admit(data, tail []byte) string {
	if string(tail) != "\r\n" {
		return "CLIENT_ERROR bad command line termination"
	}
	user, password, ok := bytes.Cut(data, []byte{' '})
	if !ok {
		return "CLIENT_ERROR bad authentication token format"
	}
	s.stats.authCmds.Add(1)
	if !s.srv.cfg.AuthFile.check(user, password) {
		s.stats.authErrors.Add(1)
		return "CLIENT_ERROR authentication failure"
	}
	s.admitted = true
	return "STORED"
}
