package store

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"pagegate/internal/realproc"
)

func TestClassTable(t *testing.T) {
	tests := []struct {
		name         string
		cfg          Config
		wantClasses  int
		want         []Class // the first ones
		wantLastSize int
	}{
		{"defaults", Config{}, 39, []Class{{1, 96, 10922}, {2, 120, 8738}, {3, 152, 6898}, {4, 192, 5461}, {5, 240, 4369}}, 524288},
		{"factor 4", Config{GrowthFactor: 4}, 7,
			[]Class{{1, 96, 10922}, {2, 384, 2730}, {3, 1536, 682}, {4, 6144, 170}, {5, 24576, 42}, {6, 98304, 10}, {7, 524288, 2}}, 524288},
		{"no more than 63 classes", Config{ChunkMin: 24, GrowthFactor: 1.08}, 63, []Class{{1, 72, 14563}, {2, 80, 13107}}, 524288},
		{"pages in one chunk", Config{SlabChunkMax: 1 << 20}, 42, []Class{{1, 96, 10922}}, 1 << 20},
		{"small items only", Config{ItemSizeMax: 1 << 10}, 11, []Class{{1, 96, 10922}}, 1 << 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := newStore(t, tt.cfg).SlabClasses()
			if len(got) != tt.wantClasses || got[len(got)-1].ChunkSize != tt.wantLastSize {
				t.Errorf("%d classes, the last of %d bytes; want %d, %d",
					len(got), got[len(got)-1].ChunkSize, tt.wantClasses, tt.wantLastSize)
			}
			if diff := cmp.Diff(tt.want, got[:len(tt.want)]); diff != "" {
				t.Errorf("classes differ (-want +got):\n%s", diff)
			}
		})
	}
}

// TestClassTableEqualsMemcacheds compares with what the real program prints at its start.
func TestClassTableEqualsMemcacheds(t *testing.T) {
	tests := []struct {
		flags string
		cfg   Config
	}{
		{"-f 1.25", Config{}},
		{"-f 4", Config{GrowthFactor: 4}},
		{"-n 24 -f 1.08", Config{ChunkMin: 24, GrowthFactor: 1.08}},
		{"-n 500 -f 2", Config{ChunkMin: 500, GrowthFactor: 2}},
		{"-I 4m -f 1.5", Config{ItemSizeMax: 4 << 20, GrowthFactor: 1.5}},
	}
	for _, tt := range tests {
		t.Run(tt.flags, func(t *testing.T) {
			socket := realproc.SocketPath(t, "mc.sock")
			args := append([]string{"-u", "nobody", "-p", "0", "-s", socket, "-vv"}, strings.Fields(tt.flags)...)
			p := realproc.StartCmd(t, exec.Command(realproc.Find(t, "memcached"), args...))
			t.Cleanup(p.Kill) // it would take a second to stop by itself
			p.WaitListen(t, socket)
			var ours strings.Builder
			for _, c := range newStore(t, tt.cfg).SlabClasses() {
				fmt.Fprintf(&ours, "slab class %3d: chunk size %9d perslab %7d\n", c.ID, c.ChunkSize, c.PerPage)
			}
			realproc.WaitFor(t, 10*time.Second, "the whole table", func() bool {
				return strings.Count(p.Output(), "slab class") >= strings.Count(ours.String(), "\n")
			})
			var theirs strings.Builder
			for line := range strings.Lines(p.Output()) {
				if strings.HasPrefix(line, "slab class") {
					theirs.WriteString(line)
				}
			}
			if diff := cmp.Diff(theirs.String(), ours.String()); diff != "" {
				t.Errorf("tables differ (-memcached +ours):\n%s", diff)
			}
		})
	}
}

func TestClassesOfWellKnownSizes(t *testing.T) {
	s := newStore(t, Config{})
	for _, tt := range []struct{ size, want int }{
		{0, 1}, {1, 1}, {20_000, 25}, {66_560, 31}, {70_000, 31}, {520_000, 39}, {600_000, 39}, {1_000_000, 39},
	} {
		p, err := s.Alloc([]byte("k"), 0, 0, tt.size)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Class(); got != tt.want {
			t.Errorf("value of %d bytes: class %d, want %d", tt.size, got, tt.want)
		}
		p.Abort()
	}
}

// TestCuts checks, for any configuration, what the rest of the store relies on: chunks are aligned, fill no more than the page,
// are numbered within 14 bits, get smaller from cut to cut, and every size finds a chunk that holds it.
func TestCuts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		smallest := itemOverhead + rapid.IntRange(1, 2000).Draw(rt, "smallest")
		factor := rapid.Float64Range(1.01, 10).Draw(rt, "factor")
		largest := alignUp(rapid.IntRange(2*smallest, pageSize).Draw(rt, "largest"))
		lower := 0
		for id, c := range classTable(smallest, factor, largest)[1:] {
			if c.size < lower {
				rt.Fatalf("class %d has size %d after %d", id+1, c.size, lower)
			}
			if c.size == lower {
				continue // as in memcached, a factor near 1 makes classes that are never used
			}
			for i, cut := range c.cuts {
				switch {
				case cut.size%chunkAlign != 0, int(cut.size)*int(cut.count) > pageSize, cut.count == 0, cut.count > chunksMax:
					rt.Fatalf("class %d of %d bytes: impossible cut %+v", id+1, c.size, cut)
				case i == 0 && int(cut.size) < c.size:
					rt.Fatalf("class %d of %d bytes: first cut %+v", id+1, c.size, cut)
				case i > 0 && (cut.size >= c.cuts[i-1].size || cut.count <= c.cuts[i-1].count || int(cut.size) <= lower):
					rt.Fatalf("class %d of more than %d bytes: cut %+v after %+v", id+1, lower, cut, c.cuts[i-1])
				}
			}
			size := rapid.IntRange(lower+1, c.size).Draw(rt, "size")
			fit := c.cutFor(size)
			if int(c.cuts[fit].size) < size || (fit+1 < len(c.cuts) && int(c.cuts[fit+1].size) >= size) {
				rt.Fatalf("class of %d bytes, cuts %v: cut %d for %d bytes", c.size, c.cuts, fit, size)
			}
			lower = c.size
		}
	})
}

func TestConfigBounds(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want string
	}{
		{Config{MemoryLimit: 1 << 50}, "store: memory limit 1125899906842624: at most 274876858368"},
		{Config{ItemSizeMax: 1023}, "store: item size 1023: must be 1 KiB to 1 GiB"},
		{Config{ItemSizeMax: 1<<30 + 1}, "store: item size 1073741825: must be 1 KiB to 1 GiB"},
		{Config{KeyMax: -1}, "store: key length -1: must be 1 to 8192"},
		{Config{KeyMax: 8193}, "store: key length 8193: must be 1 to 8192"},
		{Config{ChunkMin: 300_000}, "store: smallest chunk 300000: must be 1 to half of the largest (524288)"},
		{Config{GrowthFactor: 1}, "store: growth factor 1: must be more than 1"},
		{Config{SlabChunkMax: 500}, "store: largest chunk 496: must be 512 bytes to 1 MiB"},
		{Config{SlabChunkMax: 2 << 20, ItemSizeMax: 4 << 20}, "store: largest chunk 2097152: must be 512 bytes to 1 MiB"},
		{Config{SlabChunkMax: 8 << 10, KeyMax: 8000}, "store: largest chunk 8192: too small for keys of 8000 bytes"},
	} {
		s, err := New(tt.cfg)
		if err == nil {
			s.Close()
			t.Errorf("%+v: no error, want %q", tt.cfg, tt.want)
		} else if err.Error() != tt.want {
			t.Errorf("%+v: error %q, want %q", tt.cfg, err, tt.want)
		}
	}
}
