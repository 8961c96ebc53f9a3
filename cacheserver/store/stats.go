package store

import (
	"math/bits"
	"sync/atomic"
)

// Stats are the figures of the whole store, as of one moment or, while others write, nearly so. The names in the
// comments are those of memcached's general `stats`.
type Stats struct {
	CurrItems        uint64 // curr_items: linked items, the expired ones that nobody has stumbled over included
	TotalItems       uint64 // total_items: items stored since the start
	Bytes            uint64 // bytes: headers, keys and values of the linked items
	LimitMaxBytes    int64  // limit_maxbytes
	HashPowerLevel   int    // hash_power_level: binary logarithm of the buckets of the index
	HashBytes        uint64 // hash_bytes: memory of the index
	HashIsExpanding  bool   // hash_is_expanding
	Evictions        uint64 // evictions: live items thrown out for new ones
	Reclaimed        uint64 // reclaimed: stores that took the memory of an expired or flushed item
	ExpiredUnfetched uint64 // expired_unfetched: of those, never read
	EvictedUnfetched uint64 // evicted_unfetched: of the evicted, never read
	EvictedActive    uint64 // evicted_active: of the evicted, read more than once lately
	TailRefLocked    uint64 // lrutail_reflocked: candidates for eviction that were passed over because they were in use
	DirectReclaims   uint64 // direct_reclaims: stores that took the memory of an item
	MovesToCold      uint64 // moves_to_cold, and so on: items that changed their segment
	MovesToWarm      uint64
	MovesWithin      uint64 // moves_within_lru: warm items that stay because they were read again
	BumpsDropped     uint64 // lru_bumps_dropped: cold items that were read again, and stay cold since too many were
	GetExpired       uint64 // get_expired: look-ups that found an expired item
	GetFlushed       uint64 // get_flushed: look-ups that found a flushed item
	StaleHits        uint64 // stale_hits: look-ups within the stale window that got the old value
	ElectedMisses    uint64 // elected_misses: those that were told to refresh it
	PagesDrained     uint64 // pages that were emptied because somebody wanted memory
	FreePages        uint64 // slab_global_page_pool: pages that no class holds any more but that still take memory; with a disk all that no class holds
	TotalMalloced    uint64 // total_malloced of `stats slabs`: bytes of the pages that take memory
}

// ClassStats are the figures of one slab class for `stats slabs`.
type ClassStats struct {
	ID            int    // the number of the class, from 1
	ChunkSize     int    // bytes of a chunk
	ChunksPerPage int    // of that size in a page of 1 MiB; pages that are cut to fit hold more
	TotalPages    uint64 // pages of 1 MiB that the class holds
	TotalChunks   uint64 // chunks in them
	UsedChunks    uint64 // of these, in use
	FreeChunks    uint64 // of these, free
	MemRequested  uint64 // bytes that the items in them really need
	Sets          uint64 // cmd_set: items stored, by append or incr too
	DeleteHits    uint64 // delete_hits, and so on
	IncrHits      uint64
	DecrHits      uint64
	CASHits       uint64
	CASBadval     uint64
	TouchHits     uint64
}

// ItemStats are the figures of one slab class for `stats items`.
type ItemStats struct {
	ID               int    // the number of the class, from 1
	Number           uint64 // linked items
	Hot              uint64 // of these, in each segment
	Warm             uint64
	Cold             uint64
	Temporary        uint64
	AgeHot           int64 // seconds since the last access of the segment's least recently used item
	AgeWarm          int64
	Age              int64  // the same of the cold ones: of all, if the lists are not segmented
	MemRequested     uint64 // bytes of the linked items
	Evicted          uint64 // live items thrown out
	EvictedNonzero   uint64 // of those, with an expiry time
	EvictedTime      int64  // seconds since the last access of the item that was thrown out last
	OutOfMemory      uint64 // stores that found no memory
	TailRepairs      uint64 // always 0: a reference can't be lost here
	Reclaimed        uint64 // stores that took the memory of an expired or flushed item
	ExpiredUnfetched uint64 // of those, never read
	EvictedUnfetched uint64 // of the evicted, never read
	EvictedActive    uint64 // of the evicted, read more than once lately
	TailRefLocked    uint64 // lrutail_reflocked: eviction candidates passed over because they were in use
	DirectReclaims   uint64 // as in Stats
	MovesToCold      uint64
	MovesToWarm      uint64
	MovesWithin      uint64
}

// SizeBucket is one line of `stats sizes`: Count items take Size bytes, rounded up to a multiple of 32.
type SizeBucket struct {
	Size  int
	Count uint64
}

// Class is one line of the table of slab classes that memcached prints at start with -vv.
type Class struct {
	ID        int // from 1
	ChunkSize int // bytes
	PerPage   int // chunks in a page of 1 MiB
}

// Stats returns the figures of the store. It takes every lock in turn, each for a moment.
func (s *Store) Stats() Stats {
	st := Stats{PagesDrained: s.drained.Load(), BumpsDropped: s.bumpsDropped()}
	s.addIndexStats(&st)
	for id := 1; id < len(s.classes); id++ {
		k := &s.classes[id]
		k.mu.Lock()
		st.TotalItems += k.stored
		_, bytes := k.linked()
		st.Bytes += bytes
		st.Evictions += k.evicting.evicted
		st.Reclaimed += k.evicting.reclaimed
		st.ExpiredUnfetched += k.evicting.expiredUnfetched
		st.EvictedUnfetched += k.evicting.evictedUnfetched
		st.EvictedActive += k.evicting.evictedActive
		st.TailRefLocked += k.evicting.refLocked
		st.DirectReclaims += k.evicting.direct
		st.MovesToCold += k.moves.toCold
		st.MovesToWarm += k.moves.toWarm
		st.MovesWithin += k.moves.within
		k.mu.Unlock()
	}
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	st.LimitMaxBytes = s.pool.limitBytes()
	st.FreePages = uint64(len(s.pool.used))
	if s.disk != nil { // as memcached, which then takes all its memory at once
		st.FreePages = uint64(max(0, -s.pool.excess()))
	}
	st.TotalMalloced = uint64(s.pool.owned+len(s.pool.used))<<pageShift + uint64(s.pool.taken)
	return st
}

func (s *Store) addIndexStats(st *Stats) {
	buckets := uint64(0)
	for i := range s.index.stripes {
		stripe := &s.index.stripes[i]
		stripe.mu.Lock()
		st.CurrItems += uint64(stripe.items)
		st.GetExpired += stripe.getExpired
		st.GetFlushed += stripe.getFlushed
		st.StaleHits += stripe.staleHits
		st.ElectedMisses += stripe.elected
		st.HashIsExpanding = st.HashIsExpanding || stripe.split != 0
		buckets += uint64(1<<stripe.level + stripe.split)
		stripe.mu.Unlock()
	}
	st.HashPowerLevel = bits.Len64(buckets) - 1
	st.HashBytes = 4 * buckets
}

// ClassStats returns the figures of the classes that hold pages, or have held one, in the order of their numbers.
func (s *Store) ClassStats() []ClassStats {
	var all []ClassStats
	for id := 1; id < len(s.classes); id++ {
		k := &s.classes[id]
		k.mu.Lock()
		_, bytes := k.linked()
		st := ClassStats{
			ID: id, ChunkSize: k.spec.size, ChunksPerPage: k.spec.perPage,
			TotalPages: uint64(k.pages.Load()), TotalChunks: k.chunks, UsedChunks: k.used, FreeChunks: k.chunks - k.used,
			MemRequested: bytes, Sets: k.stored,
		}
		known := k.known
		k.mu.Unlock()
		st.DeleteHits, st.TouchHits = k.hits.deletes.Load(), k.hits.touches.Load()
		st.IncrHits, st.DecrHits = k.hits.incrs.Load(), k.hits.decrs.Load()
		st.CASHits, st.CASBadval = k.hits.casHits.Load(), k.hits.casBadval.Load()
		if known {
			all = append(all, st)
		}
	}
	return all
}

// ItemStats returns the figures of the classes that hold items, in the order of their numbers.
func (s *Store) ItemStats() []ItemStats {
	var all []ItemStats
	now := s.now()
	for id := 1; id < len(s.classes); id++ {
		k := &s.classes[id]
		k.mu.Lock()
		if count, bytes := k.linked(); count > 0 {
			e := &k.evicting
			all = append(all, ItemStats{
				ID: id, Number: count, MemRequested: bytes,
				Hot: k.lists[hot].count, Warm: k.lists[warm].count, Cold: k.lists[cold].count, Temporary: k.lists[temporary].count,
				Age: s.tailAge(k, cold, now), AgeHot: s.tailAge(k, hot, now), AgeWarm: s.tailAge(k, warm, now),
				Evicted: e.evicted, EvictedNonzero: e.evictedNonzero, EvictedTime: e.evictedTime,
				EvictedUnfetched: e.evictedUnfetched, OutOfMemory: e.outOfMemory, Reclaimed: e.reclaimed,
				ExpiredUnfetched: e.expiredUnfetched, TailRefLocked: e.refLocked, EvictedActive: e.evictedActive,
				DirectReclaims: e.direct, MovesToCold: k.moves.toCold, MovesToWarm: k.moves.toWarm, MovesWithin: k.moves.within,
			})
		}
		k.mu.Unlock()
	}
	return all
}

// ResetStats sets the counters to zero, not the figures that tell a present state.
func (s *Store) ResetStats() {
	if s.disk != nil {
		s.disk.resetCounts()
	}
	for i := range s.index.stripes {
		st := &s.index.stripes[i]
		st.mu.Lock()
		st.getExpired, st.getFlushed, st.staleHits, st.elected = 0, 0, 0, 0
		st.mu.Unlock()
	}
	for id := range s.classes {
		k := &s.classes[id]
		k.mu.Lock()
		k.evicting = evictCounters{}
		k.moves = moveCounters{}
		k.stored = 0
		k.mu.Unlock()
		for _, n := range []*atomic.Uint64{
			&k.hits.deletes, &k.hits.touches, &k.hits.incrs, &k.hits.decrs, &k.hits.casHits, &k.hits.casBadval,
		} {
			n.Store(0)
		}
	}
}
