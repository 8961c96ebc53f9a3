package store

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// hugePageSize is what a region is aligned to, so that huge pages can back it from its first byte.
const hugePageSize = 2 << 20

// region is a piece of address space outside Go's heap. Its bytes are zero and cost no memory until they are written.
type region struct {
	mem    []byte      // aligned part
	mapped []byte      // all of it; nil if the memory is not mapped (tests)
	huge   bool        // the system has promised huge pages
	file   *memoryFile // what is mapped; nil for memory without a file
}

// reserveRegion is mapRegion, but in tests with the race detector, which sees only what lies in Go's heap.
var reserveRegion = mapRegion

// mapRegion reserves size bytes.
func mapRegion(size int) (*region, error) {
	mapped, err := unix.Mmap(-1, 0, size+hugePageSize, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("store: reserving %d bytes of address space: %w", size, err)
	}
	start := alignment(mapped, hugePageSize)
	return &region{mem: mapped[start : start+size : start+size], mapped: mapped}, nil
}

// adviseHuge asks for huge pages; huge says later whether the system knows them.
func (r *region) adviseHuge() {
	r.huge = r.mapped != nil && unix.Madvise(r.mem, unix.MADV_HUGEPAGE) == nil
}

// giveBack tells the system that a part is not needed; it stays usable, and is zero when it is next touched.
func (r *region) giveBack(off, size int) {
	// An error means that the memory stays; nothing depends on its leaving.
	switch {
	case r.file != nil:
		_ = unix.Fallocate(r.file.fd(), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, int64(off), int64(size))
	case r.mapped != nil:
		_ = unix.Madvise(r.mem[off:off+size], unix.MADV_DONTNEED)
	}
}

// ensure sees to it that a part can be written to; false if its file system has no room for it.
func (r *region) ensure(off, size int) bool {
	return r.file == nil || unix.Fallocate(r.file.fd(), 0, int64(off), int64(size)) == nil
}

func (r *region) unmap() error {
	if r.mapped == nil {
		return nil
	}
	return unix.Munmap(r.mapped)
}

// reserve takes address space for a store of limit pages and returns the number of pages that it reaches for:
// generously, so that the limit can be raised later, unless the system allows no more (ulimit -v). For file and keep see mapFile.
func (s *Store) reserve(limit int, file *memoryFile, keep bool) (reserved int, err error) {
	for _, reserved = range []int{min(max(4*limit, 1<<10), maxPages), min(4*limit, maxPages), limit} {
		if err = s.reservePages(reserved, file, keep); err == nil {
			break
		}
	}
	return reserved, err
}

// reservePages takes address space for so many pages and their index.
func (s *Store) reservePages(n int, file *memoryFile, keep bool) error {
	size := (n + 1) << pageShift
	slabs, err := (*region)(nil), error(nil)
	if file != nil {
		slabs, err = file.mapFile(size, keep)
	} else {
		slabs, err = reserveRegion(size)
	}
	if err != nil {
		return err
	}
	if err := s.index.init(n, s.cfg.HashPower); err != nil {
		return errors.Join(err, slabs.unmap())
	}
	s.slabs = slabs
	return nil
}
