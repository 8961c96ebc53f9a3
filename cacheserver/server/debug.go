package server

import (
	"strconv"

	"pagegate/cacheserver/store"
)

// The commands that memcached's debug build has for its tests: see Config.TestClock.

// held is a reference that debugitem has taken.
type held struct {
	key  string
	item store.Item
}

// releaseHeld gives back the references that debugitem has taken.
func (s *session) releaseHeld() {
	for _, h := range s.held {
		h.item.Release()
	}
	s.held = nil
}

// debugTime is debugtime p|r|N: the clock stands still, goes on, or jumps by N seconds.
func (s *Server) debugTime(w []string) string {
	c := s.cfg.TestClock
	if c == nil || len(w) != 1 {
		return errUnknown
	}
	switch w[0] {
	case "p":
		c.Pause()
	case "r":
		c.Resume()
	default:
		n, err := strconv.ParseInt(w[0], 10, 32)
		if err != nil {
			return errUnknown
		}
		c.Shift(n)
	}
	return "OK"
}

// debugItem is debugitem lock|unlock|ref|unref KEY, for tests of items in use. A reference keeps an item as a slow reader does. A lock
// keeps it in its page: nobody else waits for locks on single items here.
func (s *session) debugItem(w []string) string {
	if s.srv.cfg.TestClock == nil || len(w) != 2 {
		return errUnknown
	}
	key := w[1]
	switch w[0] {
	case "lock", "unlock":
		s.srv.store.KeepInPage([]byte(key), w[0] == "lock")
		return "OK"
	case "ref":
		it, ok := store.Item{}, false
		if !s.srv.store.Edit([]byte(key), func(e store.Entry) { it, ok = e.Hold() }) || !ok {
			return "MISS"
		}
		s.held = append(s.held, held{key, it})
		return "OK"
	case "unref":
		for i, h := range s.held {
			if h.key == key {
				h.item.Release()
				s.held = append(s.held[:i], s.held[i+1:]...)
				return "OK"
			}
		}
		return "MISS"
	}
	return errUnknown
}
