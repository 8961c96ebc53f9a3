package server

import (
	"fmt"

	"pagegate/cacheserver/store"
)

// classLine is one line of a group of lines about a slab class.
type classLine struct {
	name  string
	value any
}

// itemStats answers `stats items`: a group of lines for each class that holds items.
func (s *Server) itemStats(o *output) {
	lru := s.store.LRU()
	for _, c := range s.store.ItemStats() {
		checked, removed := s.crawler.ofClass(c.ID)
		lines := []classLine{{"number", c.Number}}
		if s.cfg.Maintainer {
			lines = append(lines, classLine{"number_hot", c.Hot}, classLine{"number_warm", c.Warm}, classLine{"number_cold", c.Cold})
			if lru.Temporary {
				lines = append(lines, classLine{"number_temp", c.Temporary})
			}
			lines = append(lines, classLine{"age_hot", c.AgeHot}, classLine{"age_warm", c.AgeWarm})
		}
		lines = append(lines, []classLine{
			{"age", c.Age}, {"mem_requested", c.MemRequested + c.Number*store.SizeGap}, {"evicted", c.Evicted},
			{"evicted_nonzero", c.EvictedNonzero}, {"evicted_time", c.EvictedTime}, {"outofmemory", c.OutOfMemory},
			{"tailrepairs", c.TailRepairs}, {"reclaimed", c.Reclaimed}, {"expired_unfetched", c.ExpiredUnfetched},
			{"evicted_unfetched", c.EvictedUnfetched},
		}...)
		if s.cfg.Maintainer {
			lines = append(lines, classLine{"evicted_active", c.EvictedActive})
		}
		lines = append(lines, []classLine{
			{"crawler_reclaimed", removed}, {"crawler_items_checked", checked}, {"lrutail_reflocked", c.TailRefLocked},
		}...)
		if s.cfg.Maintainer {
			hits := s.hits(c.ID)
			lines = append(lines, []classLine{
				{"moves_to_cold", c.MovesToCold}, {"moves_to_warm", c.MovesToWarm}, {"moves_within_lru", c.MovesWithin},
				{"direct_reclaims", c.DirectReclaims}, {"hits_to_hot", hits[store.Hot]}, {"hits_to_warm", hits[store.Warm]},
				{"hits_to_cold", hits[store.Cold]}, {"hits_to_temp", hits[store.Temporary]},
			}...)
		}
		for _, l := range lines {
			stat(o, fmt.Sprintf("items:%d:%s", c.ID, l.name), l.value)
		}
	}
}

// hits sums up the hits in a class by the segment that the item was in.
func (s *Server) hits(class int) (n [store.Segments]uint64) {
	for _, w := range s.workers {
		for g := range n {
			n[g] += w.stats.hits[class][g].Load()
		}
	}
	return n
}

// slabStats answers `stats slabs`: a group of lines for each class that holds pages, and the sums.
func (s *Server) slabStats(o *output) {
	classes := s.store.ClassStats()
	active := 0
	for _, c := range classes {
		if c.TotalPages > 0 {
			active++
		}
		hits := uint64(0)
		for _, n := range s.hits(c.ID) {
			hits += n
		}
		for _, l := range []classLine{
			{"chunk_size", c.ChunkSize}, {"chunks_per_page", c.ChunksPerPage}, {"total_pages", c.TotalPages},
			{"total_chunks", c.TotalChunks}, {"used_chunks", c.UsedChunks}, {"free_chunks", c.FreeChunks}, {"free_chunks_end", 0},
			{"get_hits", hits}, {"cmd_set", c.Sets}, {"delete_hits", c.DeleteHits}, {"incr_hits", c.IncrHits},
			{"decr_hits", c.DecrHits}, {"cas_hits", c.CASHits}, {"cas_badval", c.CASBadval}, {"touch_hits", c.TouchHits},
		} {
			stat(o, fmt.Sprintf("%d:%s", c.ID, l.name), l.value)
		}
	}
	stat(o, "active_slabs", active)
	stat(o, "total_malloced", s.store.Stats().TotalMalloced)
}
