package server

import "fmt"

// itemStats answers `stats items`: a group of lines for each class that holds items.
func (s *Server) itemStats(o *output) {
	for _, c := range s.store.ItemStats() {
		for _, l := range []struct {
			name  string
			value any
		}{
			{"number", c.Number}, {"age", c.Age}, {"mem_requested", c.MemRequested}, {"evicted", c.Evicted},
			{"evicted_nonzero", c.EvictedNonzero}, {"evicted_time", c.EvictedTime}, {"outofmemory", c.OutOfMemory},
			{"tailrepairs", c.TailRepairs}, {"reclaimed", c.Reclaimed}, {"expired_unfetched", c.ExpiredUnfetched},
			{"evicted_unfetched", c.EvictedUnfetched}, {"crawler_reclaimed", 0}, {"crawler_items_checked", 0},
			{"lrutail_reflocked", c.TailRefLocked},
		} {
			stat(o, fmt.Sprintf("items:%d:%s", c.ID, l.name), l.value)
		}
	}
}

// slabStats answers `stats slabs`: a group of lines for each class that holds pages, and the sums.
func (s *Server) slabStats(o *output) {
	classes := s.store.ClassStats()
	for _, c := range classes {
		for _, l := range []struct {
			name  string
			value any
		}{
			{"chunk_size", c.ChunkSize}, {"chunks_per_page", c.ChunksPerPage}, {"total_pages", c.TotalPages},
			{"total_chunks", c.TotalChunks}, {"used_chunks", c.UsedChunks}, {"free_chunks", c.FreeChunks}, {"free_chunks_end", 0},
			{"get_hits", 0}, {"cmd_set", c.Sets}, {"delete_hits", c.DeleteHits}, {"incr_hits", c.IncrHits},
			{"decr_hits", c.DecrHits}, {"cas_hits", c.CASHits}, {"cas_badval", c.CASBadval}, {"touch_hits", c.TouchHits},
		} {
			stat(o, fmt.Sprintf("%d:%s", c.ID, l.name), l.value)
		}
	}
	stat(o, "active_slabs", len(classes))
	stat(o, "total_malloced", s.store.Stats().TotalMalloced)
}
