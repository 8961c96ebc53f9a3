// Package store is the memory of the cache server: items in slab classes, a hash index over them, segmented LRU eviction within a
// class, lazy expiry and compare-and-swap. It knows no socket, no protocol text and no log; the clock is given to it.
//
// # Memory
//
// New reserves address space for pages of 1 MiB and never asks for more; a page costs memory from the first time it is
// used. A page belongs to a slab class and is cut into equal chunks; an item is one chunk, or, when it is larger than the
// largest chunk, a chain: a head chunk with the header, the key and the start of the value, and pieces with the rest.
// Items, LRU lists, free lists and the hash index live in this memory and refer to each other by 32-bit numbers (page
// and chunk within the page), so the garbage collector sees a handful of objects however many items there are.
//
// The classes, their numbers and which item falls into which are memcached's. How a page is cut is not: a class that
// has a few pages already cuts further ones to fit the sizes that it is asked for, anywhere between the next smaller
// class's size and its own. That is where the gain in items per megabyte comes from, together with a header of 40 bytes
// in memcached's 56's stead: 65 items of 16,000 bytes go into a page and not 60. An alternative, a small tail chunk behind each
// large chunk, gains as much, but breaks values in two and makes half of the classes dependent on others.
//
// # An item's life
//
// Alloc takes chunks; they belong to the Pending alone. Commit links the item: into the index and into one of its
// class's LRU lists. The state word of the header counts the references: one for being linked, one for each Item or Pending that
// is held. Whoever takes the last one away frees the chunks; nothing else does. So a reader keeps its value whole though the item
// is deleted, evicted or replaced, and memory is never written to while somebody reads it. The single change made in
// place, a counter's new text, happens only when no reader holds the item.
//
// A flush raises the store's epoch; an item of another epoch is dead, as is one whose time is over. Dead items are
// removed when somebody comes upon them: a look-up, the search for a victim, or the reclaiming of their page.
//
// # When memory is short
//
// A new chunk comes, in this order, from the free chunks of the class, an unused page, a dead item at the tail of one of the
// class's LRU lists, a page of which all items are dead, the least recently used live item of the class, and, when the class
// has nothing to give, a page of the class that has the most; a class without any page gets one beyond the limit. See takeChunk. Which items count as little used is said in lru.go; how
// pages move before a class has nothing to give, in automove.go; how values of items that are not used make room by going to disk, in disk.go.
package store

import (
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"pagegate/cacheserver/extstore"
)

// Config says how a Store is laid out. The zero value of a field means the default that its comment gives.
type Config struct {
	MemoryLimit  int64         // bytes of slab pages, memcached's -m; default 64 MiB, at least 2 MiB, whole pages of 1 MiB
	ItemSizeMax  int           // bytes of the largest item as memcached counts them, memcached's -I; default 1 MiB, 1 KiB to 1 GiB
	KeyMax       int           // bytes of the longest key; default 250, at most 8,192
	ChunkMin     int           // smallest space for key+value+flags in bytes, memcached's -n; default 48
	GrowthFactor float64       // between the sizes of neighbouring classes, memcached's -f; default 1.25, more than 1
	SlabChunkMax int           // bytes of the largest chunk, a larger item is a chain; default 512 KiB, at most 1 MiB and ItemSizeMax
	HashPower    int           // binary logarithm of the number of buckets that the index begins with; default and least 16, at most 32
	HugePages    bool          // ask for huge pages, memcached's -L
	Taken        int64         // bytes of the limit that count as used from the start, for tests of large limits
	NoEvict      bool          // fail a store instead of evicting, memcached's -M
	StaleWindow  uint32        // seconds for which an item is of use behind its expiry: see Get; default 0, none
	StaleRetry   uint32        // seconds between two look-ups that are told to refresh such an item; default 1
	LRU          LRU           // which item goes first; the zero value is one list per class in the order of use
	NoCAS        bool          // keep no CAS ids, memcached's -C; saves 8 bytes per item
	File         string        // keep the pages in this file, so that the next Store has them after Save; see Restored. Default none
	Disk         *extstore.Log // where the values of cold items go: see Spill. The caller closes it, before the Store; default none
	Now          func() int64  // the clock: unix time in seconds; default the system's. Called in every operation: it must be cheap
}

// Errors of Alloc, and ErrLimit of SetMemoryLimit.
var (
	ErrTooLarge = errors.New("object too large for cache")
	ErrNoMemory = errors.New("out of memory storing object")
	ErrKey      = errors.New("key empty or too long")
	ErrLimit    = errors.New("memory limit out of the reserved range")
)

// Mode is what a Commit does with an item that is, or is not, there.
type Mode uint8

// The storage commands of protocol.txt.
const (
	Set     Mode = iota // store in any case
	Add                 // store if the key is absent
	Replace             // store if the key is present
	Append              // add the data behind a present item's; its flags and expiry stay
	Prepend             // add the data before a present item's; its flags and expiry stay
	CAS                 // store if the present item's CAS id is the one given
)

// Status is the outcome of a write.
type Status uint8

// Outcomes of Commit, Delta, Touch and Delete.
const (
	Stored     Status = iota // done
	NotStored                // Add found an item; Replace, Append or Prepend found none
	Exists                   // CAS: the item has changed
	NotFound                 // no such item
	NonNumeric               // Delta: the value is no 64-bit decimal number
	TooLarge                 // Append or Prepend: the result is too large; the old item stays
	NoMemory                 // no memory and nothing to evict; the old item stays
)

// Store is a bounded memory of items. Everything is safe for concurrent use.
//
// Locks, in the order in which they are taken:
//
//	disk.mu    what is written to disk, and compacted there
//	mover.mu   what the automover remembers
//	moving.mu  the page that is moving
//	stripe.mu  an item's place in the index, its expiry, CAS id and epoch, and the decision about what a key stands for
//	class.mu   the class's LRU lists, free chunks and counters, and the pages that it owns; never two classes at once
//	pool.mu    the pages that no class owns
//	bumps.mu   some of the items that are to become warm ones
//
// The locks of Config.Disk come behind all of these.
//
// The search for a victim goes the other way, from a class to a stripe, and therefore only tries the stripe's lock.
// Nothing is allocated under a stripe's lock, because taking a page away from a class waits for stripes.
//
// Reference counts and the other bits of the state word are atomic and need no lock. Key, length and client flags of
// an item never change between its Commit and its end, so whoever keeps it from ending (by a reference, by the stripe while it is
// linked, by the class while it is in the list) may read them.
type Store struct {
	cfg   Config
	seed  maphash.Seed
	slabs *region // the pages
	// sizes is what each page's chunks have in bytes, by page number; constant while a chunk of the page is in use. That one is in use is
	// told by its state word, outside of Go's heap, where the race detector sees nothing: hence atomic.
	sizes   []atomic.Uint32
	pages   []page
	pool    pool
	classes []class // by number; the first, 0, is not used
	index   index
	lastCAS atomic.Uint64
	epoch   atomic.Uint32 // number of flushes that have taken effect
	flush   struct {
		mu sync.Mutex
		at atomic.Int64 // unix time of a flush to come; 0 is none
	}
	onMove   atomic.Pointer[func(src, dst int, begun bool)]
	onEvict  atomic.Pointer[func([]byte, ItemInfo)]
	lru      atomic.Pointer[LRU]
	bumps    [bumpQueues]bumpQueue
	mover    automover
	kept     atomic.Int64 // pages that classes keep though nothing is in them
	wanted   chan int
	sweep    atomic.Uint32 // page number at which the search for dead pages goes on
	moving   pageMove
	drained  atomic.Uint64
	restored Restored
	disk     *disk // nil without Config.Disk
}

// New reserves the memory of a store. No goroutine stays behind. It fails for a Config out of its bounds, when the system gives
// no address space, and for a File that cannot be used; one whose items cannot be used is emptied: see Restored.
func New(cfg Config) (*Store, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	if cfg.File != "" {
		return open(cfg)
	}
	return build(cfg, nil, false)
}

// build makes a store without items, in a file or not. keep leaves what is in the file.
func build(cfg Config, file *memoryFile, keep bool) (*Store, error) {
	limit := int(cfg.MemoryLimit >> pageShift)
	s := &Store{cfg: cfg, seed: maphash.MakeSeed(), wanted: make(chan int, 1)}
	s.lastCAS.Store(1) // as in memcached, whose first item has the id 2
	s.SetLRU(cfg.LRU)
	s.SetAutomove(Automove{})
	if cfg.Disk != nil {
		s.disk = newDisk(cfg.Disk)
	}
	reserved, err := s.reserve(limit, file, keep)
	if err != nil {
		return nil, err
	}
	if cfg.HugePages {
		s.slabs.adviseHuge()
		s.index.region.adviseHuge()
	}
	s.sizes = make([]atomic.Uint32, reserved+1)
	s.pages = make([]page, reserved+1)
	s.pool.taken = min(cfg.Taken, cfg.MemoryLimit)
	s.pool.init(int((cfg.MemoryLimit-s.pool.taken)>>pageShift), reserved)
	table := classTable(itemOverhead+cfg.ChunkMin, cfg.GrowthFactor, cfg.SlabChunkMax)
	s.classes = make([]class, len(table))
	for id := range s.classes {
		s.classes[id].spec = table[id]
		s.classes[id].id = id
	}
	return s, nil
}

// Close gives the memory back to the system. The caller sees to it that no call is under way and that no Item and no
// Pending is held; no method may be called afterwards.
func (s *Store) Close() error {
	err := s.unmap()
	if f := s.slabs.file; f != nil {
		err = errors.Join(err, f.f.Close())
	}
	return err
}

func (s *Store) unmap() error { return errors.Join(s.slabs.unmap(), s.index.region.unmap()) }

// HugePages says whether the system has promised huge pages for the items (Config.HugePages, best effort).
func (s *Store) HugePages() bool { return s.slabs.huge }

// OnMove sets what is called when the automover begins to move a page between classes, 0 for the pages that no class holds, or fails to;
// nil is nothing. fn must not call the store.
func (s *Store) OnMove(fn func(src, dst int, begun bool)) {
	if fn == nil {
		s.onMove.Store(nil)
		return
	}
	s.onMove.Store(&fn)
}

// OnEvict sets what is called for each live item that has to make room for another; nil is nothing. fn is called with locks
// held: it must not call the store, nor keep the key, nor take long.
func (s *Store) OnEvict(fn func(key []byte, it ItemInfo)) {
	if fn == nil {
		s.onEvict.Store(nil)
		return
	}
	s.onEvict.Store(&fn)
}

// KeepsCAS says whether items have CAS ids (not Config.NoCAS).
func (s *Store) KeepsCAS() bool { return !s.cfg.NoCAS }

// now reads the clock, as items keep it: unix seconds in 32 bits. A flush whose time has come takes effect first.
func (s *Store) now() uint32 {
	t := s.cfg.Now()
	if at := s.flush.at.Load(); at != 0 && t >= at {
		s.flushDue(at)
	}
	return clampTime(t)
}

// clampTime brings a unix time into the range that a header holds: 1 for all that is long past, 2106 for what comes later.
func clampTime(t int64) uint32 {
	return uint32(min(max(t, 1), 1<<32-2))
}

// clampExptime is clampTime for expiry times, where 0 stays 0: never.
func clampExptime(t int64) uint32 {
	if t == 0 {
		return 0
	}
	return clampTime(t)
}

// hash mixes the seed of this store into the hash, so that nobody can make up keys that fall into one bucket.
func (s *Store) hash(key []byte) uint64 { return maphash.Bytes(s.seed, key) }

// casOr returns an id that a client has chosen, or, for 0, the next one; 0 if the store keeps none.
func (s *Store) casOr(id uint64) uint64 {
	if id == 0 || s.cfg.NoCAS {
		return s.nextCAS()
	}
	return id
}

// SkipCAS uses up a CAS id that no item gets.
func (s *Store) SkipCAS() { s.nextCAS() }

// nextCAS returns an id that no item has had yet, larger than all before; 0 if the store keeps none.
func (s *Store) nextCAS() uint64 {
	if s.cfg.NoCAS {
		return 0
	}
	return s.lastCAS.Add(1)
}

func systemTime() int64 { return time.Now().Unix() }
