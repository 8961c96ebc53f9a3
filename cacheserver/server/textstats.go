package server

// textStats answers stats and its subcommands in the text protocol.
func (s *session) textStats(w []string) {
	what := ""
	if len(w) > 0 {
		what = w[0]
	}
	switch {
	case what == "cachedump":
		s.beginCacheDump(w[1:])
	case what == "detail" && len(w) == 2:
		s.srv.detail(&s.out, w[1])
	case what == "detail":
		s.reply(errDetail)
	default:
		s.srv.writeStats(&s.out, what, s.caller)
	}
}

const errDetail = "CLIENT_ERROR usage: stats detail on|off|dump"

// detail is stats detail on|off|dump: counts by the prefixes of keys.
func (s *Server) detail(o *output, what string) {
	p := &s.prefixes
	switch {
	case s.cfg.NoDump:
		o.line("CLIENT_ERROR stats detail not allowed")
	case what == "on", what == "off":
		p.on.Store(what == "on")
		o.line("OK")
	case what == "dump":
		p.dump(o)
		o.line("END")
	default:
		o.line(errDetail)
	}
}
