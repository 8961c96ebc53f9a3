package store

import (
	"encoding/binary"
	"math"
	"sync"
	"sync/atomic"

	"pagegate/cacheserver/extstore"
)

// With Config.Disk values of cold items go to files (Spill). The item stays: header and key in memory, in a class of its own size,
// the value's place in the value's stead. To read the value takes a Load, which waits for the disk in a goroutine of the log's. What
// is on disk is not changed: who writes makes a new item, in memory; nothing is added or joined to it.
//
// The place of a linked item changes when its page is compacted (CompactDisk). That happens under the item's stripe, and the place is
// read under it: a reference to the item is not enough.

// placeSize is what a place takes in memory, in bytes.
const placeSize = 16

// moving is the place of a value that is being written to another page. Only who holds the disk's mu moves one.
var moving extstore.Place

// onDisk tells whether the item's value is on disk.
func (c chunk) onDisk() bool { return c.state().Load()&bitOnDisk != 0 }

func (c chunk) placeBytes(state uint32) []byte {
	return c.bytes(keyOffset(state)+c.keyLen(), placeSize)
}

// place returns where the value is. The caller holds the item's stripe; state is the item's.
func (c chunk) place(state uint32) extstore.Place {
	b := c.placeBytes(state)
	return extstore.Place{
		Page: binary.LittleEndian.Uint32(b), Version: binary.LittleEndian.Uint32(b[4:]),
		Offset: binary.LittleEndian.Uint32(b[8:]), Sum: binary.LittleEndian.Uint32(b[12:]),
	}
}

func (c chunk) setPlace(at extstore.Place) {
	b := c.placeBytes(c.state().Load())
	binary.LittleEndian.PutUint32(b, at.Page)
	binary.LittleEndian.PutUint32(b[4:], at.Version)
	binary.LittleEndian.PutUint32(b[8:], at.Offset)
	binary.LittleEndian.PutUint32(b[12:], at.Sum)
}

// DiskPolicy says which values go to disk, and when pages there are compacted.
type DiskPolicy struct {
	ItemSize    int    // bytes: only items of the slab class of this size and of larger ones go
	ItemAge     int64  // seconds that an item must not have been used for; 0 is any. While memory is short every cold item goes
	LowTTL      int64  // seconds: items that live less long have pages of their own; 0 is none
	RecacheRate uint64 // of the reads of an item that is used again and again, one in so many brings it back into memory; 0 is never
	extstore.Policy
}

// NoItemAge is an ItemAge that is never reached: values go to disk when memory is short, only.
const NoItemAge = math.MaxUint32

// disk is what a store with Config.Disk has besides.
type disk struct {
	log     *extstore.Log
	policy  atomic.Pointer[DiskPolicy]
	onEvent atomic.Pointer[func(DiskEvent)]
	turn    atomic.Uint64 // reads that might have brought an item back

	// mu is held by whoever spills or compacts. No lock is taken before it.
	mu        sync.Mutex
	compacted compaction
	counts    diskCounters
}

// diskCounters are of compactions.
type diskCounters struct {
	lost, rescues, rescuedCold, rescuedOld, skipped atomic.Uint64
}

func newDisk(log *extstore.Log) *disk {
	d := &disk{log: log}
	d.policy.Store(&DiskPolicy{ItemSize: 512, ItemAge: NoItemAge, RecacheRate: 2000, Policy: extstore.Policy{MaxFrag: 0.8, CompactUnder: 1, DropUnder: 1}})
	return d
}

func (d *disk) resetCounts() {
	c := &d.counts
	for _, n := range []*atomic.Uint64{&c.lost, &c.rescues, &c.rescuedCold, &c.rescuedOld, &c.skipped} {
		n.Store(0)
	}
}

// HasDisk tells whether there is a Config.Disk. Without it the other functions about disk must not be called.
func (s *Store) HasDisk() bool { return s.disk != nil }

// Disk returns the log that has the values, for its figures.
func (s *Store) Disk() *extstore.Log { return s.disk.log }

// SetDiskPolicy changes which values go to disk, at run time.
func (s *Store) SetDiskPolicy(p DiskPolicy) { s.disk.policy.Store(&p) }

// DiskPolicy returns what SetDiskPolicy has set.
func (s *Store) DiskPolicy() DiskPolicy { return *s.disk.policy.Load() }

// DiskEvent is something that Spill or CompactDisk have done.
type DiskEvent struct {
	Kind DiskEventKind

	// Of Spilled. Key is valid during the call only.
	Key    []byte
	Item   ItemInfo
	Bucket extstore.Bucket

	// Of the others.
	Plan    extstore.Plan
	Offset  int64
	MaxFrag float64 // as the policy has it
	Limit   int64   // in bytes
	Found   Rescued
}

// DiskEventKind is what a DiskEvent is about.
type DiskEventKind uint8

// What there is to tell.
const (
	Spilled        DiskEventKind = iota // a value has gone to disk
	CompactLooked                       // a page worth compacting was looked for
	CompactStarted                      // one was found
	CompactRead                         // a part of it was read
	CompactWritten                      // what is wanted of that part was written again
	CompactEnded                        // all of it
	CompactAborted                      // the page is no longer there
)

// Rescued is what came of the values in a part of a page.
type Rescued struct {
	Rescues uint64 // were written again
	InUse   uint64 // of these, of items that somebody held
	Lost    uint64 // found no room, or were damaged
	Skipped uint64 // were not used, and dropped
}

// OnDiskEvent sets what is told of what happens between memory and disk; nil is nothing. fn must not call the store.
func (s *Store) OnDiskEvent(fn func(DiskEvent)) {
	if fn == nil {
		s.disk.onEvent.Store(nil)
		return
	}
	s.disk.onEvent.Store(&fn)
}

func (d *disk) tell(e DiskEvent) {
	if fn := d.onEvent.Load(); fn != nil {
		(*fn)(e)
	}
}

// DiskStats are figures about disk for memcached's general `stats`; the log has more.
type DiskStats struct {
	MemoryPressure float64 // extstore_memory_pressure: percent of the memory that items too small for the disk have
	Lost           uint64  // extstore_compact_lost, and so on: see Rescued
	Rescues        uint64
	RescuedCold    uint64
	RescuedOld     uint64
	Skipped        uint64
}

// DiskStats returns the figures.
func (s *Store) DiskStats() DiskStats {
	c := &s.disk.counts
	st := DiskStats{
		Lost: c.lost.Load(), Rescues: c.rescues.Load(), RescuedCold: c.rescuedCold.Load(), RescuedOld: c.rescuedOld.Load(), Skipped: c.skipped.Load(),
	}
	small, all, itemSize := int32(0), int32(max(0, -s.pool.excess())), s.DiskPolicy().ItemSize
	for id := 1; id < len(s.classes); id++ {
		n := s.classes[id].pages.Load()
		switch {
		case s.classes[id].spec.size < itemSize:
			small += n
			all += n
		case n > 2: // the others have nothing to give
			all += n
		}
	}
	if all > 0 {
		st.MemoryPressure = float64(small) / float64(all) * 100
	}
	return st
}

// forget tells the log that the value of an item which is no longer linked is not wanted. state is what the item had. The caller holds
// the item's stripe.
func (s *Store) forget(c chunk, state uint32) {
	if state&bitOnDisk != 0 {
		s.disk.log.Forget(c.place(state), extstore.RecordSize(c.keyLen(), c.valueLen()))
	}
}

// lost tells whether an item's value was on disk and is no longer there. The caller holds the item's stripe.
func (s *Store) lost(c chunk) bool {
	state := c.state().Load()
	if state&bitOnDisk == 0 {
		return false
	}
	at := c.place(state)
	return at != moving && !s.disk.log.Valid(at)
}

// succeed puts an item in the place of another with the same key and value, which the one has in memory and the other on disk: expiry,
// marks, CAS id and epoch stay. One of its references becomes that of being linked. The caller holds the stripe.
func (s *Store) succeed(st *stripe, hash uint64, old ref, oldChunk chunk, r ref, c chunk, now uint32) {
	c.setExptime(oldChunk.exptime())
	c.state().Or(oldChunk.state().Load() & (bitFetched | bitStale | bitWon))
	if oldChunk.binaryKey() {
		c.setBinaryKey()
	}
	epoch, cas := oldChunk.epoch(), oldChunk.cas()
	s.unlink(st, hash, old, oldChunk)
	s.link(st, hash, r, c, now, cas)
	c.setEpoch(epoch) // a flush that has come meanwhile is about this item too
}
