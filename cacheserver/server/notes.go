package server

import (
	"bytes"

	"pagegate/cacheserver/store"
)

// What watchers are told and what is counted by prefix goes through here: sessions of every protocol call these, and where nobody
// watches and nothing is counted they cost two loads.

// beforeFetch tells why a look-up that is to come will find nothing, if anybody wants to know.
func (s *session) beforeFetch(key []byte) store.Condition {
	if !s.srv.events.watched(fetchers) {
		return store.Absent
	}
	return s.srv.store.Condition(key)
}

// noteGet notes a look-up; why is what beforeFetch has said.
func (s *session) noteGet(key []byte, it store.Item, found bool, why store.Condition) {
	s.srv.prefixes.count(key, s.srv.cfg.Delimiter, func(c *prefixCount) {
		c.gets++
		if found {
			c.hits++
		}
	})
	switch {
	case !s.srv.events.watched(fetchers):
	case found:
		s.tellFetch(key, store.Live, it.Class(), it.Len())
	default:
		s.tellFetch(key, why, 0, 0)
	}
}

// noteFound notes a look-up that is to come in a command which is no get, a set or an incr say.
func (s *session) noteFound(key []byte) {
	if !s.srv.events.watched(fetchers) {
		return
	}
	why, class, size := s.srv.store.Condition(key), 0, 0
	if s.srv.store.Edit(key, func(e store.Entry) { class, size = e.Info().Class, e.Info().Len }) {
		why = store.Live
	}
	s.tellFetch(key, why, class, size)
}

var conditionNames = [...]string{store.Absent: "not_found", store.Live: "found", store.Flushed: "flushed", store.Expired: "expired"}

func (s *session) tellFetch(key []byte, why store.Condition, class, size int) {
	s.srv.events.tell(fetchers, "item_get key=%s status=%s clsid=%d cfd=%d size=%d", uriEncode(key), conditionNames[why], class, s.id, size)
}

// countSet and countDelete count a command by its key's prefix, whatever comes of it.
func (s *session) countSet(key []byte) {
	s.srv.prefixes.count(key, s.srv.cfg.Delimiter, func(c *prefixCount) { c.sets++ })
}

func (s *session) countDelete(key []byte) {
	s.srv.prefixes.count(key, s.srv.cfg.Delimiter, func(c *prefixCount) { c.deletes++ })
}

var statusNames = map[store.Status]string{
	store.Stored: "stored", store.NotStored: "not_stored", store.Exists: "exists", store.NotFound: "not_found",
	store.TooLarge: "too_large", store.NoMemory: "no_memory",
}

var modeNames = [...]string{
	store.Set: "set", store.Add: "add", store.Replace: "replace", store.Append: "append", store.Prepend: "prepend", store.CAS: "cas",
}

// commitOn stores the value that has been read, and notes that.
func (s *session) commitOn(t store.Terms) (store.Status, uint64) {
	s.noteFound(s.pending.Key())
	if !s.srv.events.watched(mutations) {
		return s.commitCounted(t)
	}
	key, class, size, ttl := bytes.Clone(s.pending.Key()), s.pending.Class(), s.pending.Len(), int64(0)
	if at := s.pending.Exptime(); at != 0 {
		ttl = max(0, at-s.srv.clock())
	}
	status, cas := s.commitCounted(t)
	s.tellStore(key, status, t.Mode, ttl, class, size)
	return status, cas
}

// commitCounted stores the value. As in memcached one that is not stored has its CAS id all the same.
func (s *session) commitCounted(t store.Terms) (store.Status, uint64) {
	status, cas := s.pending.CommitOn(t)
	if status != store.Stored && t.NewCAS == 0 {
		s.srv.store.SkipCAS()
	}
	return status, cas
}

// noteRefused notes a value that there was no memory for, or that is too large.
func (s *session) noteRefused(key []byte, status store.Status, mode store.Mode) {
	if s.srv.events.watched(mutations) {
		s.tellStore(key, status, mode, 0, 0, 0)
	}
}

func (s *session) tellStore(key []byte, status store.Status, mode store.Mode, ttl int64, class, size int) {
	s.srv.events.tell(mutations, "item_store key=%s status=%s cmd=%s ttl=%d clsid=%d cfd=%d size=%d",
		uriEncode(key), statusNames[status], modeNames[mode], ttl, class, s.id, size)
}

// noteDelete notes that an item is deleted because a client has asked for that.
func (s *session) noteDelete(key []byte, cmd string, it store.ItemInfo) {
	if s.srv.events.watched(deletions) {
		s.srv.events.tell(deletions, "deleted key=%s cmd=%s clsid=%d size=%d", uriEncode(key), cmd, it.Class, it.Len)
	}
}
