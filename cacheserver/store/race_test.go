//go:build race

package store

import (
	"errors"
	"flag"
)

// The race detector sees accesses to Go's heap only. With it, the tests therefore keep pages and index there, so that
// a missing lock shows up; checkptr then also checks every computed address against the bounds of the allocation.
func init() {
	// The detector makes everything some ten times slower; the flag's own default is 100.
	if err := flag.Set("rapid.checks", "30"); err != nil {
		panic(err)
	}
	reserveRegion = func(size int) (*region, error) {
		if size > 256<<20 {
			return nil, errors.New("that would be a lot of shadow memory")
		}
		mem := make([]byte, size+hugePageSize)
		start := alignment(mem, hugePageSize)
		return &region{mem: mem[start : start+size]}, nil
	}
}
