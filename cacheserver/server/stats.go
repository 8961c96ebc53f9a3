package server

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"pagegate/cacheserver/store"
	"pagegate/internal/sockets"
)

// writeStats answers `stats` and its subcommands (protocol.txt, "Statistics"). asking is who asks, nil over UDP.
func (s *Server) writeStats(o *output, what string, asking *caller) {
	switch what {
	case "":
		s.generalStats(o)
	case "settings":
		for _, line := range s.cfg.Settings {
			stat(o, line[0], s.setting(line[0], line[1]))
		}
	case "items":
		s.itemStats(o)
	case "slabs":
		s.slabStats(o)
	case "sizes":
		if !s.cfg.Sizes {
			stat(o, "sizes_status", "disabled")
			break
		}
		for _, b := range s.store.SizeHistogram() {
			stat(o, strconv.Itoa(b.Size), b.Count)
		}
	case "extstore":
		s.diskPageStats(o)
	case "conns":
		s.connStats(o, asking)
	case "detail on", "detail off", "detail dump": // as the binary protocol names them
		s.detail(o, strings.TrimPrefix(what, "detail "))
		return
	case "reset":
		for _, w := range s.workers {
			w.stats.reset()
		}
		s.store.ResetStats()
		s.prefixes.reset()
		s.crawler.reset()
		s.juggles.Store(0)
		s.totalConns.Store(0)
		s.rejected.Store(0)
		s.listenDisabled.Store(0)
		o.line("RESET")
		return
	default:
		o.line("ERROR")
		return
	}
	o.line("END")
}

func stat(o *output, name string, value any) {
	from := len(o.text)
	o.text = fmt.Appendf(o.text, "STAT %s %v\r\n", name, value)
	o.appended(from)
}

// sum adds up a counter over the workers.
func (s *Server) sum(of func(*counters) *atomic.Uint64) (n uint64) {
	for _, w := range s.workers {
		n += of(&w.stats).Load()
	}
	return n
}

// generalStats are memcached's lines, in its order.
func (s *Server) generalStats(o *output) {
	moves := s.store.MoveStats() // first: what a page move has cost shall be in the figures once it has ended
	st := s.store.Stats()
	now := s.clock()
	stat(o, "pid", os.Getpid())
	stat(o, "uptime", now-s.started)
	stat(o, "time", now)
	stat(o, "version", Version)
	stat(o, "libevent", "none-epoll") // there is none: the name is what tools look for
	stat(o, "pointer_size", strconv.IntSize)
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err == nil {
		stat(o, "rusage_user", seconds(use.Utime))
		stat(o, "rusage_system", seconds(use.Stime))
	}
	conns := s.conns.Load()
	stat(o, "max_connections", s.cfg.MaxConns)
	stat(o, "curr_connections", conns)
	stat(o, "total_connections", s.totalConns.Load())
	if s.cfg.RefuseFast {
		stat(o, "rejected_connections", s.rejected.Load())
	}
	stat(o, "connection_structures", conns)
	// A worker reads every connection into one buffer; replies have no memory of their own but the text.
	stat(o, "response_obj_oom", s.sum(func(c *counters) *atomic.Uint64 { return &c.replyOOM }))
	stat(o, "response_obj_count", conns)
	stat(o, "response_obj_bytes", 0)
	stat(o, "read_buf_count", len(s.workers))
	stat(o, "read_buf_bytes", len(s.workers)*sockets.ReadSize)
	stat(o, "read_buf_bytes_free", 0)
	stat(o, "read_buf_oom", 0)
	stat(o, "reserved_fds", 2*len(s.workers)+len(s.listeners))
	s.commandStats(o, st.GetExpired, st.GetFlushed)
	stat(o, "limit_maxbytes", st.LimitMaxBytes)
	stat(o, "accepting_conns", b2i(!s.full()))
	stat(o, "listen_disabled_num", s.listenDisabled.Load())
	stat(o, "time_in_listen_disabled_us", 0)
	stat(o, "threads", len(s.workers))
	stat(o, "conn_yields", s.sum(func(c *counters) *atomic.Uint64 { return &c.connYields }))
	stat(o, "hash_power_level", st.HashPowerLevel)
	stat(o, "hash_bytes", st.HashBytes)
	stat(o, "hash_is_expanding", b2i(st.HashIsExpanding))
	crawler := s.crawler.figures()
	s.threadStats(o, st, moves, crawler)
	stat(o, "malloc_fails", 0)
	skipped, sent := s.events.skipped.Load(), s.events.sent.Load()
	stat(o, "log_worker_dropped", 0)
	stat(o, "log_worker_written", skipped+sent)
	stat(o, "log_watcher_skipped", skipped)
	stat(o, "log_watcher_sent", sent)
	stat(o, "log_watchers", s.events.count())
	s.diskStats(o)
	stat(o, "unexpected_napi_ids", 0)
	stat(o, "round_robin_fallback", 0)
	stat(o, "bytes", st.Bytes+st.CurrItems*store.SizeGap)
	stat(o, "curr_items", st.CurrItems)
	stat(o, "total_items", st.TotalItems)
	stat(o, "slab_global_page_pool", st.FreePages)
	stat(o, "expired_unfetched", st.ExpiredUnfetched)
	stat(o, "evicted_unfetched", st.EvictedUnfetched)
	if s.cfg.Maintainer {
		stat(o, "evicted_active", st.EvictedActive)
	}
	stat(o, "evictions", st.Evictions)
	stat(o, "reclaimed", st.Reclaimed)
	stat(o, "crawler_reclaimed", crawler.removed)
	stat(o, "crawler_items_checked", crawler.checked)
	stat(o, "lrutail_reflocked", st.TailRefLocked)
	if s.cfg.Maintainer {
		stat(o, "moves_to_cold", st.MovesToCold)
		stat(o, "moves_to_warm", st.MovesToWarm)
		stat(o, "moves_within_lru", st.MovesWithin)
		stat(o, "direct_reclaims", st.DirectReclaims)
		stat(o, "lru_bumps_dropped", st.BumpsDropped)
	}
	if s.cfg.TLSRead != nil {
		if s.cfg.TLSResumes {
			stat(o, "ssl_new_sessions", s.tlsSessions.Load())
		}
		stat(o, "ssl_handshake_errors", s.tlsErrors.Load())
		stat(o, "ssl_proto_errors", s.tlsBroken.Load())
		stat(o, "time_since_server_cert_refresh", max(0, time.Now().Unix()-s.cfg.TLSRead()))
	}
	if s.cfg.StaleWindow {
		stat(o, "stale_hits", st.StaleHits)
		stat(o, "elected_misses", st.ElectedMisses)
	}
}

// threadStats are the lines about what memcached's background threads do, as far as they are on.
func (s *Server) threadStats(o *output, st store.Stats, m store.MoveStats, crawler crawlerFigures) {
	if !s.cfg.NoReassign {
		stat(o, "slab_reassign_rescues", m.Rescues)
		stat(o, "slab_reassign_chunk_rescues", m.ChunkRescues)
		stat(o, "slab_reassign_inline_reclaim", 0) // a page's free chunks are not given out while it moves
		stat(o, "slab_reassign_busy_items", m.BusyItems)
		stat(o, "slab_reassign_busy_deletes", 0) // what is in use is waited for
		stat(o, "slab_reassign_busy_nomem", m.BusyNoMemory)
		stat(o, "slab_reassign_last_busy_status", m.BusyStatus)
		stat(o, "slab_reassign_running", b2i(m.Running))
		stat(o, "slabs_moved", m.Moved)
	}
	if s.crawler.settings().On {
		stat(o, "lru_crawler_running", b2i(crawler.running))
		stat(o, "lru_crawler_starts", crawler.starts)
	}
	if s.cfg.Maintainer {
		stat(o, "lru_maintainer_juggles", s.juggles.Load())
	}
}

// commandStats are the lines about commands.
func (s *Server) commandStats(o *output, expired, flushed uint64) {
	for _, line := range []struct {
		name string
		of   func(*counters) *atomic.Uint64
	}{
		{"cmd_get", func(c *counters) *atomic.Uint64 { return &c.cmdGet }},
		{"cmd_set", func(c *counters) *atomic.Uint64 { return &c.cmdSet }},
		{"cmd_flush", func(c *counters) *atomic.Uint64 { return &c.cmdFlush }},
		{"cmd_touch", func(c *counters) *atomic.Uint64 { return &c.cmdTouch }},
		{"cmd_meta", nil},
		{"get_hits", func(c *counters) *atomic.Uint64 { return &c.getHits }},
		{"get_misses", func(c *counters) *atomic.Uint64 { return &c.getMisses }},
		{"get_expired", nil},
		{"get_flushed", nil},
		{"get_extstore", func(c *counters) *atomic.Uint64 { return &c.diskGets }},
		{"get_aborted_extstore", func(c *counters) *atomic.Uint64 { return &c.diskAborted }},
		{"get_oom_extstore", func(c *counters) *atomic.Uint64 { return &c.diskOOM }},
		{"recache_from_extstore", func(c *counters) *atomic.Uint64 { return &c.diskRecached }},
		{"miss_from_extstore", func(c *counters) *atomic.Uint64 { return &c.diskMisses }},
		{"badcrc_from_extstore", func(c *counters) *atomic.Uint64 { return &c.diskBadCRC }},
		{"delete_misses", func(c *counters) *atomic.Uint64 { return &c.deleteMisses }},
		{"delete_hits", func(c *counters) *atomic.Uint64 { return &c.deleteHits }},
		{"incr_misses", func(c *counters) *atomic.Uint64 { return &c.incrMisses }},
		{"incr_hits", func(c *counters) *atomic.Uint64 { return &c.incrHits }},
		{"decr_misses", func(c *counters) *atomic.Uint64 { return &c.decrMisses }},
		{"decr_hits", func(c *counters) *atomic.Uint64 { return &c.decrHits }},
		{"cas_misses", func(c *counters) *atomic.Uint64 { return &c.casMisses }},
		{"cas_hits", func(c *counters) *atomic.Uint64 { return &c.casHits }},
		{"cas_badval", func(c *counters) *atomic.Uint64 { return &c.casBadval }},
		{"touch_hits", func(c *counters) *atomic.Uint64 { return &c.touchHits }},
		{"touch_misses", func(c *counters) *atomic.Uint64 { return &c.touchMisses }},
		{"store_too_large", func(c *counters) *atomic.Uint64 { return &c.tooLarge }},
		{"store_no_memory", func(c *counters) *atomic.Uint64 { return &c.noMemory }},
		{"auth_cmds", func(c *counters) *atomic.Uint64 { return &c.authCmds }},
		{"auth_errors", func(c *counters) *atomic.Uint64 { return &c.authErrors }},
		{"idle_kicks", func(c *counters) *atomic.Uint64 { return &c.idleKicks }},
		{"bytes_read", func(c *counters) *atomic.Uint64 { return &c.bytesRead }},
		{"bytes_written", func(c *counters) *atomic.Uint64 { return &c.bytesWritten }},
	} {
		switch {
		case line.name == "idle_kicks" && s.cfg.IdleTimeout == 0: // memcached says it only where it can be
		case strings.HasSuffix(line.name, "_extstore") && !s.store.HasDisk():
		case line.of != nil:
			stat(o, line.name, s.sum(line.of))
		case line.name == "get_expired":
			stat(o, line.name, expired)
		case line.name == "get_flushed":
			stat(o, line.name, flushed)
		default:
			stat(o, line.name, 0)
		}
	}
}

func seconds(t unix.Timeval) string { return fmt.Sprintf("%d.%06d", t.Sec, t.Usec) }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
