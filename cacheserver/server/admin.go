package server

import (
	"strconv"
	"strings"
	"time"

	"pagegate/cacheserver/store"
)

// What a command that is not understood gets.
const (
	errUnknown = "ERROR"
	errFormat  = "CLIENT_ERROR bad command line format"
)

// admin does a command for administrators (protocol.txt, from "Slabs Reassign" on).
func (s *session) admin(name string, w []string) {
	// memcached knows no noreply after slabs reassign.
	if n := len(w); n > 0 && w[n-1] == "noreply" && !(name == "slabs" && w[0] != "automove") {
		s.cmd.NoReply, w = true, w[:n-1]
	}
	switch name {
	case "cache_memlimit":
		s.say(s.srv.memLimit(w))
	case "lru":
		s.say(s.srv.lruCommand(w))
	case "lru_crawler":
		s.crawlerCommand(w)
	case "slabs":
		s.say(s.srv.slabsCommand(w))
	case "shutdown":
		s.shutdown(w)
	case "watch":
		s.watchCommand(w)
	case "refresh_certs":
		s.say(s.srv.reload())
	case "debugtime":
		s.say(s.srv.debugTime(w))
	case "debugitem":
		s.say(s.debugItem(w))
	}
}

// memLimit is cache_memlimit MIB.
func (s *Server) memLimit(w []string) string {
	if len(w) != 1 {
		return errUnknown
	}
	mib, err := strconv.ParseUint(w[0], 10, 63)
	switch {
	case err != nil:
		return errUnknown
	case mib < 8:
		return "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m"
	case mib > 1_000_000_000:
		return "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes"
	case s.store.SetMemoryLimit(int64(mib)<<20) != nil:
		return "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust"
	}
	return "OK"
}

// crawlerCommand is lru_crawler ....
func (s *session) crawlerCommand(w []string) {
	c := &s.srv.crawler
	how := c.settings()
	switch {
	case len(w) == 1 && w[0] == "enable":
		how.On = true
	case len(w) == 1 && w[0] == "disable":
		how.On = false
	case len(w) == 2 && w[0] == "sleep":
		us, err := strconv.ParseUint(w[1], 10, 32)
		if err != nil {
			s.say(errFormat)
			return
		}
		if us > 1_000_000 {
			s.say("CLIENT_ERROR sleep must be one second or less")
			return
		}
		how.Sleep = time.Duration(us) * time.Microsecond
	case len(w) == 2 && w[0] == "tocrawl":
		n, err := strconv.ParseUint(w[1], 10, 32)
		if err != nil {
			s.say(errFormat)
			return
		}
		how.Most = n
	case len(w) == 2 && w[0] == "crawl":
		s.say(s.crawlNow(w[1], how.On))
		return
	case len(w) == 2 && (w[0] == "metadump" || w[0] == "mgdump"):
		s.beginDump(w[1], w[0] == "mgdump")
		return
	default:
		s.say(errUnknown)
		return
	}
	c.set(how)
	s.say("OK")
}

// crawlNow asks for a run of the crawler, which always goes over all classes: it walks the index.
func (s *session) crawlNow(classes string, on bool) string {
	if _, ok := parseClasses(classes); !ok {
		return "BADCLASS invalid class id"
	}
	switch {
	case !on:
		return "ERROR lru crawler disabled"
	case !s.srv.crawler.ask():
		return "BUSY currently processing crawler request"
	}
	return "OK"
}

// parseClasses reads `all`, `hash`, or class numbers with commas; nil is all.
func parseClasses(text string) (ids map[int]bool, ok bool) {
	if text == "all" || text == "hash" {
		return nil, true
	}
	ids = make(map[int]bool)
	for word := range strings.SplitSeq(text, ",") {
		id, err := strconv.Atoi(word)
		if err != nil || id < 1 || id > 63 {
			return nil, false
		}
		ids[id] = true
	}
	return ids, true
}

// shutdown is shutdown [graceful].
func (s *session) shutdown(w []string) {
	switch {
	case s.srv.cfg.Shutdown == nil:
		s.say("SERVER_ERROR: shutdown not enabled")
	case len(w) == 0, len(w) == 1 && w[0] == "graceful":
		s.closing = true
		s.srv.cfg.Shutdown(len(w) == 1)
	default:
		s.say("CLIENT_ERROR invalid shutdown mode")
	}
}

// watchCommand is watch KIND ...; without a kind it means fetchers.
func (s *session) watchCommand(w []string) {
	if s.srv.cfg.NoWatch {
		s.reply("ERROR watch commands not allowed")
		return
	}
	if s.caller == nil {
		s.reply("ERROR watch needs a connection")
		return
	}
	kinds := eventKinds(0)
	for _, name := range w {
		kind, ok := eventNames[name]
		if !ok {
			s.reply(errUnknown)
			return
		}
		kinds |= kind
	}
	if kinds == 0 {
		kinds = fetchers
	}
	s.reply("OK")
	s.watch, s.budget = kinds, 0 // what comes behind it counts for nothing
}

// reload is refresh_certs.
func (s *Server) reload() string {
	if s.cfg.Reload == nil {
		return "ERROR TLS is not enabled"
	}
	if err := s.cfg.Reload(); err != nil {
		s.logf(0, "refresh_certs: %v", err)
		return "ERROR the certificates cannot be read, see the log"
	}
	return "OK"
}

// debugTime is debugtime p|r|+N|-N: the clock stands still, goes on, or jumps by N seconds.
func (s *Server) debugTime(w []string) string {
	c := s.cfg.TestClock
	if c == nil || len(w) != 1 {
		return errUnknown
	}
	switch {
	case w[0] == "p":
		c.Pause()
	case w[0] == "r":
		c.Resume()
	default:
		n, err := strconv.ParseInt(w[0], 10, 32)
		if err != nil || w[0][0] != '+' && w[0][0] != '-' {
			return errUnknown
		}
		c.Shift(n)
	}
	return "OK"
}

// debugItem is debugitem lock|unlock|ref|unref KEY, for tests of items in use: a reference keeps an item as a slow reader does,
// and nothing here waits for a lock on an item, so lock and unlock only tell whether it is there.
func (s *session) debugItem(w []string) string {
	if s.srv.cfg.TestClock == nil || len(w) != 2 {
		return errUnknown
	}
	it, ok := store.Item{}, false
	if !s.srv.store.Edit([]byte(w[1]), func(e store.Entry) { it, ok = e.Hold() }) || !ok {
		return "MISS"
	}
	switch w[0] {
	case "ref":
		s.held = append(s.held, it)
		return "OK"
	case "unref":
		if n := len(s.held); n > 0 {
			s.held[n-1].Release()
			s.held = s.held[:n-1]
		}
	case "lock", "unlock":
	default:
		it.Release()
		return errUnknown
	}
	it.Release()
	return "OK"
}
