package store

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// storeShapes are the layouts under which a store must behave the same.
var storeShapes = map[string]Config{
	"roomy":    {MemoryLimit: 32 << 20},
	"tiny":     {MemoryLimit: 2 << 20, SlabChunkMax: 64 << 10},
	"chains":   {MemoryLimit: 3 << 20, SlabChunkMax: 4 << 10, ItemSizeMax: 300 << 10, GrowthFactor: 2},
	"no evict": {MemoryLimit: 3 << 20, SlabChunkMax: 64 << 10, NoEvict: true},
	"no cas":   {MemoryLimit: 4 << 20, NoCAS: true, ChunkMin: 1, GrowthFactor: 1.05},

	"file":          {MemoryLimit: 3 << 20, SlabChunkMax: 64 << 10, File: "memory"},
	"segmented":     {MemoryLimit: 2 << 20, SlabChunkMax: 64 << 10, LRU: segmented},
	"all in chains": {MemoryLimit: 3 << 20, SlabChunkMax: 4 << 10, ItemSizeMax: 300 << 10, GrowthFactor: 2, LRU: LRU{Segmented: true, Temporary: true, TemporaryTTL: 20}},
}

// run does one operation of the model and turns its panic into a failure of the test.
func run(t interface{ Fatalf(string, ...any) }, op func()) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case modelError:
			t.Fatalf("%s", string(r))
		default:
			panic(r)
		}
	}()
	op()
}

// TestStoreBehavesLikeAMap runs random operations against store and model.
func TestStoreBehavesLikeAMap(t *testing.T) {
	for name, cfg := range storeShapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) { checkAgainstModel(rt, t, cfg) })
		})
	}
}

func checkAgainstModel(rt *rapid.T, t *testing.T, cfg Config) {
	clock := newClock()
	cfg.Now = clock.now
	if cfg.File != "" {
		cfg.File = filepath.Join(t.TempDir(), cfg.File)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Close() }()
	s.SetAutomove(Automove{Keep: rapid.Bool().Draw(rt, "keep")})
	m := newModel(s, clock)
	key := rapid.Custom(func(rt *rapid.T) string { return fmt.Sprintf("key%d", rapid.IntRange(0, 15).Draw(rt, "key")) })
	exptime := rapid.Custom(func(rt *rapid.T) int64 {
		switch rapid.IntRange(0, 3).Draw(rt, "exptime") {
		case 0:
			return 0
		case 1:
			return clock.now() - 1
		default:
			return clock.now() + rapid.Int64Range(1, 100).Draw(rt, "ttl")
		}
	})
	op := func(f func(rt *rapid.T)) func(*rapid.T) {
		return func(rt *rapid.T) { run(rt, func() { f(rt) }) }
	}
	rt.Repeat(map[string]func(*rapid.T){
		"put": op(func(rt *rapid.T) {
			mode := Mode(rapid.IntRange(int(Set), int(CAS)).Draw(rt, "mode"))
			flags := rapid.SampledFrom([]uint32{0, 0, 1, 1<<32 - 1}).Draw(rt, "flags")
			m.put(mode, key.Draw(rt, "k"), drawValue(rt), flags, exptime.Draw(rt, "e"), rapid.Bool().Draw(rt, "right"))
		}),
		"set":     op(func(rt *rapid.T) { m.put(Set, key.Draw(rt, "k"), drawValue(rt), 0, 0, false) }),
		"get":     op(func(rt *rapid.T) { m.get(key.Draw(rt, "k")) }),
		"hold":    op(func(rt *rapid.T) { m.hold(key.Draw(rt, "k")) }),
		"release": op(func(*rapid.T) { m.release() }),
		"touch": op(func(rt *rapid.T) {
			e := exptime.Draw(rt, "e")
			m.touch(key.Draw(rt, "k"), e, rapid.Bool().Draw(rt, "get"))
		}),
		"delete": op(func(rt *rapid.T) { m.delete(key.Draw(rt, "k")) }),
		"delta": op(func(rt *rapid.T) {
			m.delta(key.Draw(rt, "k"), rapid.Uint64().Draw(rt, "delta"), rapid.Bool().Draw(rt, "decr"))
		}),
		"flush":   op(func(rt *rapid.T) { m.flush(rapid.Int64Range(-5, 30).Draw(rt, "after")) }),
		"advance": op(func(rt *rapid.T) { clock.add(rapid.Int64Range(1, 90).Draw(rt, "seconds")) }),
		"abort": op(func(rt *rapid.T) {
			if p, err := s.Alloc([]byte("aborted"), 0, 0, rapid.IntRange(0, 200_000).Draw(rt, "size")); err == nil {
				p.Write([]byte("begun"))
				p.Abort()
			}
		}),
		"limit": op(func(rt *rapid.T) {
			if err := s.SetMemoryLimit(rapid.Int64Range(2, 6).Draw(rt, "MiB") << 20); err != nil {
				rt.Fatal(err)
			}
			s.Maintain()
		}),
		"lru": op(func(rt *rapid.T) {
			s.SetLRU(LRU{Segmented: rapid.Bool().Draw(rt, "segmented"), Temporary: true, TemporaryTTL: rapid.Int64Range(0, 50).Draw(rt, "temporary")})
		}),
		"juggle": op(func(*rapid.T) { juggle(s) }),
		"walk":   op(func(*rapid.T) { m.walk() }),
		"restart": op(func(rt *rapid.T) {
			if cfg.File == "" {
				rt.Skip("there is no file")
			}
			for len(m.held) > 0 {
				m.release()
			}
			clock.add(rapid.Int64Range(0, 20).Draw(rt, "down"))
			m.evicted += s.Stats().Evictions
			s = restarted(t, s)
			m.s = s
		}),
		"": func(*rapid.T) { checkInvariants(t, s, len(m.held)) },
	})
	run(rt, m.finish)
	checkInvariants(t, s, 0)
}

// drawValue draws values of all sizes, numbers among them.
func drawValue(rt *rapid.T) []byte {
	switch rapid.IntRange(0, 5).Draw(rt, "kind") {
	case 0:
		return fmt.Appendf(nil, "%d", rapid.Uint64().Draw(rt, "number"))
	case 1:
		return []byte(rapid.StringMatching(`[ +]?[0-9]{0,22}[ x]{0,2}`).Draw(rt, "text"))
	case 2:
		return []byte{}
	case 3:
		return pattern(rapid.IntRange(0, 255).Draw(rt, "seed"), rapid.IntRange(0, 2_000).Draw(rt, "size"))
	case 4:
		return pattern(rapid.IntRange(0, 255).Draw(rt, "seed"), rapid.IntRange(0, 100_000).Draw(rt, "size"))
	default:
		return bytes.Repeat([]byte("large "), rapid.IntRange(10_000, 175_000).Draw(rt, "times"))
	}
}
