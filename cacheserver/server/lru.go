package server

import (
	"strconv"

	"pagegate/cacheserver/store"
)

// lruCommand is lru tune HOT% WARM% HOTFACTOR WARMFACTOR, lru mode flat|segmented and lru temp_ttl SECONDS.
func (s *Server) lruCommand(w []string) string {
	lru := s.store.LRU()
	switch {
	case len(w) >= 5 && w[0] == "tune":
		return s.tuneLRU(lru, w[1:])
	case !s.cfg.Maintainer || len(w) < 2:
		return errUnknown
	case w[0] == "mode" && (w[1] == "flat" || w[1] == "segmented"):
		lru.Segmented = w[1] == "segmented"
	case w[0] == "temp_ttl":
		ttl, err := strconv.ParseInt(w[1], 10, 32)
		if err != nil {
			return errUnknown
		}
		if lru.Temporary = ttl >= 0; lru.Temporary {
			lru.TemporaryTTL = ttl
		}
	default:
		return errUnknown
	}
	s.store.SetLRU(lru)
	return "OK"
}

func (s *Server) tuneLRU(lru store.LRU, w []string) string {
	hot, err1 := strconv.ParseUint(w[0], 10, 32)
	warm, err2 := strconv.ParseUint(w[1], 10, 32)
	hotFactor, err3 := strconv.ParseFloat(w[2], 64)
	warmFactor, err4 := strconv.ParseFloat(w[3], 64)
	switch {
	case err1 != nil || err2 != nil || err3 != nil || err4 != nil:
		return errUnknown
	case hot+warm > store.SegmentsMaxPercent:
		return "ERROR hot and warm pcts must not exceed 80"
	case !(hotFactor > 0) || !(warmFactor > 0):
		return "ERROR hot/warm age factors must be greater than 0"
	}
	lru.HotPercent, lru.WarmPercent, lru.HotMaxFactor, lru.WarmMaxFactor = int(hot), int(warm), hotFactor, warmFactor
	s.store.SetLRU(lru)
	return "OK"
}

// slabsCommand is slabs reassign SRC DST and slabs automove LEVEL.
func (s *Server) slabsCommand(w []string) string {
	switch {
	case len(w) == 3 && w[0] == "reassign":
		if s.cfg.NoReassign {
			return "CLIENT_ERROR slab reassignment disabled"
		}
		src, err1 := strconv.Atoi(w[1])
		dst, err2 := strconv.Atoi(w[2])
		if err1 != nil || err2 != nil {
			return errFormat
		}
		switch s.store.Reassign(src, dst) {
		case store.Reassigned:
			select {
			case s.moveAsked <- struct{}{}:
			default:
			}
			return "OK"
		case store.ReassignBusy:
			return "BUSY currently processing reassign request"
		case store.ReassignNoSpare:
			return "NOSPARE source class has no spare pages"
		case store.ReassignSame:
			return "SAME src and dst class are identical"
		}
		return "BADCLASS invalid src or dst class id"
	case len(w) >= 2 && w[0] == "automove":
		return s.automoveCommand(w[1], w[2:])
	}
	return errUnknown
}

// automoveCommand is slabs automove LEVEL, ratio FACTOR, freeratio FACTOR or window SECONDS.
func (s *Server) automoveCommand(what string, w []string) string {
	how := s.store.Automove()
	switch what {
	case "ratio", "freeratio":
		if len(w) == 0 {
			return errUnknown
		}
		factor, err := strconv.ParseFloat(w[0], 64)
		if err != nil || !(factor > 0) {
			return errUnknown
		}
		if what == "ratio" { // pages without items are free at once: there is no share of memory to be kept free
			how.Ratio = factor
		}
	case "window":
		if len(w) == 0 {
			return errFormat
		}
		window, err := strconv.ParseUint(w[0], 10, 31)
		if err != nil || window == 0 {
			return errFormat
		}
		how.Window = int(window)
	default:
		level, err := strconv.ParseUint(what, 10, 32)
		switch {
		case err != nil:
			return errFormat
		case level > 2:
			return errUnknown
		}
		how.Level = int(level)
	}
	s.store.SetAutomove(how)
	return "OK"
}

// setting returns what a line of `stats settings` says if commands can change it; fixed is what the flags said.
func (s *Server) setting(name, fixed string) string {
	yesNo := func(b bool) string {
		if b {
			return "yes"
		}
		return "no"
	}
	decimals := func(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) }
	lru, crawler := s.store.LRU(), s.crawler.settings()
	switch name {
	case "maxbytes":
		return strconv.FormatInt(s.store.MemoryLimit(), 10)
	case "verbosity":
		return strconv.Itoa(int(s.verbose.Load()))
	case "detail_enabled":
		return yesNo(s.prefixes.on.Load())
	case "slab_automove_ratio":
		return decimals(s.store.Automove().Ratio)
	case "slab_automove_window":
		return strconv.Itoa(s.store.Automove().Window)
	case "lru_segmented":
		return yesNo(lru.Segmented)
	case "hot_lru_pct":
		return strconv.Itoa(lru.HotPercent)
	case "warm_lru_pct":
		return strconv.Itoa(lru.WarmPercent)
	case "hot_max_factor":
		return decimals(lru.HotMaxFactor)
	case "warm_max_factor":
		return decimals(lru.WarmMaxFactor)
	case "temp_lru":
		return yesNo(lru.Temporary)
	case "temporary_ttl":
		return strconv.FormatInt(lru.TemporaryTTL, 10)
	case "slab_automove":
		return strconv.Itoa(s.store.Automove().Level)
	case "lru_crawler":
		return yesNo(crawler.On)
	case "lru_crawler_sleep":
		return strconv.FormatInt(crawler.Sleep.Microseconds(), 10)
	case "lru_crawler_tocrawl":
		return strconv.FormatUint(crawler.Most, 10)
	}
	return fixed
}
