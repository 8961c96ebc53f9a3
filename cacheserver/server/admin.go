package server

import (
	"strconv"
	"strings"
	"time"

	"pagegate/cacheserver/protocol"
)

// What a command that is not understood gets.
const (
	errUnknown = "ERROR"
	errFormat  = protocol.ErrFormat

	errNoCrawler = "CLIENT_ERROR lru crawler disabled"
)

// admin does a command for administrators (protocol.txt, from "Slabs Reassign" on). A noreply at its end silences it, and is one of
// its words all the same. Subcommands may be abbreviated.
func (s *session) admin(name string, w []string) {
	switch name {
	case "cache_memlimit":
		s.say(s.srv.memLimit(w))
	case "lru":
		s.say(s.srv.lruCommand(w))
	case "lru_crawler":
		s.crawlerCommand(w)
	case "slabs":
		s.say(s.srv.slabsCommand(w))
	case "extstore":
		s.say(s.srv.diskCommand(w))
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
	mib, ok := protocol.Uint32(at(w, 0))
	switch {
	case !ok:
		return errUnknown
	case mib < 8:
		return "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m"
	case mib > 1_000_000_000:
		return "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes"
	case s.store.SetMemoryLimit(int64(mib)<<20) != nil:
		return "MEMLIMIT_ADJUST_FAILED out of bounds or unable to adjust"
	}
	s.logf(1, "maxbytes adjusted to %dm", mib)
	return "OK"
}

// at returns a word, or nothing where there is none.
func at(w []string, i int) string {
	if i < len(w) {
		return w[i]
	}
	return ""
}

// crawlerCommand is lru_crawler ....
func (s *session) crawlerCommand(w []string) {
	what := at(w, 0)
	is := func(name string, words int) bool { return len(w) == words && protocol.Abbreviates(what, name) }
	how := s.srv.crawler.settings()
	switch {
	case is("crawl", 2):
		s.say(s.crawlNow(w[1], how.On))
		return
	case is("metadump", 2):
		s.beginDump(w[1], false)
		return
	case is("mgdump", 2):
		s.beginDump(w[1], true)
		return
	case is("tocrawl", 2), is("sleep", 2):
		n, ok := protocol.Uint32(w[1])
		switch {
		case !ok:
			s.say(errFormat)
			return
		case is("tocrawl", 2):
			how.Most = uint64(n)
		case n > 1_000_000:
			s.say("CLIENT_ERROR sleep must be one second or less")
			return
		default:
			how.Sleep = time.Duration(n) * time.Microsecond
		}
	case is("enable", 1):
		how.On = true
	case is("disable", 1):
		how.On = false
	default:
		s.say(errUnknown)
		return
	}
	s.srv.crawler.set(how)
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
		if word == "" {
			continue
		}
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
	case len(w) == 0, len(w) == 1 && protocol.Abbreviates(w[0], "graceful"):
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
		kind := eventKind(name)
		if kind == 0 {
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
