//go:build !race

// The race detector allocates on its own, so this promise is held without it.

package ring_test

import (
	"testing"

	"pagegate/internal/ring"
)

func TestPickAllocatesNothing(t *testing.T) {
	servers := []ring.Server{{Addr: "a"}, {Addr: "b", Weight: 2}, {Addr: "c", Down: true, Weight: 30}}
	key := []byte("/some/page?with=arguments")
	for _, scheme := range schemes {
		r, err := scheme.build(servers)
		if err != nil {
			t.Fatal(err)
		}
		n := testing.AllocsPerRun(100, func() {
			r.Pick(key)
			w := r.Walk(key)
			w.Exclude(0)
			for w.Next() >= 0 {
			}
		})
		if n != 0 {
			t.Errorf("hash%s: %v allocations", scheme.option, n)
		}
	}
}

func BenchmarkPick(b *testing.B) {
	servers := []ring.Server{{Addr: "a"}, {Addr: "b", Weight: 2}, {Addr: "c"}, {Addr: "d"}}
	key := []byte("/some/page?with=arguments")
	for _, scheme := range schemes {
		b.Run("hash"+scheme.option, func(b *testing.B) {
			r, err := scheme.build(servers)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				r.Pick(key)
			}
		})
	}
}
