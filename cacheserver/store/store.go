// Package store is the memory of the cache server: items in slab classes, a hash index over them, LRU eviction within a
// class, lazy expiry and compare-and-swap. It knows no socket, no protocol text and no log; the clock is given to it.
package store

import "errors"

// Config says how a Store is laid out. The zero value of a field means the default that its comment gives.
type Config struct {
	MemoryLimit  int64        // bytes of slab pages, memcached's -m; default 64 MiB
	ItemSizeMax  int          // bytes of the largest item, header and key included, memcached's -I; default 1 MiB, 1 KiB to 1 GiB
	KeyMax       int          // bytes of the longest key; default 250, at most 8,192
	ChunkMin     int          // smallest space for key+value+flags in bytes, memcached's -n; default 48
	GrowthFactor float64      // between the sizes of neighbouring classes, memcached's -f; default 1.25
	SlabChunkMax int          // bytes of the largest single chunk; a larger item is a chain of chunks; default 512 KiB
	HugePages    bool         // ask for huge pages, memcached's -L
	NoEvict      bool         // fail a store instead of evicting, memcached's -M
	NoCAS        bool         // keep no CAS ids, memcached's -C
	Now          func() int64 // the clock: unix time in seconds; default the system's. Called often: it must be cheap
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
