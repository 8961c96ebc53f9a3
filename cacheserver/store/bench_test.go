package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// benchKeys are the keys of items that a benchmark puts into its store.
func benchKeys(n int) [][]byte {
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key:%07d", i)
	}
	return keys
}

func filledStore(b *testing.B, cfg Config, keys [][]byte, size int) *Store {
	s := newStore(b, cfg)
	value := pattern(1, size)
	for _, key := range keys {
		set(b, s, string(key), value)
	}
	return s
}

// BenchmarkGet reads items in random order: the larger the store, the more of the time is waiting for memory. Run it
// with -cpu 1,2.
func BenchmarkGet(b *testing.B) {
	for _, items := range []int{1_000, 100_000, 2_000_000} {
		b.Run(fmt.Sprint(items), func(b *testing.B) {
			keys := benchKeys(items)
			s := filledStore(b, Config{MemoryLimit: 512 << 20}, keys, 100)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				rnd := rand.New(rand.NewPCG(1, rand.Uint64()))
				for pb.Next() {
					it, ok := s.Get(keys[rnd.IntN(len(keys))])
					if !ok {
						b.Fail()
						return
					}
					it.Release()
				}
			})
		})
	}
}

// BenchmarkSet overwrites items in random order, with and without memory to spare.
func BenchmarkSet(b *testing.B) {
	for _, c := range []struct {
		name  string
		limit int64
		items int
		lru   LRU
	}{
		{"small", 512 << 20, 1_000, LRU{}}, {"overwrite", 512 << 20, 100_000, LRU{}},
		{"evict", 32 << 20, 2_000_000, LRU{}}, {"evict segmented", 32 << 20, 2_000_000, segmented},
	} {
		b.Run(c.name, func(b *testing.B) {
			keys := benchKeys(c.items)
			s := filledStore(b, Config{MemoryLimit: c.limit, LRU: c.lru}, keys, 100)
			value := pattern(2, 100)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				rnd := rand.New(rand.NewPCG(1, rand.Uint64()))
				for pb.Next() {
					p, err := s.Alloc(keys[rnd.IntN(len(keys))], 0, 0, len(value))
					if err != nil {
						b.Fail()
						return
					}
					p.Write(value)
					p.Commit(Set, 0)
				}
			})
		})
	}
}

// BenchmarkInsert stores new items into a growing store, the steps of the index included.
func BenchmarkInsert(b *testing.B) {
	s := newStore(b, Config{MemoryLimit: 1 << 30})
	value := pattern(3, 100)
	var next atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var key []byte
		for pb.Next() {
			key = fmt.Appendf(key[:0], "key:%09d", next.Add(1))
			p, err := s.Alloc(key, 0, 0, len(value))
			if err != nil {
				b.Fail()
				return
			}
			p.Write(value)
			p.Commit(Set, 0)
		}
	})
}

// BenchmarkIncr counts in place.
func BenchmarkIncr(b *testing.B) {
	s := newStore(b, Config{})
	set(b, s, "counter", []byte("10000000000000"))
	key := []byte("counter")
	b.ReportAllocs()
	for b.Loop() {
		s.Delta(key, 1, false, 0)
	}
}

// BenchmarkRestart saves and takes over 2 GiB of items, in memory where there is such a place.
func BenchmarkRestart(b *testing.B) {
	const memory = 2 << 30
	for _, size := range []int{100, 16_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			dir, err := os.MkdirTemp("/dev/shm", "restart")
			if err != nil {
				dir = b.TempDir()
			}
			defer os.RemoveAll(dir)
			s := inFile(b, Config{MemoryLimit: memory, File: filepath.Join(dir, "memory")})
			value := pattern(1, size)
			for i := 0; s.Stats().TotalMalloced < memory; {
				for range 1000 {
					i++
					set(b, s, fmt.Sprint("key:", i), value)
				}
			}
			b.ResetTimer()
			for range b.N {
				s = restarted(b, s)
			}
			b.ReportMetric(float64(s.Stats().CurrItems), "items")
			s.Close()
		})
	}
}
