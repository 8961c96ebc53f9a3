package server

import (
	"bytes"

	"pagegate/cacheserver/protocol"
)

// binaryStat answers stat: what the text protocol answers, a packet for each line and an empty one to end. Subcommands
// that memcached has in the text protocol only are not found.
func (s *session) binaryStat() {
	what := s.req.Key
	var lines output
	switch {
	case bytes.HasPrefix(what, []byte("detail")) && s.srv.cfg.NoDump:
		s.fail(protocol.StatusNotFound)
		return
	case len(what) == 0, string(what) == "items", string(what) == "slabs", string(what) == "sizes", bytes.HasPrefix(what, []byte("detail ")):
		s.srv.writeStats(&lines, string(what), s.caller)
	case bytes.HasPrefix(what, []byte("reset")): // memcached compares no more than that
		s.srv.writeStats(&lines, "reset", s.caller)
	case bytes.HasPrefix(what, []byte("settings")):
		s.srv.writeStats(&lines, "settings", s.caller)
	default:
		s.fail(protocol.StatusNotFound)
		return
	}
	switch {
	case bytes.HasPrefix(lines.text, []byte("ERROR")), bytes.HasPrefix(lines.text, []byte("CLIENT_ERROR")):
		s.fail(protocol.StatusNotFound)
		return
	case string(what) == "detail dump":
		s.statPacket([]byte("detailed"), lines.text)
	default:
		s.statPackets(lines.text)
	}
	s.succeed(0)
}

// statPackets answers with the figures of lines as the text protocol has them.
func (s *session) statPackets(lines []byte) {
	for line := range bytes.SplitSeq(lines, []byte("\r\n")) {
		if line, ok := bytes.CutPrefix(line, []byte("STAT ")); ok {
			name, value, _ := bytes.Cut(line, []byte{' '})
			s.statPacket(name, value)
		}
	}
}

// statPacket answers with one figure.
func (s *session) statPacket(name, value []byte) {
	s.header(protocol.BinaryReply{KeyLen: len(name), ValueLen: len(value)})
	from := len(s.out.text)
	s.out.text = append(append(s.out.text, name...), value...)
	s.out.appended(from)
}
