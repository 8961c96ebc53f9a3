package server

import (
	"bytes"

	"pagegate/cacheserver/store"
)

// What watchers are told and what is counted by prefix goes through here: sessions of every protocol call these, and where nobody
// watches and nothing is counted they cost two loads.

// noted tells whether anybody wants to know about commands of a kind.
func (s *session) noted(kind eventKinds) bool {
	return s.srv.events.watched(kind) || s.srv.prefixes.on.Load()
}

// noteGet notes a look-up.
func (s *session) noteGet(key []byte, it store.Item, found bool) {
	switch {
	case !s.noted(fetchers):
	case found:
		s.noteFetch(key, "found", it.Class(), it.Len())
	default:
		s.noteFetch(key, "not_found", 0, 0)
	}
}

// noteMetaGet notes an mg, whose item need not have been held.
func (s *session) noteMetaGet(found bool) {
	if !s.noted(fetchers) {
		return
	}
	status, class, size := "not_found", 0, 0
	if found {
		status = "found"
		s.srv.store.Edit(s.meta.Key, func(e store.Entry) { class, size = e.Info().Class, e.Info().Len })
	}
	s.noteFetch(s.meta.Key, status, class, size)
}

func (s *session) noteFetch(key []byte, status string, class, size int) {
	s.srv.prefixes.count(key, s.srv.cfg.Delimiter, func(c *prefixCount) {
		c.gets++
		if status == "found" {
			c.hits++
		}
	})
	if s.srv.events.watched(fetchers) {
		s.tellFetch(key, status, class, size)
	}
}

// noteFound notes that a command which is no look-up by itself, a set or an incr say, has found an item or none.
func (s *session) noteFound(key []byte) {
	if !s.srv.events.watched(fetchers) {
		return
	}
	status, class, size := "not_found", 0, 0
	if s.srv.store.Edit(key, func(e store.Entry) { class, size = e.Info().Class, e.Info().Len }) {
		status = "found"
	}
	s.tellFetch(key, status, class, size)
}

func (s *session) tellFetch(key []byte, status string, class, size int) {
	s.srv.events.tell(fetchers, "item_get key=%s status=%s clsid=%d cfd=%d size=%d", uriEncode(key), status, class, s.id, size)
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
	if !s.noted(mutations) {
		return s.pending.CommitOn(t)
	}
	key, class, size, ttl := bytes.Clone(s.pending.Key()), s.pending.Class(), s.pending.Len(), int64(0)
	if at := s.pending.Exptime(); at != 0 {
		ttl = max(0, at-s.srv.clock())
	}
	status, cas := s.pending.CommitOn(t)
	s.srv.prefixes.count(key, s.srv.cfg.Delimiter, func(c *prefixCount) { c.sets++ })
	if s.srv.events.watched(mutations) {
		s.srv.events.tell(mutations, "item_store key=%s status=%s cmd=%s ttl=%d clsid=%d cfd=%d size=%d",
			uriEncode(key), statusNames[status], modeNames[t.Mode], ttl, class, s.id, size)
	}
	return status, cas
}

// noteDelete notes that a client has asked for an item's deletion.
func (s *session) noteDelete(key []byte, cmd string, deleted bool) {
	s.srv.prefixes.count(key, s.srv.cfg.Delimiter, func(c *prefixCount) { c.deletes++ })
	if deleted && s.srv.events.watched(deletions) {
		s.srv.events.tell(deletions, "deleted key=%s cmd=%s cfd=%d", uriEncode(key), cmd, s.id)
	}
}
