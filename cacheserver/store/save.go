package store

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// ErrNoFile is the error of Save for a store without Config.File.
var ErrNoFile = errors.New("the store is not in a file")

// errOnDisk is that of Save for a store that has values in files of its own, which do not outlive it.
var errOnDisk = errors.New("values are on disk")

// Save leaves the items to the next Store with the same Config.File. The caller sees to it that no call is under way; what is
// still held is given up. It is the last call before Close. It takes the time to read all items once, for the checksums.
func (s *Store) Save() error {
	switch {
	case s.slabs.file == nil:
		return ErrNoFile
	case s.disk != nil:
		return errOnDisk
	}
	s.letGo()
	for s.pool.cool(s.slabs) {
	}
	m := &meta{
		Shape: s.cfg.shape(), Saved: s.cfg.Now(), LastCAS: s.lastCAS.Load(), Epoch: s.epoch.Load(), FlushAt: s.flush.at.Load(), Buckets: s.index.power(),
		Classes: make([][segments]metaList, len(s.classes)),
	}
	for n := uint32(1); n < s.pool.fresh.Load(); n++ {
		if p := &s.pages[n]; p.owner.Load() != 0 {
			m.Pages = append(m.Pages, metaPage{Number: n, Class: p.owner.Load(), Cut: p.cut, Fresh: p.fresh})
		}
	}
	_ = inParallel(m.Pages, func(p *metaPage) error {
		p.Sum = s.checksum(p)
		return nil
	})
	for id := range s.classes {
		for g, l := range s.classes[id].lists {
			m.Classes[id][g] = metaList{l.head, l.tail, l.count, l.bytes}
		}
	}
	text, err := m.encode()
	if err != nil {
		return err
	}
	return s.slabs.file.writeMeta(text)
}

// letGo takes away all references but those of being linked, and with them what was being written.
func (s *Store) letGo() {
	var lost []ref
	for n := uint32(1); n < s.pool.fresh.Load(); n++ {
		p := &s.pages[n]
		if p.owner.Load() == 0 {
			continue
		}
		for i := range p.fresh {
			c := s.at(makeRef(n, i))
			switch state := c.state().Load(); {
			case state&kindMask != kindItem:
			case state&bitLinked == 0:
				lost = append(lost, makeRef(n, i))
			default:
				c.state().Store(state&^refMask | 1)
			}
		}
	}
	for _, r := range lost {
		s.freeItem(r, s.at(r))
	}
}

// checksum is that of the chunks of a page that were ever used.
func (s *Store) checksum(p *metaPage) uint64 {
	from := int(p.Number) << pageShift
	return xxhash.Sum64(s.slabs.mem[from : from+int(p.Fresh)*int(s.classes[p.Class].spec.cuts[p.Cut].size)])
}

// inParallel calls fn for each page, on all processors, and returns the first error that comes up.
func inParallel(pages []metaPage, fn func(*metaPage) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var running sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(pages)) {
		running.Go(func() {
			for failed.Load() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(pages) {
					return
				}
				if err := fn(&pages[i]); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	running.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Restored tells what New has found in Config.File.
type Restored struct {
	Items uint64 // items that are there again, those whose time is over included
	Saved int64  // unix time of the Save
	Cold  error  // why none are; nil if they are, or if the file is new
}

// Restored tells what New has found in Config.File.
func (s *Store) Restored() Restored { return s.restored }

// open is New for a store in a file. Whatever is wrong with what is in the file costs its items, not the start.
func open(cfg Config) (*Store, error) {
	mf, err := openMemoryFile(cfg.File, cfg.MemoryLimit)
	if err != nil {
		return nil, err
	}
	m, why, err := mf.takeMeta()
	if err != nil {
		return nil, errors.Join(err, mf.f.Close())
	}
	if why == nil {
		s, err := build(cfg, mf, true)
		if err != nil {
			return nil, errors.Join(err, mf.f.Close())
		}
		if why = s.restore(m, mf.size); why == nil {
			return s, nil
		}
		if err := s.unmap(); err != nil {
			return nil, errors.Join(err, mf.f.Close())
		}
	}
	s, err := build(cfg, mf, false)
	if err != nil {
		return nil, errors.Join(err, mf.f.Close())
	}
	if mf.size != 0 || !errors.Is(why, errNotSaved) {
		s.restored.Cold = why
	}
	return s, nil
}

// restore takes over the pages that m is about. After an error the store is of no use.
func (s *Store) restore(m *meta, size int64) error {
	if err := m.fits(s, size); err != nil {
		return err
	}
	if err := inParallel(m.Pages, func(p *metaPage) error {
		if s.checksum(p) != p.Sum {
			return fmt.Errorf("its page %d is not as it was left", p.Number)
		}
		return nil
	}); err != nil {
		return err
	}
	s.lastCAS.Store(m.LastCAS)
	s.epoch.Store(m.Epoch)
	s.flush.at.Store(m.FlushAt)
	s.restored.Saved = m.Saved
	s.pool.restore(m.Pages)
	for _, p := range m.Pages {
		k := &s.classes[p.Class]
		s.adopt(k, p.Number, int(p.Cut))
		s.pages[p.Number].fresh = p.Fresh
		s.pages[p.Number].epoch.Store(m.Epoch - 1) // until an item of this epoch is found there
	}
	for id := range s.classes {
		for g, l := range m.Classes[id] {
			s.classes[id].lists[g] = lru{l.Head, l.Tail, l.Count, l.Bytes}
			s.restored.Items += l.Count
		}
	}
	s.index.presize(s.restored.Items, m.Buckets)
	return inParallel(m.Pages, func(p *metaPage) error { return s.restorePage(p.Number) })
}

// restorePage finds out which chunks of a page are free, and puts its items into the index.
func (s *Store) restorePage(n uint32) error {
	p := &s.pages[n]
	used := uint16(0)
	for i := range p.fresh {
		r := makeRef(n, i)
		c := s.at(r)
		switch c.state().Load() & kindMask {
		case kindFree:
			c.setNext(ref(p.free))
			p.free = i + 1
			continue
		case kindItem:
			if err := s.restoreItem(r, c); err != nil {
				return err
			}
		}
		used++
	}
	k := &s.classes[p.owner.Load()]
	k.mu.Lock()
	defer k.mu.Unlock()
	p.used = used
	k.used += uint64(used)
	if used == 0 {
		s.keepEmpty(p)
	}
	if !p.hasRoom() {
		s.leaveRoom(k, n)
	}
	return nil
}

// restoreItem puts an item into the index again and tells its pages of it.
func (s *Store) restoreItem(r ref, c chunk) error {
	state := c.state().Load()
	size := c.itemSize()
	if state&bitChained != 0 {
		size -= c.valueLen()
	}
	if state&bitLinked == 0 || state&refMask != 1 || size > s.chunkSize(r) {
		return fmt.Errorf("its item %x makes no sense", r)
	}
	s.noteRestored(r, c)
	for piece := c.firstPiece(); piece != 0; {
		p := &s.pages[min(int(piece.page()), len(s.pages)-1)]
		if p.owner.Load() == 0 || piece.idx() >= p.fresh || s.at(piece).owner() != r {
			return fmt.Errorf("its item %x has a piece that makes no sense", r)
		}
		s.noteRestored(piece, c)
		piece = s.at(piece).next()
	}
	hash := s.hash(c.key())
	st := s.index.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	s.insert(st, hash, r, c)
	return nil
}

// noteRestored tells the page of a chunk about the item that it belongs to.
func (s *Store) noteRestored(r ref, c chunk) {
	p, epoch := &s.pages[r.page()], s.epoch.Load()
	p.extend(c.exptime(), s.cfg.StaleWindow)
	if c.epoch() == uint16(epoch) { // a flushed item does not make its page a live one
		p.epoch.Store(epoch)
	}
}
