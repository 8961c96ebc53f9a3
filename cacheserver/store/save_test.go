package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// restarted saves a store in a file, and returns the one that takes it over.
func restarted(t testing.TB, s *Store) *Store {
	t.Helper()
	count := s.Stats().CurrItems
	if err := errors.Join(s.Save(), s.Close()); err != nil {
		t.Fatal(err)
	}
	s, err := New(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Restored(); got.Cold != nil || got.Items != count || s.Stats().CurrItems != count {
		t.Fatalf("restored %+v of %d items, %d are there", got, count, s.Stats().CurrItems)
	}
	return s
}

// inFile makes a store in a file, for one to come after it.
func inFile(t testing.TB, cfg Config) *Store {
	t.Helper()
	if cfg.Now == nil {
		cfg.Now = newClock().now
	}
	if cfg.File == "" {
		cfg.File = filepath.Join(t.TempDir(), "memory")
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What there is to an item is there again: the value, chained or not, flags, CAS id, marks, place in the LRU lists; the time that has
// passed counts; what was flushed or under way is gone.
func TestSave(t *testing.T) {
	clock := newClock()
	s := inFile(t, Config{MemoryLimit: 8 << 20, ItemSizeMax: 4 << 20, Now: clock.now, LRU: segmented})
	set(t, s, "flushed", pattern(1, 100))
	s.FlushAll(0)
	big := pattern(2, 2_000_000)
	set(t, s, "big", big)
	_, id, _ := put(s, Set, "flags", []byte("value"), 77, clock.now()+100, 0)
	put(s, Set, "soon over", []byte("value"), 0, clock.now()+10, 0)
	s.Edit([]byte("flags"), func(e Entry) { e.SetStale() })
	crowd(t, s, "a", 20)
	read(t, s, "a3")
	juggleAll(s)
	before := statsOf(s, 31)
	held, _ := s.Get([]byte("a5"))
	unfinished, err := s.Alloc([]byte("unfinished"), 0, 0, 1_500_000)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = held, unfinished // nobody gives them back
	if err := errors.Join(s.Save(), s.Close()); err != nil {
		t.Fatal(err)
	}
	clock.add(10)
	if s, err = New(s.cfg); err != nil {
		t.Fatal(err)
	}
	if got := s.Restored(); got.Cold != nil || got.Items != 23 || got.Saved != clock.now()-10 {
		t.Errorf("%+v", got)
	}
	checkInvariants(t, s, 0)
	wantMiss(t, s, "flushed")
	wantMiss(t, s, "soon over")
	wantMiss(t, s, "unfinished")
	wantValue(t, s, "big", big)
	it, ok := s.Get([]byte("flags"))
	if !ok || it.Flags() != 77 || it.CAS() != id || it.Exptime() != clock.now()+90 {
		t.Errorf("%v %d %d %d", ok, it.Flags(), it.CAS(), it.Exptime())
	}
	it.Release()
	s.Edit([]byte("flags"), func(e Entry) {
		if !e.Stale() || e.Won() {
			t.Error("the marks are others")
		}
	})
	if got := statsOf(s, 31); got.Hot != before.Hot || got.Warm != 1 || got.Cold != before.Cold || got.Age != 10 {
		t.Errorf("%+v, before %+v", got, before)
	}
	if last := set(t, s, "new", nil); last <= id+21 {
		t.Errorf("CAS id %d was there already", last)
	}
	crowd(t, s, "b", 90) // evicts, and takes free chunks of the pages
	checkInvariants(t, s, 0)
	s = restarted(t, s)
	checkInvariants(t, s, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// A .meta that this program has not written may be somebody's: nothing is touched.
func TestForeignMeta(t *testing.T) {
	for _, text := range []string{"", "K config x\n"} {
		file := filepath.Join(t.TempDir(), "memory")
		write(t, file, "somebody's")
		write(t, file+".meta", text)
		if _, err := New(Config{File: file}); err == nil || !strings.Contains(err.Error(), ".meta is not this program's; remove it") {
			t.Errorf("%q: %v", text, err)
		}
		for name, want := range map[string]string{file: "somebody's", file + ".meta": text} {
			if got, err := os.ReadFile(name); err != nil || string(got) != want {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
	}
}

// The index begins as large as it is asked for, and as it was left.
func TestIndexSize(t *testing.T) {
	s := inFile(t, Config{MemoryLimit: 8 << 20, HashPower: 20})
	if got := s.Stats().HashPowerLevel; got != 20 {
		t.Errorf("2^%d buckets", got)
	}
	cfg := s.cfg
	if err := errors.Join(s.Save(), s.Close()); err != nil {
		t.Fatal(err)
	}
	cfg.HashPower = 0
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := s.Stats().HashPowerLevel; got != 20 {
		t.Errorf("2^%d buckets after a restart", got)
	}
}

// Whatever is not as Save has left it: the store is empty, it says why, and the one after it is warm again.
func TestColdStarts(t *testing.T) {
	page := func(number, at int64) func(t *testing.T, file string) {
		return func(t *testing.T, file string) { flip(t, file, number<<pageShift+at) }
	}
	for name, tt := range map[string]struct {
		spoil func(t *testing.T, file string)
		other func(*Config)
		want  string
	}{
		"no meta":        {func(t *testing.T, file string) { remove(t, file+".meta") }, nil, "not stopped gracefully"},
		"half a meta":    {func(t *testing.T, file string) { truncate(t, file+".meta", 300) }, nil, "cut short"},
		"changed meta":   {func(t *testing.T, file string) { flip(t, file+".meta", 200) }, nil, "damaged"},
		"other version":  {func(t *testing.T, file string) { write(t, file+".meta", metaMagic+" 99 0\n") }, nil, `version "99"`},
		"meta is a dir":  {func(t *testing.T, file string) { remove(t, file+".meta"); mkdir(t, file+".meta") }, nil, "is a directory"},
		"changed header": {page(1, 5), nil, "page 1 is not as it was left"},
		"changed value":  {page(2, 1_000), nil, "page 2 is not as it was left"},
		"cut short":      {func(t *testing.T, file string) { truncate(t, file, 3<<20) }, nil, "cut short"},
		"empty":          {func(t *testing.T, file string) { truncate(t, file, 0) }, nil, "cut short"},
		"gone":           {func(t *testing.T, file string) { remove(t, file) }, nil, "cut short"},
		"other -m":       {nil, func(c *Config) { c.MemoryLimit = 9 << 20 }, "memory limit (-m) is 8388608, now it is 9437184"},
		"other -I":       {nil, func(c *Config) { c.ItemSizeMax = 2 << 20 }, "largest item (-I)"},
		"other -n":       {nil, func(c *Config) { c.ChunkMin = 64 }, "smallest chunk (-n)"},
		"other -f":       {nil, func(c *Config) { c.GrowthFactor = 1.5 }, "growth factor (-f)"},
		"other chunks":   {nil, func(c *Config) { c.SlabChunkMax = 64 << 10 }, "largest chunk (-o slab_chunk_max)"},
		"other keys":     {nil, func(c *Config) { c.KeyMax = 8_000 }, "longest key"},
		"no CAS":         {nil, func(c *Config) { c.NoCAS = true }, "CAS ids (-C)"},
	} {
		t.Run(name, func(t *testing.T) {
			s := inFile(t, Config{MemoryLimit: 8 << 20})
			cfg := s.cfg
			crowd(t, s, "a", 40)
			if err := errors.Join(s.Save(), s.Close()); err != nil {
				t.Fatal(err)
			}
			if tt.spoil != nil {
				tt.spoil(t, cfg.File)
			}
			if tt.other != nil {
				tt.other(&cfg)
			}
			s, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Restored(); got.Cold == nil || !strings.Contains(got.Cold.Error(), tt.want) || got.Items != 0 || s.Stats().CurrItems != 0 {
				t.Errorf("%+v, want %q", got, tt.want)
			}
			if _, err := os.Stat(cfg.File + ".meta"); err == nil {
				t.Error("the .meta is still there")
			}
			wantMiss(t, s, "a1")
			crowd(t, s, "b", 60)
			checkInvariants(t, s, 0)
			s = restarted(t, s)
			wantValue(t, s, "b1", pattern(1, 66_560))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func remove(t *testing.T, file string) { must(t, os.Remove(file)) }

func mkdir(t *testing.T, file string) { must(t, os.Mkdir(file, 0o700)) }

func truncate(t *testing.T, file string, size int64) { must(t, os.Truncate(file, size)) }

func write(t *testing.T, file, text string) { must(t, os.WriteFile(file, []byte(text), 0o600)) }

// flip changes a byte.
func flip(t *testing.T, file string, at int64) {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	must(t, err)
	defer f.Close()
	b := []byte{0}
	_, err = f.ReadAt(b, at)
	must(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	must(t, err)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A new file is no news; one that another store uses, and what is no file, are errors.
func TestMemoryFiles(t *testing.T) {
	s := inFile(t, Config{})
	if got := s.Restored(); got != (Restored{}) {
		t.Errorf("%+v", got)
	}
	if _, err := New(s.cfg); err == nil || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("error %v", err)
	}
	for _, file := range []string{filepath.Dir(s.cfg.File), s.cfg.File + "/x"} {
		if _, err := New(Config{File: file}); err == nil {
			t.Errorf("%s: no error", file)
		}
	}
	if _, err := New(Config{File: filepath.Join(t.TempDir(), "m"), MemoryLimit: maxPages << pageShift}); err == nil || !strings.Contains(err.Error(), "has room for") {
		t.Errorf("error %v", err)
	}
	must(t, s.Close())
	if err := newStore(t, Config{}).Save(); !errors.Is(err, ErrNoFile) {
		t.Errorf("error %v", err)
	}
}

// Where the file system is full the store makes do with the pages that it has.
func TestFullFileSystem(t *testing.T) {
	s := inFile(t, Config{MemoryLimit: 8 << 20})
	crowd(t, s, "a", 20)
	must(t, s.slabs.file.f.Close()) // no page can be reserved any more
	crowd(t, s, "b", 100)
	wantValue(t, s, "b99", pattern(99, 66_560))
	if got := s.Stats(); got.LimitMaxBytes != 2<<20 || got.CurrItems != 24 {
		t.Errorf("%+v", got)
	}
	checkInvariants(t, s, 0)
	must(t, s.unmap())
}

// FuzzMeta reads anything as FILE.meta, with a right checksum if that is asked for, and starts from it.
func FuzzMeta(f *testing.F) {
	s := inFile(f, Config{MemoryLimit: 4 << 20})
	cfg := s.cfg
	for i := range 30 {
		set(f, s, fmt.Sprint(i), pattern(i, 66_560))
	}
	if err := errors.Join(s.Save(), s.Close()); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(metaPath(cfg.File))
	if err != nil {
		f.Fatal(err)
	}
	_, body, _ := bytes.Cut(good, []byte("\n"))
	f.Add(good, false)
	f.Add(body, true)
	f.Add([]byte(metaMagic+" 1 0\n"), false)
	f.Add([]byte(`{"Pages":[{"Number":4294967295,"Class":31,"Fresh":65535}]}`), true)
	s, err = New(Config{MemoryLimit: 4 << 20, Now: cfg.Now})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	f.Fuzz(func(t *testing.T, text []byte, sealed bool) {
		if sealed {
			text = seal(text)
		}
		m, err := parseMeta(text)
		if err != nil {
			return
		}
		if m.fits(s, 5<<20) != nil {
			return
		}
		for i := range m.Pages {
			s.checksum(&m.Pages[i])
		}
	})
}
