package server

import (
	"strconv"
	"strings"
	"time"
)

// What a command that is not understood gets.
const (
	errUnknown = "ERROR"
	errFormat  = "CLIENT_ERROR bad command line format"

	errNoCrawler = "CLIENT_ERROR lru crawler disabled"
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

// crawlNow asks for a run of the crawler over some classes.
func (s *session) crawlNow(classes string, on bool) string {
	ids, ok := parseClasses(classes)
	switch {
	case !on:
		return errNoCrawler
	case !ok:
		return "BADCLASS invalid class id"
	case !s.srv.crawler.ask(ids):
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
		s.reply("CLIENT_ERROR watch commands not allowed")
		return
	}
	if !s.out.empty() {
		s.reply("ERROR cannot pipeline other commands before watch")
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
	s.watch = s.srv.newWatcher(kinds) // before the OK: whoever has read that hears of all that comes
	s.reply("OK")
	s.budget = 0 // what comes behind it counts for nothing
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
