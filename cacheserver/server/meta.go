package server

import (
	"encoding/base64"
	"strconv"

	"pagegate/cacheserver/protocol"
	"pagegate/cacheserver/store"
)

// The codes of meta commands' replies (protocol.txt).
const (
	metaDone      = "HD"
	metaMiss      = "EN"
	metaNotFound  = "NF"
	metaNotStored = "NS"
	metaExists    = "EX"
)

// metaTries bounds how often a command starts anew because others change the same item all the time.
const metaTries = 8

// runMeta does a meta command; the words behind its verb are in cmd.Keys.
func (s *session) runMeta() {
	verb, rest := s.cmd.Verb, s.cmd.Keys
	if verb == protocol.MetaSet {
		s.partial = append(s.partial[:0], rest...) // the line's memory is the worker's, and the reply comes later
		rest = s.partial
	}
	m := &s.meta
	if errLine := protocol.ParseMeta(verb, rest, s.srv.cfg.KeyMax, m); errLine != "" {
		s.metaError(errLine)
		return
	}
	switch verb {
	case protocol.MetaGet:
		s.metaGet()
	case protocol.MetaSet:
		s.metaSet()
	case protocol.MetaDelete:
		s.metaDelete()
	case protocol.MetaArithmetic:
		s.metaArithmetic()
	case protocol.MetaDebug:
		s.metaDebug()
	}
}

// metaError answers an error, which quiet mode keeps, and lets the data block pass by.
func (s *session) metaError(line string) {
	s.reply(line)
	if s.meta.Verb == protocol.MetaSet && s.meta.Length >= 0 {
		s.swallow = s.meta.Length + 2
	}
}

// metaReply answers a code and those of the flags that are there whatever came of the command. Quiet mode says nothing of
// what is nominal.
func (s *session) metaReply(code string, nominal bool) {
	if s.opaqueTooLong() || nominal && s.meta.Quiet {
		return
	}
	s.metaLine(code, func(byte) {})
}

// metaLine answers a code and the flags.
func (s *session) metaLine(code string, add func(letter byte)) {
	if s.opaqueTooLong() {
		return
	}
	s.out.begin()
	s.out.text = append(s.out.text, code...)
	s.metaFlags(s.meta.Binary, add)
	s.out.endLine()
}

// opaqueTooLong answers a command with an error for that instead of its outcome: memcached sees it only when it writes that.
func (s *session) opaqueTooLong() bool {
	if s.meta.LongOpaque {
		s.metaError(protocol.ErrOpaque)
	}
	return s.meta.LongOpaque
}

// metaFlags appends to the reply, in the order in which they were sent, the key, encoded or as it is, and the opaque, and calls add for the
// other flags.
func (s *session) metaFlags(encoded bool, add func(letter byte)) {
	for _, f := range s.meta.Flags() {
		switch f.Letter {
		case 'k':
			s.metaKey(encoded)
		case 'O':
			s.out.text = append(append(s.out.text, " O"...), f.Token...)
		default:
			add(f.Letter)
		}
	}
}

func (s *session) metaKey(encoded bool) {
	o := &s.out
	o.text = append(o.text, " k"...)
	if !encoded {
		o.text = append(o.text, s.meta.Key...)
		return
	}
	o.text = append(appendBase64(o.text, s.meta.Key), " b"...)
}

func (s *session) metaUint(letter byte, n uint64) {
	s.out.text = strconv.AppendUint(append(s.out.text, ' ', letter), n, 10)
}

func (s *session) metaInt(letter byte, n int64) {
	s.out.text = strconv.AppendInt(append(s.out.text, ' ', letter), n, 10)
}

// metaGet is mg.
func (s *session) metaGet() {
	m, created := &s.meta, false
	s.noteFound(m.Key)
	for range metaTries {
		var it store.Item
		var held bool
		if s.srv.store.Edit(m.Key, func(e store.Entry) { it, held = s.metaHit(e, created) }) {
			switch {
			case held && it.OnDisk():
				if !s.metaFromDisk(it, s.begun.pieces) {
					s.takeBack(s.begun)
					s.metaMissed()
					return
				}
			case held:
				s.metaValue(it)
			}
			if !m.LongOpaque {
				s.stats.metaHit(m.HasTTL)
			}
			return
		}
		if !m.HasVivify {
			break
		}
		var ok bool
		if created, ok = s.vivify(); !ok {
			break
		}
	}
	s.metaMissed()
}

// metaMissed answers an mg that has no item.
func (s *session) metaMissed() {
	s.stats.got(false)
	s.metaReply(metaMiss, true)
}

// vivify puts an empty item where there is none, and the client in charge of filling it. created is false when somebody else
// was faster, ok when there is no memory.
func (s *session) vivify() (created, ok bool) {
	m := &s.meta
	exptime := s.srv.expires(m.VivifyTTL)
	if exptime <= s.srv.clock() {
		exptime = 0 // over at once, but not before it has been answered: see metaHit
	}
	p, err := s.srv.store.Alloc(m.Key, 0, exptime, 0)
	if err != nil {
		return false, false
	}
	status, _ := p.CommitOn(store.Terms{Mode: store.Add, NewCAS: m.NewCAS, Won: !m.LongOpaque})
	return status == store.Stored, true
}

// metaHit answers an mg that has found its item. The value, if one is asked for, is held and comes next. created tells that the
// item is the command's own work.
func (s *session) metaHit(e store.Entry, created bool) (it store.Item, held bool) {
	m, info, won := &s.meta, e.Info(), created
	if m.LongOpaque {
		s.untilOpaque(e, created)
		s.opaqueTooLong()
		return it, false
	}
	if !m.HasTTL {
		s.stats.hit(info.Class, e.Segment())
	}
	value := m.Value && !(m.HasCAS && m.CAS == info.CAS)
	if value {
		if it, held = e.Hold(); !held {
			s.reply("SERVER_ERROR refcount overflow during fetch")
			return it, false
		}
		if info.OnDisk {
			s.begun = s.out.mark()
			s.out.boundary()
		}
	}
	s.metaHead(value, info.Len)
	forever := created // as in memcached, a new item gets its expiry where the N flag stands, and t before it sees none
	s.metaFlags(info.BinaryKey, func(letter byte) {
		switch letter {
		case 'N':
			if created {
				forever = false
				e.SetExptime(s.srv.expires(m.VivifyTTL))
			}
		case 't':
			if forever {
				s.metaInt('t', -1)
				return
			}
			s.metaInt('t', e.TTL())
		case 'T':
			forever = false
			e.SetExptime(s.srv.expires(m.TTL))
			e.CountTouch()
		case 'R':
			won = won || !e.Won() && e.Exptime() != 0 && e.Exptime() < s.srv.expires(m.RecacheTTL)
		default:
			s.metaFact(letter, e, info)
		}
	})
	s.metaMarks(e, won, created)
	if !m.NoBump {
		e.Bump()
	}
	return it, held
}

// untilOpaque does to an item what the flags say that stand before an opaque which is too long.
func (s *session) untilOpaque(e store.Entry, created bool) {
	m := &s.meta
	if created {
		e.SetExptime(0)
	}
	for _, f := range m.Flags() {
		switch {
		case f.Letter == 'O':
			return
		case f.Letter == 'T':
			e.SetExptime(s.srv.expires(m.TTL))
		case f.Letter == 'N' && created:
			e.SetExptime(s.srv.expires(m.VivifyTTL))
		}
	}
}

// metaHead begins the reply to a command that may give a value.
func (s *session) metaHead(value bool, length int) {
	o := &s.out
	o.begin()
	if !value {
		o.text = append(o.text, metaDone...)
		return
	}
	o.text = strconv.AppendInt(append(o.text, "VA "...), int64(length), 10)
}

// metaFact appends what a flag asks of an item.
func (s *session) metaFact(letter byte, e store.Entry, info store.ItemInfo) {
	switch letter {
	case 's':
		s.metaInt('s', int64(info.Len))
	case 'c':
		s.metaUint('c', e.CAS())
	case 'f':
		s.metaUint('f', uint64(info.Flags))
	case 'l':
		s.metaInt('l', e.Idle())
	case 'h':
		fetched := uint64(0)
		if info.Fetched {
			fetched = 1
		}
		s.metaUint('h', fetched)
	}
}

// metaMarks appends the marks of the item and ends the line: Z, somebody else is refreshing it, X, it is stale, W, the client
// is to refresh it.
func (s *session) metaMarks(e store.Entry, won, created bool) {
	o := &s.out
	taken := e.Won() && !created
	if taken {
		o.text = append(o.text, " Z"...)
	}
	if e.Stale() {
		o.text = append(o.text, " X"...)
		won = won || !taken
	}
	if won {
		o.text = append(o.text, " W"...)
		e.SetWon()
	}
	o.endLine()
}

// metaValue appends the data block of a reply.
func (s *session) metaValue(it store.Item) {
	s.segments = s.out.value(it, s.segments)
	s.out.begin()
	s.out.endLine()
}

func appendBase64(dst, b []byte) []byte { return base64.StdEncoding.AppendEncode(dst, b) }

// metaDebug is me.
func (s *session) metaDebug() {
	m := &s.meta
	found := s.srv.store.Edit(m.Key, func(e store.Entry) {
		o, info := &s.out, e.Info()
		o.begin()
		o.text = append(o.text, "ME "...)
		if info.BinaryKey {
			o.text = appendBase64(o.text, m.Key)
		} else {
			o.text = append(o.text, m.Key...)
		}
		field := func(name string, n uint64) { o.text = strconv.AppendUint(append(o.text, name...), n, 10) }
		o.text = append(o.text, " exp="...)
		o.text = strconv.AppendInt(o.text, e.TTL(), 10)
		field(" la=", uint64(e.Idle()))
		field(" cas=", info.CAS)
		o.text = append(o.text, " fetch="...)
		if info.Fetched {
			o.text = append(o.text, "yes"...)
		} else {
			o.text = append(o.text, "no"...)
		}
		field(" cls=", uint64(info.Class))
		field(" size=", uint64(info.Size+store.SizeGap))
		o.endLine()
	})
	if !found {
		s.reply(metaMiss)
	}
}
