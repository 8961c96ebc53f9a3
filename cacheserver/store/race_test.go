//go:build race

package store

// The race detector sees accesses to Go's heap only. With it, the tests therefore keep pages and index there, so that
// a missing lock shows up; checkptr then also checks every computed address against the bounds of the allocation.
func init() {
	reserveRegion = func(size int) (*region, error) {
		mem := make([]byte, size+hugePageSize)
		start := alignment(mem, hugePageSize)
		return &region{mem: mem[start : start+size]}, nil
	}
}
