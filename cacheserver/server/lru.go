package server

import (
	"math"
	"strconv"

	"pagegate/cacheserver/protocol"
	"pagegate/cacheserver/store"
)

// lruCommand is lru tune HOT% WARM% HOTFACTOR WARMFACTOR, lru mode flat|segmented and lru temp_ttl SECONDS.
func (s *Server) lruCommand(w []string) string {
	what, value := at(w, 0), at(w, 1)
	is := func(name string, words int) bool { return len(w) >= words && protocol.Abbreviates(what, name) }
	lru := s.store.LRU()
	switch {
	case is("tune", 5):
		return s.tuneLRU(lru, w[1:])
	case !s.cfg.Maintainer:
		return errUnknown
	case is("mode", 2) && protocol.Abbreviates(value, "flat"):
		lru.Segmented = false
	case is("mode", 2) && protocol.Abbreviates(value, "segmented"):
		lru.Segmented = true
	case is("temp_ttl", 2):
		ttl, ok := protocol.Int32(value)
		if !ok {
			return errUnknown
		}
		if lru.Temporary = ttl >= 0; lru.Temporary {
			lru.TemporaryTTL = int64(ttl)
		}
	default:
		return errUnknown
	}
	s.store.SetLRU(lru)
	return "OK"
}

func (s *Server) tuneLRU(lru store.LRU, w []string) string {
	hot, ok1 := protocol.Uint32(w[0])
	warm, ok2 := protocol.Uint32(w[1])
	hotFactor, err1 := strconv.ParseFloat(w[2], 64)
	warmFactor, err2 := strconv.ParseFloat(w[3], 64)
	switch {
	case !ok1 || !ok2 || err1 != nil || err2 != nil:
		return errUnknown
	case uint64(hot)+uint64(warm) > store.SegmentsMaxPercent:
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
	what := at(w, 0)
	switch {
	case len(w) == 3 && protocol.Abbreviates(what, "reassign"):
		return s.reassign(w[1], w[2])
	case len(w) >= 2 && protocol.Abbreviates(what, "automove"):
		return s.automoveCommand(w[1], w[2:])
	}
	return errUnknown
}

// reassign is slabs reassign SRC DST.
func (s *Server) reassign(from, to string) string {
	if s.cfg.NoReassign {
		return "CLIENT_ERROR slab reassignment disabled"
	}
	src, ok1 := protocol.Int32(from)
	dst, ok2 := protocol.Int32(to)
	if !ok1 || !ok2 {
		return errFormat
	}
	switch s.store.Reassign(int(src), int(dst)) {
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
}

// Bounds in seconds of the automover's window.
const (
	windowMin = 3
	windowMax = 1800
)

// automoveCommand is slabs automove LEVEL, ratio FACTOR, freeratio FACTOR or window SECONDS.
func (s *Server) automoveCommand(what string, w []string) string {
	how := s.store.Automove()
	switch {
	case protocol.Abbreviates(what, "ratio"), protocol.Abbreviates(what, "freeratio"):
		factor, err := strconv.ParseFloat(at(w, 0), 64)
		if err != nil {
			return errUnknown
		}
		if protocol.Abbreviates(what, "ratio") {
			how.Ratio = factor
		} else {
			s.freeRatio.Store(math.Float64bits(factor))
		}
	case protocol.Abbreviates(what, "window"):
		window, ok := protocol.Uint32(at(w, 0))
		if !ok {
			return errFormat
		}
		if window < windowMin || window > windowMax {
			return "CLIENT_ERROR automove window too low or too high"
		}
		how.Window = int(window)
	default:
		level, ok := protocol.Uint32(what)
		switch {
		case !ok:
			return errFormat
		case level > 2:
			return errUnknown
		}
		how.Level, how.Keep = int(level), level == 0
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
	case "oldest":
		return strconv.FormatInt(s.oldest.Load(), 10)
	case "verbosity":
		return strconv.Itoa(int(s.verbose.Load()))
	case "detail_enabled":
		return yesNo(s.prefixes.on.Load())
	case "slab_automove_ratio":
		return decimals(s.store.Automove().Ratio)
	case "slab_automove_window":
		return strconv.Itoa(s.store.Automove().Window)
	case "slab_automove_freeratio":
		if bits := s.freeRatio.Load(); bits != 0 {
			return strconv.FormatFloat(math.Float64frombits(bits), 'f', 3, 64)
		}
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
	return s.diskSetting(name, fixed)
}
