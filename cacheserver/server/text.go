package server

import (
	"bytes"
	"errors"
	"strconv"

	"pagegate/cacheserver/protocol"
	"pagegate/cacheserver/store"
)

// Limits of a request line in bytes: one that has no end by then is an error, but for the get family, whose lines may
// hold thousands of keys.
const (
	maxLine    = 2048
	maxGetLine = 1 << 20
)

// textState is what a session holds for a conversation in the text protocol.
type textState struct {
	cmd     protocol.Command
	meta    protocol.Meta
	tail    int // bytes of the data block's CR LF that have been seen
	badTail bool
	after   string // the reply to a refused data block
	partial []byte // the keys of a get line that is answered in parts
	inGet   bool
	dump    *dump    // a dump of the items that is under way
	held    []held   // references that debugitem has taken
	watch   *watcher // the connection is to become this watcher
	// admitted: who is talking has authenticated himself, where that is asked for
	admitted bool
}

// stepText does one line, or goes on with a get line; see step.
func (s *session) stepText(b []byte) (used int, more bool) {
	switch {
	case s.inGet:
		s.getKeys()
		return 0, true
	case s.dump != nil:
		s.dumpSome()
		return 0, true
	}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		s.checkLong(b)
		return 0, false
	}
	s.run(bytes.TrimSuffix(b[:end], []byte{'\r'}))
	return end + 1, true
}

// checkLong ends a conversation whose line has no end.
func (s *session) checkLong(line []byte) {
	limit := maxLine + s.srv.cfg.KeyMax
	if bytes.HasPrefix(line, []byte("get ")) || bytes.HasPrefix(line, []byte("gets ")) {
		limit = maxGetLine
	}
	if len(line) >= limit {
		s.reply(protocol.ErrUnknown)
		s.closing, s.failed = true, true
	}
}

// reply appends a reply line.
func (s *session) reply(line string) {
	if s.srv.logs(2) { // asked first: what logf gets costs an allocation
		s.srv.logf(2, ">%d %s", s.id, line)
	}
	s.out.line(line)
}

// say appends a reply line unless the command asked for none.
func (s *session) say(line string) {
	if !s.cmd.NoReply {
		s.reply(line)
	}
}

// run does one line.
func (s *session) run(line []byte) {
	s.budget--
	if share := s.srv.replyShare; share > 0 && !s.out.take(share) {
		s.noReplyMemory()
		s.closing, s.failed = true, true
		return
	}
	if s.srv.logs(2) {
		s.srv.logf(2, "<%d %s", s.id, line)
	}
	errLine := protocol.Parse(line, s.srv.cfg.KeyMax, &s.cmd)
	if errLine != "" && looksLikeHTTP(line) {
		s.closing, s.failed = true, true
		return
	}
	if errLine != "" {
		s.say(errLine)
		return
	}
	c := &s.cmd
	if c.Verb.IsMeta() {
		s.runMeta()
		return
	}
	switch c.Verb {
	case protocol.Get, protocol.Gets, protocol.Gat, protocol.Gats:
		s.inGet = true
		if s.getKeys(); s.inGet { // it goes on later, and the line's memory is the worker's
			s.partial = append(s.partial[:0], c.Keys...)
			c.Keys = s.partial
		}
	case protocol.Set, protocol.Add, protocol.Replace, protocol.Append, protocol.Prepend, protocol.CAS:
		s.beginStore()
	case protocol.Delete:
		s.delete()
	case protocol.Incr, protocol.Decr:
		s.delta()
	case protocol.Touch:
		s.touch()
	case protocol.FlushAll:
		s.flushAll()
	case protocol.Stats:
		s.textStats(protocol.Words(c.Keys))
	case protocol.Admin:
		s.admin(string(c.Arg), protocol.Words(c.Keys))
	case protocol.Version:
		s.reply("VERSION " + Version)
	case protocol.Verbosity:
		s.srv.setVerbosity(s.cmd.Level)
		s.say("OK")
	case protocol.Noop:
		s.reply("MN")
	case protocol.Quit:
		s.closing = true
	}
}

// looksLikeHTTP tells a web client, whose requests may hold lines that somebody else chose, from one of memcached's, by a line
// that is no command.
func looksLikeHTTP(line []byte) bool {
	last := bytes.LastIndexByte(line, ' ')
	return last >= 0 && bytes.HasPrefix(line[last+1:], []byte("HTTP/")) ||
		bytes.HasPrefix(line, []byte("GET /")) || bytes.HasPrefix(line, []byte("POST /")) || bytes.HasPrefix(line, []byte("PUT /"))
}

// getKeys answers as many keys as the client may be owed.
func (s *session) getKeys() {
	c := &s.cmd
	withCAS := c.Verb == protocol.Gets || c.Verb == protocol.Gats
	for !s.out.full() {
		key := c.NextKey()
		if len(key) == 0 {
			s.inGet = false
			s.reply("END")
			return
		}
		if len(key) > s.srv.cfg.KeyMax {
			if s.srv.cfg.PageKeys {
				s.stats.getMisses.Add(1)
				s.stats.cmdGet.Add(1)
				continue // nothing that nginx can ask for is an error
			}
			s.inGet = false
			s.reply(protocol.ErrFormat)
			return
		}
		if share := s.srv.replyShare; share > 0 && !s.out.take(share) {
			s.inGet = false
			s.noReplyMemory()
			s.reply("SERVER_ERROR out of memory writing get response")
			return
		}
		s.get(key, withCAS)
	}
}

// noReplyMemory drops what is owed, since it takes more than it may (Config.ReplyMemory).
func (s *session) noReplyMemory() {
	s.stats.replyOOM.Add(1)
	s.out.reset()
}

func (s *session) get(key []byte, withCAS bool) {
	var it store.Item
	var ok bool
	if s.cmd.Verb == protocol.Gat || s.cmd.Verb == protocol.Gats {
		it, ok = s.srv.store.GetAndTouch(key, s.srv.expires(s.cmd.Exptime))
		s.stats.touched(ok)
	} else {
		if it, ok = s.srv.store.Get(key); ok {
			s.stats.hit(it.Class(), it.Segment())
		}
	}
	s.stats.got(ok)
	s.noteGet(key, it, ok)
	if !ok {
		return
	}
	if s.srv.logs(2) {
		s.srv.logf(2, ">%d sending key %s", s.id, key)
	}
	o := &s.out
	from := len(o.text)
	o.text = append(append(append(o.text, "VALUE "...), key...), ' ')
	o.text = append(strconv.AppendUint(o.text, uint64(it.Flags()), 10), ' ')
	o.text = strconv.AppendInt(o.text, int64(it.Len()), 10)
	if withCAS {
		o.text = strconv.AppendUint(append(o.text, ' '), it.CAS(), 10)
	}
	o.text = append(o.text, '\r', '\n')
	o.appended(from)
	s.segments = o.value(it, s.segments)
	from = len(o.text)
	o.text = append(o.text, '\r', '\n')
	o.appended(from)
}

var modes = [...]store.Mode{
	protocol.Set: store.Set, protocol.Add: store.Add, protocol.Replace: store.Replace, protocol.Append: store.Append,
	protocol.Prepend: store.Prepend, protocol.CAS: store.CAS,
}

// beginStore takes memory for the data block, or lets it pass by.
func (s *session) beginStore() {
	c := &s.cmd
	s.beginBlock(c.Key, c.Flags, c.Exptime, c.Length, modes[c.Verb])
}

// beginBlock takes memory for a data block of so many bytes and its CR LF, or lets it pass by.
func (s *session) beginBlock(key []byte, flags uint32, exptime, length int64, mode store.Mode) {
	err := s.beginValue(key, flags, exptime, int(length), mode)
	switch {
	case err == nil:
		s.tail, s.badTail = 0, false
		return
	case errors.Is(err, store.ErrTooLarge):
		s.after = protocol.ErrTooLarge
	case errors.Is(err, store.ErrKey):
		s.after = protocol.ErrFormat
	default:
		s.after = protocol.ErrNoMemory
	}
	s.swallow = length + 2
}

// endOfBlock takes what ends a data block, whose bytes have all come.
func (s *session) endOfBlock(b []byte) (used int) {
	for _, want := range []byte{'\r', '\n'}[s.tail:] {
		if used == len(b) {
			return used
		}
		s.badTail = s.badTail || b[used] != want
		s.tail++
		used++
	}
	s.reading = false
	switch {
	case s.badTail:
		s.pending.Abort()
		s.say(protocol.ErrDataChunk)
	case s.cmd.Verb == protocol.MetaSet:
		s.commitMeta()
	default:
		s.commit()
	}
	return used
}

func (s *session) commit() {
	status, _ := s.commitOn(store.Terms{Mode: s.mode, Compare: s.mode == store.CAS, CAS: s.cmd.CAS})
	if s.cmd.Verb == protocol.CAS {
		s.stats.cas(status)
	}
	switch status {
	case store.Stored:
		s.say("STORED")
	case store.NotStored:
		s.say("NOT_STORED")
	case store.Exists:
		s.say("EXISTS")
	case store.NotFound:
		s.say("NOT_FOUND")
	case store.TooLarge:
		s.say(protocol.ErrTooLarge)
	default:
		s.stats.noMemory.Add(1)
		s.say(protocol.ErrNoMemory)
	}
}

func (s *session) delete() {
	s.noteFound(s.cmd.Key)
	ok := s.srv.store.Delete(s.cmd.Key) == store.Stored
	s.stats.deleted(ok)
	s.noteDelete(s.cmd.Key, "delete", ok)
	if ok {
		s.say("DELETED")
	} else {
		s.say("NOT_FOUND")
	}
}

func (s *session) touch() {
	s.noteFound(s.cmd.Key)
	ok := s.srv.store.Touch(s.cmd.Key, s.srv.expires(s.cmd.Exptime)) == store.Stored
	s.stats.touched(ok)
	if ok {
		s.say("TOUCHED")
	} else {
		s.say("NOT_FOUND")
	}
}

func (s *session) delta() {
	decr := s.cmd.Verb == protocol.Decr
	s.noteFound(s.cmd.Key)
	value, _, status := s.srv.store.Delta(s.cmd.Key, s.cmd.Delta, decr, 0)
	s.stats.delta(decr, status != store.NotFound)
	switch status {
	case store.Stored:
		if s.cmd.NoReply {
			return
		}
		from := len(s.out.text)
		s.out.text = append(strconv.AppendUint(s.out.text, value, 10), '\r', '\n')
		s.out.appended(from)
	case store.NotFound:
		s.say("NOT_FOUND")
	case store.NonNumeric:
		s.say(protocol.ErrNonNumber)
	default:
		s.say("SERVER_ERROR out of memory in incr")
	}
}

func (s *session) flushAll() {
	if s.srv.cfg.NoFlush {
		s.say("CLIENT_ERROR flush_all not allowed")
		return
	}
	s.flush(s.cmd.Exptime)
	s.say("OK")
}
