package server

import (
	"strconv"
	"strings"
	"time"

	"pagegate/cacheserver/store"
)

// How long the goroutine that moves values to disk sleeps when there is nothing to do: longer each time. It looks for pages worth
// compacting in any case now and then.
const (
	diskSleepLeast = 200 * time.Microsecond
	diskSleepMost  = 10 * time.Millisecond
	compactEvery   = 100 * time.Millisecond
)

// tendDisk moves values of cold items to disk and compacts pages there, until the server is closed. The two take turns, a write
// buffer's worth each: neither is to run away from the other.
func (s *Server) tendDisk() {
	sleep, looked, compacting := diskSleepLeast, time.Now(), false
	for {
		more := s.store.Spill()
		if more || compacting || time.Since(looked) >= compactEvery {
			compacting = s.store.CompactDisk()
			looked = time.Now()
		}
		if more || compacting {
			sleep = 0
		}
		if s.pause(sleep) {
			return
		}
		most := min(diskSleepMost, time.Duration(s.diskSleep.Load())*time.Microsecond)
		sleep = min(max(2*sleep, diskSleepLeast), most)
	}
}

// onDiskEvent tells watchers what happens between memory and disk, in memcached's words.
func (s *Server) onDiskEvent(e store.DiskEvent) {
	if e.Kind == store.Spilled {
		if s.events.watched(evictions) {
			s.tellSpilled(e)
		}
		return
	}
	if !s.events.watched(sysEvents) {
		return
	}
	tell := func(format string, args ...any) { s.events.tell(sysEvents, format, args...) }
	switch e.Kind {
	case store.CompactLooked:
		tell("compact_fraginfo ratio=%.2f bytes=%d", e.MaxFrag, e.Limit)
	case store.CompactStarted:
		tell("compact_start id=%d version=%d", e.Plan.Page, e.Plan.Version)
	case store.CompactRead:
		tell("compact_read_start id=%d offset=%d", e.Plan.Page, e.Offset)
	case store.CompactWritten:
		f := e.Found
		tell("compact_read_end id=%d offset=%d rescues=%d rescues_realloc=%d lost=%d lost_oom=%d skipped=%d",
			e.Plan.Page, e.Offset, f.Rescues, f.InUse, f.Lost, 0, f.Skipped)
	case store.CompactEnded:
		tell("compact_end id=%d", e.Plan.Page)
	case store.CompactAborted:
		tell("compact_abort id=%d", e.Plan.Page)
	}
}

func (s *Server) tellSpilled(e store.DiskEvent) {
	fetch, ttl, now := "no", int64(-1), s.clock()
	if e.Item.Fetched {
		fetch = "yes"
	}
	if e.Item.Exptime != 0 {
		ttl = e.Item.Exptime - now
	}
	s.events.tell(evictions, "extwrite key=%s fetch=%s ttl=%d la=%d clsid=%d bucket=%d",
		uriEncode(e.Key), fetch, ttl, max(0, now-e.Item.LastAccess), e.Item.Class, e.Bucket)
}

// diskSettings are the names that the command extstore knows, in the order in which it looks for one that begins as the word given, and
// what sets each.
var diskSettings = []struct {
	name string
	set  func(s *Server, p *store.DiskPolicy, n uint32)
}{
	{"item_size", func(_ *Server, p *store.DiskPolicy, n uint32) { p.ItemSize = int(n) }},
	{"item_age", func(_ *Server, p *store.DiskPolicy, n uint32) { p.ItemAge = int64(n) }},
	{"low_ttl", func(_ *Server, p *store.DiskPolicy, n uint32) { p.LowTTL = int64(n) }},
	{"recache_rate", func(_ *Server, p *store.DiskPolicy, n uint32) { p.RecacheRate = uint64(n) }},
	{"compact_under", func(_ *Server, p *store.DiskPolicy, n uint32) { p.CompactUnder = int(n) }},
	{"drop_under", func(_ *Server, p *store.DiskPolicy, n uint32) { p.DropUnder = int(n) }},
	{"max_sleep", func(s *Server, _ *store.DiskPolicy, n uint32) { s.diskSleep.Store(n) }},
	{"max_frag", nil},
	{"drop_unread", func(_ *Server, p *store.DiskPolicy, n uint32) { p.DropUnread = n != 0 }},
}

// diskCommand is extstore NAME VALUE. Without files it changes nothing.
func (s *Server) diskCommand(w []string) string {
	if len(w) < 2 {
		return errUnknown
	}
	if strings.HasPrefix("free_memchunks", w[0]) && len(w) > 2 { // memcached accepts it for old scripts
		class, err1 := strconv.ParseUint(w[1], 10, 32)
		_, err2 := strconv.ParseUint(w[2], 10, 32)
		if err1 != nil || err2 != nil || class > store.ClassesMax {
			return errUnknown
		}
		return "OK"
	}
	p := store.DiskPolicy{}
	if s.store.HasDisk() {
		p = s.store.DiskPolicy()
	}
	for _, setting := range diskSettings {
		if !strings.HasPrefix(setting.name, w[0]) {
			continue
		}
		if setting.set == nil {
			f, err := strconv.ParseFloat(w[1], 64)
			if err != nil {
				return errUnknown
			}
			p.MaxFrag = f
		} else {
			n, err := strconv.ParseUint(w[1], 10, 32)
			if err != nil {
				return errUnknown
			}
			setting.set(s, &p, uint32(n))
		}
		if s.store.HasDisk() {
			s.store.SetDiskPolicy(p)
		}
		return "OK"
	}
	return errUnknown
}

// diskSetting returns a line of `stats settings` about the disk.
func (s *Server) diskSetting(name, fixed string) string {
	if !s.store.HasDisk() {
		return fixed
	}
	p := s.store.DiskPolicy()
	switch name {
	case "ext_item_size":
		return strconv.Itoa(p.ItemSize)
	case "ext_item_age":
		return strconv.FormatInt(p.ItemAge, 10)
	case "ext_low_ttl":
		return strconv.FormatInt(p.LowTTL, 10)
	case "ext_recache_rate":
		return strconv.FormatUint(p.RecacheRate, 10)
	case "ext_compact_under":
		return strconv.Itoa(p.CompactUnder)
	case "ext_drop_under":
		return strconv.Itoa(p.DropUnder)
	case "ext_max_sleep":
		return strconv.FormatUint(uint64(s.diskSleep.Load()), 10)
	case "ext_max_frag":
		return strconv.FormatFloat(p.MaxFrag, 'f', 2, 64)
	case "ext_drop_unread":
		if p.DropUnread {
			return "yes"
		}
		return "no"
	}
	return fixed
}

// diskStats are the lines of general `stats` about the disk.
func (s *Server) diskStats(o *output) {
	if !s.store.HasDisk() {
		return
	}
	c, st := s.store.DiskStats(), s.store.Disk().Stats()
	stat(o, "extstore_memory_pressure", strconv.FormatFloat(c.MemoryPressure, 'f', 2, 64))
	for _, line := range []struct {
		name string
		n    uint64
	}{
		{"compact_lost", c.Lost}, {"compact_rescues", c.Rescues}, {"compact_resc_cold", c.RescuedCold},
		{"compact_resc_old", c.RescuedOld}, {"compact_skipped", c.Skipped},
		{"page_allocs", st.PageAllocs}, {"page_evictions", st.PageEvictions}, {"page_reclaims", st.PageReclaims},
		{"pages_free", uint64(st.PagesFree)}, {"pages_used", uint64(st.PagesUsed)},
		{"objects_evicted", st.ObjectsEvicted}, {"objects_read", st.ObjectsRead}, {"objects_written", st.ObjectsWritten},
		{"objects_used", st.ObjectsUsed}, {"bytes_evicted", st.BytesEvicted}, {"bytes_written", st.BytesWritten},
		{"bytes_read", st.BytesRead}, {"bytes_used", st.BytesUsed}, {"bytes_fragmented", st.BytesFragmented},
		{"limit_maxbytes", st.LimitMaxBytes}, {"io_queue", uint64(st.Queue)},
	} {
		stat(o, "extstore_"+line.name, line.n)
	}
}

// diskPageStats are the lines of `stats extstore`.
func (s *Server) diskPageStats(o *output) {
	if !s.store.HasDisk() {
		return
	}
	for i, p := range s.store.Disk().Pages() {
		number := strconv.Itoa(i)
		stat(o, number+":version", p.Version)
		stat(o, number+":bytes", p.Bytes)
		stat(o, number+":bucket", p.Bucket)
		stat(o, number+":free_bucket", p.Home)
	}
}
