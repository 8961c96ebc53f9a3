package server

import (
	"bytes"
	"errors"
	"strconv"

	"pagegate/cacheserver/protocol"
	"pagegate/cacheserver/store"
)

// Limits of a request line in bytes: one that has no end by then ends the conversation, but for get and gets, whose lines may hold
// thousands of keys. Blanks in front of these are no more than maxLead.
const (
	maxLine    = 2048
	maxGetLine = 1 << 20
	maxLead    = 100
	// plainKeyMax is memcached's longest key in bytes. Where keys may be longer, so may lines.
	plainKeyMax = 250
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
	begun   mark     // where the reply to an mg begins whose value is on disk
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
	s.run(b[:end+1])
	return end + 1, true
}

// checkLong ends a conversation whose line has no end, without a word.
func (s *session) checkLong(line []byte) {
	if len(line) <= maxLine+max(0, s.srv.cfg.KeyMax-plainKeyMax) {
		return
	}
	word := bytes.TrimLeft(line, " ")
	if len(line)-len(word) <= maxLead && (bytes.HasPrefix(word, []byte("get ")) || bytes.HasPrefix(word, []byte("gets "))) &&
		len(line) <= maxGetLine {
		return
	}
	s.closing, s.failed = true, true
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

// run does one line, which is given with its end.
func (s *session) run(whole []byte) {
	s.budget--
	if share := s.srv.replyShare; share > 0 && !s.out.take(share) {
		s.noReplyMemory()
		s.closing, s.failed = true, true
		return
	}
	line := bytes.TrimSuffix(whole[:len(whole)-1], []byte{'\r'})
	if s.srv.logs(2) {
		s.srv.logf(2, "<%d %s", s.id, line)
	}
	if len(whole) < protocol.LineMin {
		s.newReply(false)
		s.reply(protocol.ErrFormat)
		return
	}
	errLine := protocol.Parse(line, s.srv.cfg.KeyMax, &s.cmd)
	s.newReply(s.cmd.Verb == protocol.Quit || s.cmd.Verb.IsGet())
	if errLine != "" {
		s.refuseLine(errLine)
		return
	}
	c := &s.cmd
	if c.Verb.IsMeta() {
		s.runMeta()
		return
	}
	switch c.Verb {
	case protocol.Get, protocol.Gets, protocol.Gat, protocol.Gats:
		if s.inGet = !s.hasLongKey(c.Keys); !s.inGet {
			s.refuseGet()
			return
		}
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

// refuseLine answers a line that is no command, and lets its data block pass by if there is one. A web client's request, whose
// further lines somebody else may have chosen, ends the conversation.
func (s *session) refuseLine(errLine string) {
	if s.cmd.HTTP {
		s.closing, s.failed = true, true
		return
	}
	if s.cmd.Block {
		s.after, s.swallow = errLine, s.cmd.Length+2
		return
	}
	s.say(errLine)
}

// getKeys answers as many keys as the client may be owed.
func (s *session) getKeys() {
	c := &s.cmd
	withCAS := c.Verb == protocol.Gets || c.Verb == protocol.Gats
	begun := s.out.mark()
	for first := true; !s.out.full(); first = false {
		key := c.NextKey()
		if len(key) == 0 {
			s.inGet = false
			s.reply("END")
			return
		}
		if !first {
			s.newReply(true)
		}
		if len(key) > s.srv.cfg.KeyMax { // nothing that nginx can ask for is an error: see hasLongKey
			s.stats.getMisses.Add(1)
			s.stats.cmdGet.Add(1)
			continue
		}
		if share := s.srv.replyShare; share > 0 && !s.out.take(share) {
			s.inGet = false
			s.noReplyMemory()
			s.reply(errGetMemory)
			return
		}
		if !s.get(key, withCAS) {
			s.inGet = false
			s.takeBack(begun)
			s.reply(errGetMemory)
			return
		}
	}
}

// hasLongKey tells whether one of a get's keys is too long, where that is an error.
func (s *session) hasLongKey(keys []byte) bool {
	most := s.srv.cfg.KeyMax
	if len(keys) <= most || s.srv.cfg.PageKeys {
		return false
	}
	for len(keys) > most {
		next := bytes.LastIndexByte(keys[:most+1], ' ')
		if next < 0 {
			return true
		}
		keys = keys[next+1:]
	}
	return false
}

// refuseGet answers a get with a key that is too long: an error alone, though the items before that key are found, and count.
func (s *session) refuseGet() {
	c := &s.cmd
	for key := c.NextKey(); len(key) <= s.srv.cfg.KeyMax; key = c.NextKey() {
		if it, ok := s.lookUp(key); ok {
			if it.OnDisk() { // it would have been read
				s.stats.diskGets.Add(1)
				s.stats.diskAborted.Add(1)
			}
			it.Release()
		}
	}
	s.reply(protocol.ErrFormat)
}

// noReplyMemory drops what is owed, since it takes more than it may (Config.ReplyMemory).
func (s *session) noReplyMemory() {
	s.stats.replyOOM.Add(1)
	s.dropLoads(0)
	s.out.reset()
}

// errGetMemory is what a get is answered for which there is no memory.
const errGetMemory = "SERVER_ERROR out of memory writing get response"

// lookUp finds an item for a get, or a gat, which also sets its expiry, and counts that.
func (s *session) lookUp(key []byte) (it store.Item, ok bool) {
	why := s.beforeFetch(key)
	if s.cmd.Verb == protocol.Gat || s.cmd.Verb == protocol.Gats {
		it, ok = s.srv.store.GetAndTouch(key, s.srv.expires(s.cmd.Exptime))
		s.stats.touched(ok)
	} else {
		if it, ok = s.srv.store.Get(key); ok {
			s.stats.hit(it.Class(), it.Segment())
		}
		s.stats.got(ok)
	}
	s.noteGet(key, it, ok, why)
	return it, ok
}

// get answers one key of a get; false if its value is on disk and there is no memory to read it into.
func (s *session) get(key []byte, withCAS bool) bool {
	it, ok := s.lookUp(key)
	if !ok {
		return true
	}
	if s.srv.logs(2) {
		s.srv.logf(2, ">%d sending key %s", s.id, key)
	}
	if it.OnDisk() {
		return s.getFromDisk(key, it, withCAS)
	}
	s.valueLine(key, it, withCAS)
	o := &s.out
	s.segments = o.value(it, s.segments)
	from := len(o.text)
	o.text = append(o.text, '\r', '\n')
	o.appended(from)
	return true
}

// valueLine appends what stands before an item's data block.
func (s *session) valueLine(key []byte, it store.Item, withCAS bool) {
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
}

var modes = [...]store.Mode{
	protocol.Set: store.Set, protocol.Add: store.Add, protocol.Replace: store.Replace, protocol.Append: store.Append,
	protocol.Prepend: store.Prepend, protocol.CAS: store.CAS,
}

// beginStore takes memory for the data block, or lets it pass by.
func (s *session) beginStore() {
	c := &s.cmd
	s.countSet(c.Key)
	s.beginBlock(c.Key, c.Flags, c.Exptime, c.Length, modes[c.Verb])
}

// beginBlock takes memory for a data block of so many bytes and its CR LF, or lets it pass by.
func (s *session) beginBlock(key []byte, flags uint32, exptime, length int64, mode store.Mode) {
	err := s.beginValue(key, flags, exptime, int(length), mode)
	switch {
	case err == nil:
		s.stats.cmdSet.Add(1)
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
	case store.Exists:
		s.say("EXISTS")
	case store.NotFound:
		s.say("NOT_FOUND")
	default: // too large when joined, or out of memory
		s.say("NOT_STORED")
	}
}

func (s *session) delete() {
	s.noteFound(s.cmd.Key)
	s.countDelete(s.cmd.Key)
	ok := s.deleteNoted()
	s.stats.deleted(ok)
	if ok {
		s.say("DELETED")
	} else {
		s.say("NOT_FOUND")
	}
}

// deleteNoted deletes the command's item, and tells those who watch for that.
func (s *session) deleteNoted() bool {
	if !s.srv.events.watched(deletions) {
		return s.srv.store.Delete(s.cmd.Key) == store.Stored
	}
	return s.srv.store.Edit(s.cmd.Key, func(e store.Entry) {
		s.noteDelete(s.cmd.Key, "delete", e.Info())
		e.Delete()
	})
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
		s.say("SERVER_ERROR out of memory")
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
