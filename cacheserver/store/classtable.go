package store

import "sort"

const (
	pageShift  = 20
	pageSize   = 1 << pageShift
	chunkAlign = 8
	cutsMax    = 8

	// ClassesMax is the largest number that a slab class has, as in memcached.
	ClassesMax = 63

	// itemOverhead is the size of memcached's item header without the CAS id. The class table and the size limit are reckoned
	// with it, so that both come out as memcached's.
	itemOverhead = 48
)

// cut is one way to divide a page of a class into chunks.
type cut struct {
	size  uint32 // bytes of a chunk
	count uint16 // chunks in a page
}

// classSpec is what a slab class is before it has any memory.
type classSpec struct {
	size    int // bytes of the largest item in one chunk
	perPage int // chunks of that size in a page
	cuts    []cut
}

// classTable computes memcached's slab classes: sizes that grow by factor from smallest, each rounded up to 8 bytes, as long as one is
// below largest/factor, and then largest itself. The first element is not a class, so that the numbers start at 1.
func classTable(smallest int, factor float64, largest int) []classSpec {
	table := []classSpec{{}}
	for size := smallest; len(table) < ClassesMax && float64(size) < float64(largest)/factor; size = int(float64(size) * factor) {
		size = alignUp(size)
		table = append(table, classSpec{size: size, perPage: pageSize / size})
	}
	table = append(table, classSpec{size: largest, perPage: pageSize / largest})
	lower := smallestChunk - chunkAlign
	for i := range table[1:] {
		c := &table[i+1]
		c.cuts = cutsOf(lower, c.size)
		lower = c.size
	}
	// The last class has the chunks of chains, which are of this size but for each chain's last: were its pages cut to fit that, the rest
	// could not use what it leaves.
	last := &table[len(table)-1]
	last.cuts = last.cuts[:1]
	return table
}

// cutsOf returns up to cutsMax ways to cut the pages of a class that holds items of more than lower and at most size
// bytes, the largest chunk first. Each but the first uses the page to its end.
func cutsOf(lower, size int) []cut {
	cuts := []cut{{uint32(max(size, smallestChunk)), uint16(min(pageSize/size, chunksMax))}}
	for step := 1; step < cutsMax; step++ {
		least := alignUp(size - step*(size-lower)/cutsMax)
		if least <= lower {
			break
		}
		count := min(pageSize/least, chunksMax)
		if last := cuts[len(cuts)-1]; count > int(last.count) {
			cuts = append(cuts, cut{uint32(pageSize/count) &^ (chunkAlign - 1), uint16(count)})
		}
	}
	return cuts
}

func alignUp(n int) int { return (n + chunkAlign - 1) &^ (chunkAlign - 1) }

// cutFor returns the number of the tightest cut whose chunks hold size bytes, which is at most the class's size.
func (c *classSpec) cutFor(size int) int {
	i := len(c.cuts) - 1
	for i > 0 && int(c.cuts[i].size) < size {
		i--
	}
	return i
}

// classFor returns the number of the class whose items have size bytes, or 0 if even the largest chunk is too small.
func (s *Store) classFor(size int) int {
	id := sort.Search(len(s.classes), func(i int) bool { return s.classes[i].spec.size >= size })
	if id == len(s.classes) {
		return 0
	}
	return id
}

// SlabClasses returns the table of slab classes.
func (s *Store) SlabClasses() []Class {
	table := make([]Class, 0, len(s.classes)-1)
	for id := 1; id < len(s.classes); id++ {
		spec := &s.classes[id].spec
		table = append(table, Class{ID: id, ChunkSize: spec.size, PerPage: spec.perPage})
	}
	return table
}
