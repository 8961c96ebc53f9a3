package extstore

// Stats are figures of the whole log; the names in the comments are those of memcached's `stats`.
type Stats struct {
	PageAllocs      uint64 // extstore_page_allocs: uses of pages that were begun
	PageEvictions   uint64 // extstore_page_evictions: of these, ended for want of a free page
	PageReclaims    uint64 // extstore_page_reclaims: all that were ended
	PagesFree       int    // extstore_pages_free
	PagesUsed       int    // extstore_pages_used
	ObjectsEvicted  uint64 // extstore_objects_evicted: values in pages that were evicted
	ObjectsRead     uint64 // extstore_objects_read: reads, of whole buffers for compaction too
	ObjectsWritten  uint64 // extstore_objects_written
	ObjectsUsed     uint64 // extstore_objects_used: values that are not forgotten
	BytesEvicted    uint64 // extstore_bytes_evicted
	BytesWritten    uint64 // extstore_bytes_written
	BytesRead       uint64 // extstore_bytes_read: in these, of whole records
	BytesUsed       uint64 // extstore_bytes_used
	BytesFragmented uint64 // extstore_bytes_fragmented: of the pages in use, what no value takes
	LimitMaxBytes   uint64 // extstore_limit_maxbytes
	Queue           int    // extstore_io_queue: tasks that wait for a reader
	WriteFailures   uint64 // writes to a file that failed
}

// PageStats are those of one page, for memcached's `stats extstore`.
type PageStats struct {
	Version uint32 // 0: it is free
	Bytes   int64
	Bucket  Bucket // whose values it has; Default if it is free or still written to
	Home    Bucket
}

// Stats returns the figures.
func (l *Log) Stats() Stats {
	c := &l.counts
	st := Stats{
		PageAllocs: c.pageAllocs.Load(), PageEvictions: c.pageEvictions.Load(), PageReclaims: c.pageReclaims.Load(),
		ObjectsEvicted: c.objectsEvicted.Load(), ObjectsRead: c.objectsRead.Load(), ObjectsWritten: c.objectsWritten.Load(),
		BytesEvicted: c.bytesEvicted.Load(), BytesRead: c.bytesRead.Load(), BytesWritten: c.bytesWritten.Load(),
		LimitMaxBytes: uint64(len(l.pages)) * uint64(l.cfg.PageSize), Queue: l.readers.waiting(), WriteFailures: c.writeFailures.Load(),
	}
	for i := range l.pages {
		p := &l.pages[i]
		p.mu.Lock()
		st.ObjectsUsed += uint64(p.objects)
		st.BytesUsed += uint64(p.bytes)
		p.mu.Unlock()
	}
	l.mu.Lock()
	st.PagesFree = l.freePages
	l.mu.Unlock()
	st.PagesUsed = len(l.pages) - st.PagesFree
	if all := uint64(st.PagesUsed) * uint64(l.cfg.PageSize); all > st.BytesUsed {
		st.BytesFragmented = all - st.BytesUsed
	}
	return st
}

// Pages returns the figures of each page.
func (l *Log) Pages() []PageStats {
	all := make([]PageStats, len(l.pages))
	for i := range l.pages {
		p := &l.pages[i]
		p.mu.Lock()
		all[i] = PageStats{Version: p.version, Bytes: p.bytes, Home: p.home}
		if p.version != 0 && !p.active {
			all[i].Bucket = p.bucket
		}
		p.mu.Unlock()
	}
	return all
}
