package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// metaVersion changes with everything that the pages' bytes depend on: the header, the state word, how refs are made.
const metaVersion = 1

// metaMagic begins FILE.meta; version and checksum of all that follows stand in the same line.
const metaMagic = "pagegate cacheserver memory"

// meta is what FILE.meta says about the pages in a memory file, in JSON: all that cannot be read from the pages themselves.
type meta struct {
	Shape   shape
	Saved   int64 // unix time
	LastCAS uint64
	Epoch   uint32
	FlushAt int64
	Buckets int // of the index, its binary logarithm
	Pages   []metaPage
	Classes [][segments]metaList // by number
}

// shape is what two stores must have in common if one is to take over the other's pages.
type shape struct {
	MemoryLimit  int64
	ItemSizeMax  int
	KeyMax       int
	ChunkMin     int
	GrowthFactor float64
	SlabChunkMax int
	NoCAS        bool
}

// metaPage is one page that a class owns.
type metaPage struct {
	Number uint32
	Class  uint32
	Cut    uint8
	Fresh  uint16 // chunks that were ever used
	Sum    uint64 // xxhash of these
}

// metaList is one LRU list.
type metaList struct {
	Head, Tail   ref
	Count, Bytes uint64
}

func (c *Config) shape() shape {
	return shape{c.MemoryLimit, c.ItemSizeMax, c.KeyMax, c.ChunkMin, c.GrowthFactor, c.SlabChunkMax, c.NoCAS}
}

// differs names what is different, for people; empty if nothing is.
func (a shape) differs(b shape) string {
	for _, d := range []struct {
		what string
		a, b any
	}{
		{"memory limit (-m)", a.MemoryLimit, b.MemoryLimit}, {"largest item (-I)", a.ItemSizeMax, b.ItemSizeMax},
		{"longest key (-o page_keys)", a.KeyMax, b.KeyMax}, {"smallest chunk (-n)", a.ChunkMin, b.ChunkMin},
		{"growth factor (-f)", a.GrowthFactor, b.GrowthFactor}, {"largest chunk (-o slab_chunk_max)", a.SlabChunkMax, b.SlabChunkMax},
		{"absence of CAS ids (-C)", a.NoCAS, b.NoCAS},
	} {
		if d.a != d.b {
			return fmt.Sprintf("its %s is %v, now it is %v", d.what, d.a, d.b)
		}
	}
	return ""
}

func (m *meta) encode() ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return seal(body), nil
}

// seal puts the first line before the rest of FILE.meta.
func seal(body []byte) []byte {
	return append(fmt.Appendf(nil, "%s %d %016x\n", metaMagic, metaVersion, xxhash.Sum64(body)), body...)
}

// parseMeta reads FILE.meta. What it returns is well-formed, not yet right: see fits.
func parseMeta(text []byte) (*meta, error) {
	line, body, ok := bytes.Cut(text, []byte("\n"))
	rest, magic := bytes.CutPrefix(line, []byte(metaMagic+" "))
	if !ok || !magic {
		return nil, errForeign
	}
	version, sum, ok := bytes.Cut(rest, []byte(" "))
	if want := fmt.Sprint(metaVersion); !ok || string(version) != want {
		return nil, fmt.Errorf("it is of version %.20q, this program's is %q", version, want)
	}
	if string(sum) != fmt.Sprintf("%016x", xxhash.Sum64(body)) {
		return nil, errors.New("its .meta is damaged or cut short")
	}
	m := new(meta)
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("its .meta is damaged: %w", err)
	}
	return m, nil
}

// fits checks that nothing in m points out of the store, and that it is about a store like this one, whose file had size bytes.
func (m *meta) fits(s *Store, size int64) error {
	if d := m.Shape.differs(s.cfg.shape()); d != "" {
		return errors.New(d)
	}
	if len(m.Classes) != len(s.classes) {
		return fmt.Errorf("it has %d slab classes, now there are %d", len(m.Classes), len(s.classes))
	}
	pages := make(map[uint32]metaPage, len(m.Pages))
	last := uint32(0)
	for _, p := range m.Pages {
		switch {
		case p.Number <= last || int(p.Number) > s.pool.reserved:
			return fmt.Errorf("its page %d is out of place", p.Number)
		case p.Class == 0 || int(p.Class) >= len(s.classes):
			return fmt.Errorf("its page %d is in class %d", p.Number, p.Class)
		case int(p.Cut) >= len(s.classes[p.Class].spec.cuts) || p.Fresh > s.classes[p.Class].spec.cuts[p.Cut].count:
			return fmt.Errorf("its page %d is cut in a way that there is not", p.Number)
		}
		last = p.Number
		pages[p.Number] = p
	}
	if need := (int64(last) + 1) << pageShift; last != 0 && size < need {
		return fmt.Errorf("it is cut short: it has %d bytes of %d", size, need)
	}
	for id := range m.Classes {
		for g, l := range m.Classes[id] {
			for _, r := range []ref{l.Head, l.Tail} {
				if p := pages[r.page()]; (r == 0) != (l.Count == 0) || r != 0 && (p.Class != uint32(id) || r.idx() >= p.Fresh) {
					return fmt.Errorf("list %d of its class %d has an end that is not there", g, id)
				}
			}
		}
	}
	return nil
}
