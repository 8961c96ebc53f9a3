package server

import (
	"fmt"

	"pagegate/cacheserver/protocol"
	"pagegate/cacheserver/store"
)

// subStats are the subcommands of stats that may be abbreviated, in the order in which memcached looks at them.
var subStats = []string{"reset", "detail", "settings", "cachedump", "conns"}

// textStats answers stats and its subcommands in the text protocol.
func (s *session) textStats(w []string) {
	what := at(w, 0)
	if len(w) > 0 {
		for _, name := range subStats {
			if protocol.Abbreviates(what, name) {
				what = name
				break
			}
		}
	}
	switch what {
	case "cachedump":
		s.beginCacheDump(w[1:])
	case "detail":
		s.detailCommand(w[1:])
	default:
		s.srv.writeStats(&s.out, what, s.caller)
	}
}

// detailCommand is stats detail on|off|dump.
func (s *session) detailCommand(w []string) {
	if s.srv.cfg.NoDump {
		s.reply("CLIENT_ERROR stats detail not allowed")
		return
	}
	if len(w) > 0 {
		for _, what := range []string{"on", "off", "dump"} {
			if protocol.Abbreviates(w[0], what) {
				s.srv.detail(&s.out, what)
				return
			}
		}
	}
	s.reply("CLIENT_ERROR usage: stats detail on|off|dump")
}

// detail switches the counting by the prefixes of keys on or off, or tells what has been counted.
func (s *Server) detail(o *output, what string) {
	p := &s.prefixes
	if what == "dump" {
		p.dump(o)
		o.line("END")
		return
	}
	p.on.Store(what == "on")
	o.line("OK")
}

// beginCacheDump starts stats cachedump CLASS LIMIT.
func (s *session) beginCacheDump(w []string) {
	if s.srv.cfg.NoDump {
		s.reply("CLIENT_ERROR stats cachedump not allowed")
		return
	}
	if len(w) < 2 {
		s.reply("CLIENT_ERROR bad command line")
		return
	}
	class, ok1 := protocol.Uint32(w[0])
	limit, ok2 := protocol.Uint32(w[1])
	switch {
	case !ok1 || !ok2:
		s.reply(protocol.ErrFormat)
	case class > 63:
		s.reply("CLIENT_ERROR Illegal slab id")
	default:
		left := int64(limit)
		if limit == 0 {
			left = -1
		}
		s.dump = &dump{classes: map[int]bool{int(class): true}, left: left, line: cacheDumpLine, end: "END"}
	}
}

// cacheDumpLine lists an item, but for those with keys that may not stand in a line of text.
func cacheDumpLine(o *output, key []byte, it store.ItemInfo) {
	if it.BinaryKey {
		return
	}
	o.begin()
	o.text = fmt.Appendf(o.text, "ITEM %s [%d b; %d s]", key, it.Len, it.Exptime)
	o.endLine()
}
