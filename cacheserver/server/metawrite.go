package server

import (
	"strconv"

	"pagegate/cacheserver/protocol"
	"pagegate/cacheserver/store"
)

// metaSet begins an ms: its data block comes next.
func (s *session) metaSet() {
	m := &s.meta
	mode, ok := metaMode(m)
	if !ok {
		s.metaError("CLIENT_ERROR invalid mode for ms M token")
		return
	}
	if s.opaqueTooLong() {
		return
	}
	exptime := m.TTL
	if joins(mode) && m.HasVivify {
		exptime = m.VivifyTTL
	}
	s.beginBlock(m.Key, m.ClientFlags, exptime, m.Length, mode)
	if s.reading && m.Binary {
		s.pending.SetBinaryKey()
	}
}

func joins(mode store.Mode) bool { return mode == store.Append || mode == store.Prepend }

// metaMode returns what the M flag of an ms says.
func metaMode(m *protocol.Meta) (mode store.Mode, ok bool) {
	switch m.Mode {
	case 0, 'S':
		return store.Set, true
	case 'E':
		return store.Add, true
	case 'A':
		return store.Append, true
	case 'P':
		return store.Prepend, true
	case 'R':
		return store.Replace, true
	}
	return 0, false
}

// comparesCAS tells whether memcached compares CAS ids in a mode: not in add, and append and prepend take 0 for any.
func comparesCAS(mode store.Mode, cas uint64) bool {
	return mode != store.Add && (cas != 0 || !joins(mode))
}

// commitMeta ends an ms.
func (s *session) commitMeta() {
	m := &s.meta
	t := store.Terms{
		Mode: s.mode, Compare: m.HasCAS && comparesCAS(s.mode, m.CAS), CAS: m.CAS, NewCAS: m.NewCAS,
		Outdated: m.Invalidate && !joins(s.mode), Vivify: m.HasVivify && joins(s.mode),
	}
	status, cas := s.commitOn(t)
	if t.Compare && !joins(s.mode) {
		s.stats.cas(status)
	}
	code := metaNotStored // too large when joined, or out of memory, too
	switch status {
	case store.Stored:
		code = metaDone
	case store.Exists:
		code = metaExists
	case store.NotFound:
		code = metaNotFound
	}
	if m.Quiet && status == store.Stored {
		return
	}
	s.metaLine(code, func(letter byte) {
		switch letter {
		case 'c':
			s.metaUint('c', cas)
		case 's':
			s.metaInt('s', s.storedSize(status))
		}
	})
}

// storedSize returns the bytes of the value that an ms has stored.
func (s *session) storedSize(status store.Status) int64 {
	if !joins(s.mode) || status != store.Stored {
		return s.meta.Length
	}
	size := int64(0)
	s.srv.store.Edit(s.meta.Key, func(e store.Entry) { size = int64(e.Info().Len) })
	return size
}

// metaDelete is md.
func (s *session) metaDelete() {
	m, code := &s.meta, metaNotFound
	if s.opaqueTooLong() {
		return
	}
	s.noteFound(m.Key)
	for range metaTries {
		old, drop := uint64(0), false
		if !s.srv.store.Edit(m.Key, func(e store.Entry) {
			switch old = e.CAS(); {
			case m.HasCAS && old != m.CAS:
				code = metaExists
			case m.Drop:
				drop = true
			default:
				s.metaRemove(e)
				code = metaDone
			}
		}) {
			code = metaNotFound
		}
		if !drop {
			break
		}
		status, errLine := s.dropValue(old)
		if errLine != "" {
			s.reply(errLine)
			return
		}
		if status == store.Stored {
			code = metaDone
			break
		}
		code = metaNotStored // until the next try
	}
	if code != metaDone || !m.Invalidate { // to mark an item is not to delete it
		s.stats.deleted(code == metaDone)
	}
	s.metaReply(code, code == metaDone)
}

// metaRemove deletes an item, or marks it as stale.
func (s *session) metaRemove(e store.Entry) {
	m := &s.meta
	if !m.Invalidate {
		s.noteDelete(m.Key, "md", e.Info())
		e.Delete()
		return
	}
	if m.HasTTL {
		e.SetExptime(s.srv.expires(m.TTL))
	}
	e.SetStale()
	e.SetCAS(m.NewCAS)
}

// dropValue puts an empty item in the place of the one with a CAS id, which it keeps unless it is marked as stale too or given another.
func (s *session) dropValue(old uint64) (status store.Status, errLine string) {
	m := &s.meta
	p, err := s.srv.store.Alloc(m.Key, m.ClientFlags, s.srv.expires(m.TTL), 0)
	if err != nil {
		return 0, "SERVER_ERROR out of memory"
	}
	it := store.ItemInfo{Class: p.Class()}
	newCAS := m.NewCAS
	if !m.HasNewCAS && !m.Invalidate {
		newCAS = old
	}
	if status, _ = p.CommitOn(store.Terms{Compare: true, CAS: old, NewCAS: newCAS, Stale: m.Invalidate}); status == store.Stored && !m.Invalidate {
		s.srv.store.CountDelete(it.Class)
		s.noteDelete(m.Key, "md", it)
	}
	return status, ""
}

// metaArithmetic is ma.
func (s *session) metaArithmetic() {
	m := &s.meta
	decr := false
	switch m.Mode {
	case 0, 'I', '+':
	case 'D', '-':
		decr = true
	default:
		s.metaError("CLIENT_ERROR invalid mode for ma M token")
		return
	}
	s.noteFound(m.Key)
	for range metaTries {
		value, cas, status := s.srv.store.DeltaTo(m.Key, m.Delta, decr, m.CAS, m.NewCAS)
		seeded := status == store.NotFound && m.HasVivify
		if seeded {
			if cas, status = s.seed(); status == store.NotStored {
				continue // somebody else was faster
			}
			value = m.Initial
		} else {
			s.stats.delta(decr, status != store.NotFound)
		}
		s.metaCounted(value, cas, status, seeded)
		return
	}
	s.metaReply(metaNotStored, false)
}

// seed stores the initial value of a counter that is not there.
func (s *session) seed() (cas uint64, status store.Status) {
	m := &s.meta
	var buf [20]byte
	text := strconv.AppendUint(buf[:0], m.Initial, 10)
	p, err := s.srv.store.Alloc(m.Key, 0, s.srv.expires(m.VivifyTTL), len(text))
	if err != nil {
		return 0, store.NoMemory
	}
	p.Write(text)
	status, cas = p.CommitOn(store.Terms{Mode: store.Add, NewCAS: m.NewCAS})
	return cas, status
}

// metaCounted answers an ma.
func (s *session) metaCounted(value, cas uint64, status store.Status, seeded bool) {
	switch status {
	case store.Stored:
		s.metaCounter(value, cas, seeded)
	case store.NotFound:
		s.metaReply(metaNotFound, false)
	case store.Exists:
		s.metaReply(metaExists, false)
	case store.NonNumeric:
		s.reply(protocol.ErrNonNumber)
	default:
		s.stats.noMemory.Add(1)
		s.reply("SERVER_ERROR out of memory")
	}
}

// metaCounter answers an ma that has counted, and sets the item's expiry if that is asked for.
func (s *session) metaCounter(value, cas uint64, seeded bool) {
	m, quiet := &s.meta, s.meta.Quiet
	ttl := int64(-1)
	if m.HasTTL || !quiet {
		s.srv.store.Edit(m.Key, func(e store.Entry) { ttl = s.metaExpiry(e, seeded) })
	}
	if s.opaqueTooLong() || quiet {
		return
	}
	var buf [20]byte
	text := strconv.AppendUint(buf[:0], value, 10)
	o := &s.out
	s.metaHead(m.Value, len(text))
	s.metaFlags(m.Binary, func(letter byte) {
		switch letter {
		case 'c':
			s.metaUint('c', cas)
		case 't':
			s.metaInt('t', ttl)
		}
	})
	if m.Value {
		o.text = append(append(o.text, '\r', '\n'), text...)
	}
	o.endLine()
}

// metaExpiry sets a counter's expiry as the flags of an ma say, and returns what its t has to tell. As in memcached, T, and N of a
// counter that was seeded, take effect where they stand among the flags.
func (s *session) metaExpiry(e store.Entry, seeded bool) (ttl int64) {
	m, known := &s.meta, !seeded
	ttl = -1
	for _, f := range m.Flags() {
		switch {
		case f.Letter == 'T':
			e.SetExptime(s.srv.expires(m.TTL))
			known = true
		case f.Letter == 'N' && seeded:
			e.SetExptime(s.srv.expires(m.VivifyTTL))
			known = true
		case f.Letter == 't' && known:
			ttl = e.TTL()
		}
	}
	return ttl
}
