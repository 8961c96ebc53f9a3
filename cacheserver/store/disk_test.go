package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"pagegate/cacheserver/extstore"
)

// newDiskStore makes a store over a log of some pages of 2 MiB in one file for each home, all until the test ends. Every cold item is to go
// to disk.
func newDiskStore(t testing.TB, cfg Config, pages int64, homes ...extstore.Bucket) *Store {
	t.Helper()
	lc := extstore.Config{PageSize: 2 << 20, BufferSize: 2 << 20, Readers: 2}
	dir := t.TempDir()
	for i, home := range append([]extstore.Bucket{extstore.Default}, homes...) {
		lc.Files = append(lc.Files, extstore.File{Path: filepath.Join(dir, strconv.Itoa(i)), Size: pages * lc.PageSize, Home: home})
	}
	log, err := extstore.Open(lc)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Disk = log
	s := newStore(t, cfg)
	t.Cleanup(func() { // before the store's end
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	s.SetDiskPolicy(DiskPolicy{ItemSize: 512, Policy: extstore.Policy{CompactUnder: 1, DropUnder: 1, MaxFrag: 0.8}})
	return s
}

// spillAll has all that is cold go to disk.
func spillAll(s *Store) {
	for s.Spill() {
	}
}

// compactAll compacts until there is nothing to do.
func compactAll(s *Store) {
	for s.CompactDisk() {
	}
}

// fetch returns a copy of a key's value, from wherever it is.
func fetch(t testing.TB, s *Store, key string) (value []byte, where LoadOutcome, ok bool) {
	t.Helper()
	it, ok := s.Get([]byte(key))
	if !ok {
		return nil, 0, false
	}
	if !it.OnDisk() {
		defer it.Release()
		return valueOf(it), 0, true
	}
	if b, whole := it.Bytes(); whole || len(it.Segments(nil)) != 0 {
		t.Fatalf("%s is on disk and has the bytes %s", key, abbreviate(b))
	}
	size := it.Len()
	load, ok := s.NewLoad(it)
	if !ok {
		it.Release()
		return nil, 0, false
	}
	if size%2 == 0 || !load.Try() { // both ways
		done := make(chan struct{})
		load.Start(func() { close(done) })
		<-done
	}
	defer load.Item().Release()
	if o := load.Outcome(); o == Lost || o == Damaged {
		return nil, o, false
	}
	if load.Item().CAS() != it.CAS() || load.Item().Exptime() != it.Exptime() || load.Item().Len() != size {
		t.Fatalf("%s: CAS, expiry or length have changed on disk", key)
	}
	return valueOf(load.Item()), load.Outcome(), true
}

func wantFetch(t testing.TB, s *Store, key string, want []byte) {
	t.Helper()
	if got, where, ok := fetch(t, s, key); !ok || !bytes.Equal(got, want) {
		t.Fatalf("%s: %s, %v, outcome %d", key, abbreviate(got), ok, where)
	}
}

func onDisk(s *Store, key string) bool {
	it, ok := s.Get([]byte(key))
	if ok {
		defer it.Release()
	}
	return ok && it.OnDisk()
}

// What the commands do with an item whose value is on disk.
func TestCommandsOnDisk(t *testing.T) {
	clock := newClock()
	s := newDiskStore(t, Config{Now: clock.now, SlabChunkMax: 64 << 10}, 4)
	want := map[string][]byte{}
	cas := map[string]uint64{}
	for i, size := range []int{600, 20_000, 60_000, 300_000, 900_000} {
		key := fmt.Sprint("key", i)
		want[key] = pattern(i, size)
		_, cas[key], _ = put(s, Set, key, want[key], uint32(i), 2_000_000, 0)
	}
	set(t, s, "small", []byte("value"))
	spillAll(s)
	for key, v := range want {
		if !onDisk(s, key) {
			t.Fatalf("%s is in memory", key)
		}
		wantFetch(t, s, key, v)
	}
	if onDisk(s, "small") {
		t.Error("a small item is on disk")
	}
	checkInvariants(t, s, 0)
	if st := s.Disk().Stats(); st.ObjectsUsed != 5 || s.Stats().CurrItems != 6 {
		t.Errorf("%+v", st)
	}
	s.Edit([]byte("key3"), func(e Entry) {
		info := e.Info()
		if !info.OnDisk || info.Len != 300_000 || info.Size < 300_000 || info.Flags != 3 || info.CAS != cas["key3"] || info.Exptime != 2_000_000 {
			t.Errorf("%+v", info)
		}
	})
	for _, mode := range []Mode{Append, Prepend} {
		if st, _, _ := put(s, mode, "key1", []byte("more"), 0, 0, 0); st != NotStored {
			t.Errorf("mode %d: %d", mode, st)
		}
		p, _ := s.Alloc([]byte("key1"), 0, 0, 0)
		if st, _ := p.CommitOn(Terms{Mode: mode, Vivify: true}); st != NotStored {
			t.Errorf("mode %d, vivify: %d", mode, st)
		}
	}
	if _, _, st := s.Delta([]byte("key0"), 1, false, 0); st != NonNumeric {
		t.Errorf("incr: %d", st)
	}
	if st, _, _ := put(s, CAS, "key1", []byte("new"), 0, 0, cas["key1"]+1_000); st != Exists {
		t.Errorf("cas: %d", st)
	}
	if st, _, _ := put(s, Add, "key1", []byte("new"), 0, 0, 0); st != NotStored {
		t.Errorf("add: %d", st)
	}
	if st := s.Touch([]byte("key1"), 3_000_000); st != Stored {
		t.Errorf("touch: %d", st)
	}
	wantFetch(t, s, "key1", want["key1"])
	if st, _, _ := put(s, CAS, "key1", []byte("new"), 0, 0, cas["key1"]); st != Stored {
		t.Errorf("cas: %d", st)
	}
	wantValue(t, s, "key1", []byte("new"))
	if st := s.Delete([]byte("key2")); st != Stored {
		t.Errorf("delete: %d", st)
	}
	clock.add(1_500_000) // the time of all but key1 is over
	for _, key := range []string{"key0", "key2", "key3", "key4"} {
		wantMiss(t, s, key)
	}
	if st := s.Disk().Stats(); st.ObjectsUsed != 0 {
		t.Errorf("%+v", st)
	}
	if err := s.Save(); err == nil {
		t.Error("saved")
	}
	checkInvariants(t, s, 0)
}

// A flush is about what is on disk too, and about what goes there at the same time.
func TestFlushOnDisk(t *testing.T) {
	s := newDiskStore(t, Config{}, 4)
	set(t, s, "a", pattern(1, 5_000))
	set(t, s, "b", pattern(2, 5_000))
	it, _ := s.Get([]byte("b")) // keeps it from going
	spillAll(s)
	if !onDisk(s, "a") || onDisk(s, "b") {
		t.Fatal("a is to be on disk, b not")
	}
	s.FlushAll(0)
	it.Release()
	spillAll(s)
	wantMiss(t, s, "a")
	wantMiss(t, s, "b")
	if st := s.Disk().Stats(); st.ObjectsUsed != 0 {
		t.Errorf("%+v", st)
	}
}

// A page that was evicted costs its items when they are asked for, or when the crawler comes by.
func TestEvictedFromDisk(t *testing.T) {
	s := newDiskStore(t, Config{}, 2)
	s.SetDiskPolicy(DiskPolicy{ItemSize: 512})
	for i := range 80 {
		set(t, s, fmt.Sprint(i), pattern(i, 100_000))
		spillAll(s)
	}
	if _, where, ok := fetch(t, s, "0"); ok || where != Lost {
		t.Errorf("the oldest: %d, %v", where, ok)
	}
	wantMiss(t, s, "0") // is gone for good
	wantFetch(t, s, "79", pattern(79, 100_000))
	listed := 0
	s.Walk(func([]byte, ItemInfo) bool { listed++; return true })
	var crawl Crawl
	for s.CrawlStep(&crawl) {
	}
	if n := int(s.Stats().CurrItems); n != listed || n != int(s.Disk().Stats().ObjectsUsed) || crawl.Reclaimed == 0 {
		t.Errorf("%d items, %d listed, %d reclaimed, %+v", n, listed, crawl.Reclaimed, s.Disk().Stats())
	}
	checkInvariants(t, s, 0)
}

// Only what has not been used for ItemAge goes, unless memory is short; what soon expires has pages of its own.
func TestWhatSpills(t *testing.T) {
	clock := newClock()
	s := newDiskStore(t, Config{Now: clock.now}, 8)
	s.SetDiskPolicy(DiskPolicy{ItemSize: 512, ItemAge: 10, LowTTL: 50})
	s.SetAutomove(Automove{Level: 1})
	buckets := map[string]extstore.Bucket{}
	s.OnDiskEvent(func(e DiskEvent) { buckets[string(e.Key)] = e.Bucket })
	put(s, Set, "short", pattern(1, 2_000), 0, clock.now()+30, 0)
	set(t, s, "long", pattern(2, 2_000))
	set(t, s, "chain", pattern(2, 800_000))
	spillAll(s)
	clock.add(10)
	spillAll(s)
	if len(buckets) != 0 {
		t.Errorf("too early: %v", buckets)
	}
	clock.add(1)
	spillAll(s)
	if fmt.Sprint(buckets) != fmt.Sprint(map[string]extstore.Bucket{"short": extstore.LowTTL, "long": extstore.Default, "chain": extstore.Chunked}) {
		t.Errorf("%v", buckets)
	}
	clear(buckets)
	for i := range 1_000 {
		set(t, s, fmt.Sprint("fill", i), pattern(i, 90_000))
		spillAll(s)
	}
	if st := s.Stats(); len(buckets) < 50 || st.Evictions != 0 || st.FreePages == 0 {
		t.Errorf("%d went to disk, %d evicted, %d pages are free", len(buckets), st.Evictions, st.FreePages)
	}
}

// What is read again and again comes back into memory, with all that belongs to it.
func TestRecache(t *testing.T) {
	s := newDiskStore(t, Config{LRU: LRU{Segmented: true}}, 4)
	policy := s.DiskPolicy()
	policy.RecacheRate = 2
	s.SetDiskPolicy(policy)
	v := pattern(1, 700_000)
	_, cas, _ := put(s, Set, "a", v, 7, 5_000_000, 0)
	juggleAll(s) // it is cold
	spillAll(s)
	s.Edit([]byte("a"), Entry.SetStale)
	var outcomes []LoadOutcome
	for range 4 {
		got, where, ok := fetch(t, s, "a")
		if !ok || !bytes.Equal(got, v) {
			t.Fatalf("%v, outcome %d", ok, where)
		}
		outcomes = append(outcomes, where)
	}
	if fmt.Sprint(outcomes) != fmt.Sprint([]LoadOutcome{Loaded, Recached, 0, 0}) || onDisk(s, "a") {
		t.Errorf("%v", outcomes)
	}
	s.Edit([]byte("a"), func(e Entry) {
		if i := e.Info(); !e.Stale() || i.CAS != cas || i.Flags != 7 || i.Exptime != 5_000_000 || !i.Fetched || i.OnDisk {
			t.Errorf("%+v", i)
		}
	})
	if st := s.Disk().Stats(); st.ObjectsUsed != 0 {
		t.Errorf("%+v", st)
	}
	checkInvariants(t, s, 0)
}

// Compaction keeps what is wanted, of items in use too, and drops the rest of the page.
func TestCompactDisk(t *testing.T) {
	for _, homes := range [][]extstore.Bucket{nil, {extstore.ColdCompact}, {extstore.Old, extstore.ColdCompact}} {
		s := newDiskStore(t, Config{}, 3, homes...)
		policy := s.DiskPolicy()
		policy.CompactUnder, policy.DropUnder = 2, 1
		s.SetDiskPolicy(policy)
		var events []DiskEventKind
		s.OnDiskEvent(func(e DiskEvent) { events = append(events, e.Kind) })
		for i := range 45 {
			set(t, s, fmt.Sprint(i), pattern(i, 100_000))
			spillAll(s)
		}
		for i := range 45 {
			if i%3 != 0 {
				s.Delete([]byte(fmt.Sprint(i)))
			}
		}
		it, _ := s.Get([]byte("3"))
		events = nil
		compactAll(s)
		for i := 0; i < 45; i += 3 {
			wantFetch(t, s, fmt.Sprint(i), pattern(i, 100_000))
		}
		load, ok := s.NewLoad(it) // its place is another one by now
		if !ok {
			t.Fatal("no memory")
		}
		done := make(chan struct{})
		load.Start(func() { close(done) })
		<-done
		if load.Outcome() != Loaded || !bytes.Equal(valueOf(load.Item()), pattern(3, 100_000)) {
			t.Errorf("one in use: %d", load.Outcome())
		}
		load.Item().Release()
		st := s.DiskStats()
		if st.Rescues == 0 || st.Lost != 0 || (st.RescuedCold > 0) != (len(homes) > 0) || len(events) < 4 || s.Disk().Stats().PageReclaims == 0 {
			t.Errorf("%v: %+v, %v", homes, st, events)
		}
		s.ResetStats()
		if st := s.DiskStats(); st.Rescues != 0 {
			t.Errorf("%+v", st)
		}
		checkInvariants(t, s, 0)
	}
}

// A Load that finds no memory within its class leaves the others' alone, unless pages move by themselves.
func TestLoadWithoutMemory(t *testing.T) {
	s := newDiskStore(t, Config{MemoryLimit: 8 << 20, ItemSizeMax: 2 << 20}, 8)
	big := pattern(1, 2_000_000)
	set(t, s, "big", big)
	spillAll(s)
	var held []Pending
	for s.Stats().FreePages > 0 {
		p, err := s.Alloc(fmt.Appendf(nil, "pending%d", len(held)), 0, 0, 3_000)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, p)
	}
	it, ok := s.Get([]byte("big"))
	if !ok || !it.OnDisk() {
		t.Fatal("it is not on disk")
	}
	if _, ok := s.NewLoad(it); ok {
		t.Error("there was memory")
	}
	it.Release()
	for i := range held {
		held[i].Abort()
	}
	wantFetch(t, s, "big", big)
	checkInvariants(t, s, 0)
}

// Files that are damaged, or cut short, under way cost values, and never give wrong ones.
func TestDamagedFile(t *testing.T) {
	lc := extstore.Config{PageSize: 2 << 20, BufferSize: 2 << 20, Files: []extstore.File{{Path: filepath.Join(t.TempDir(), "log"), Size: 16 << 20}}}
	log, err := extstore.Open(lc)
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t, Config{Disk: log})
	t.Cleanup(func() { log.Close() })
	s.SetDiskPolicy(DiskPolicy{ItemSize: 512, Policy: extstore.Policy{CompactUnder: 8, MaxFrag: 1}})
	rnd := rand.New(rand.NewPCG(1, 2))
	f, err := os.OpenFile(lc.Files[0].Path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	damaged, right := 0, 0
	for round := range 6 {
		for i := range 150 {
			set(t, s, fmt.Sprint(i), pattern(i+round, 40_000))
			if i%40 == 0 {
				spillAll(s)
			}
		}
		spillAll(s)
		for range 40 {
			if _, err := f.WriteAt([]byte{byte(rnd.Uint32())}, rnd.Int64N(16<<20)); err != nil {
				t.Fatal(err)
			}
		}
		if round == 4 {
			if err := f.Truncate(5 << 20); err != nil {
				t.Fatal(err)
			}
		}
		for range 20 {
			s.CompactDisk()
		}
		for i := range 150 {
			got, where, ok := fetch(t, s, fmt.Sprint(i))
			switch {
			case ok && !bytes.Equal(got, pattern(i+round, 40_000)):
				t.Fatalf("round %d, %d: wrong bytes", round, i)
			case ok:
				right++
			case where == Damaged:
				damaged++
			}
		}
	}
	if damaged == 0 || right < 200 {
		t.Errorf("%d damaged, %d right", damaged, right)
	}
	checkInvariants(t, s, 0)
}

// Random operations over a memory and a disk that are both too small: a value is right or a miss.
func TestDiskModel(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { diskModel(t, seed) })
	}
}

func diskModel(t *testing.T, seed uint64) {
	clock := newClock()
	homes := [][]extstore.Bucket{nil, {extstore.Compact}, {extstore.ColdCompact}, {extstore.Old, extstore.LowTTL}}[seed]
	s := newDiskStore(t, Config{Now: clock.now, MemoryLimit: 6 << 20, SlabChunkMax: 64 << 10, LRU: LRU{Segmented: seed%2 == 0}}, 4, homes...)
	s.SetDiskPolicy(DiskPolicy{
		ItemSize: 512, ItemAge: int64(seed) % 3, LowTTL: 20, RecacheRate: 3,
		Policy: extstore.Policy{CompactUnder: 2, DropUnder: 2, MaxFrag: 0.7, DropUnread: seed == 1},
	})
	s.SetAutomove(Automove{Level: int(seed % 2)})
	rnd := rand.New(rand.NewPCG(seed, 9))
	type known struct {
		value   []byte
		exptime int64
		cas     uint64
	}
	items := map[string]known{}
	hits, misses, fromDisk, recached := 0, 0, 0, 0
	for step := range 6_000 {
		key := fmt.Sprint("key", rnd.IntN(300))
		it, ok := items[key]
		if ok && it.exptime != 0 && it.exptime <= clock.now() {
			delete(items, key)
			ok = false
		}
		switch op := rnd.IntN(40); {
		case op < 10:
			v, exptime := pattern(step, 1+rnd.IntN(4)*rnd.IntN(60_000)), int64(0)
			if rnd.IntN(3) == 0 {
				exptime = clock.now() + 1 + rnd.Int64N(40)
			}
			st, cas, err := put(s, Set, key, v, uint32(step), exptime, 0)
			if err != nil || st != Stored {
				if !errors.Is(err, ErrNoMemory) {
					t.Fatalf("set: %d, %v", st, err)
				}
				continue
			}
			items[key] = known{v, exptime, cas}
		case op < 12:
			s.Delete([]byte(key))
			delete(items, key)
		case op < 14:
			exptime := clock.now() + 5 + rnd.Int64N(50)
			if s.Touch([]byte(key), exptime) == Stored && ok {
				it.exptime = exptime
				items[key] = it
			}
		case op == 14:
			st, cas, err := put(s, Append, key, []byte("more"), 0, 0, 0)
			if err == nil && st == Stored {
				items[key] = known{append(bytes.Clone(it.value), "more"...), it.exptime, cas}
			}
		case op == 15 && rnd.IntN(40) == 0:
			s.FlushAll(0)
			clear(items)
		case op == 16:
			clock.add(1)
		case op < 22:
			s.Spill()
		case op < 24:
			s.CompactDisk()
		case op == 24:
			juggleAll(s)
			s.Maintain()
			s.MovePages()
			s.MoveStep()
		case op == 25:
			s.Reassign(-1, 1+rnd.IntN(len(s.classes)-1))
		default:
			got, where, found := fetch(t, s, key)
			switch {
			case found && !ok:
				t.Fatalf("step %d: %s is there, and must not be", step, key)
			case found && !bytes.Equal(got, it.value):
				t.Fatalf("step %d: %s: %s, want %s", step, key, abbreviate(got), abbreviate(it.value))
			case where == Damaged:
				t.Fatalf("step %d: %s: damaged", step, key)
			case found:
				hits++
			case ok:
				misses++
			}
			if where == Recached {
				recached++
			}
			if found && onDisk(s, key) {
				fromDisk++
			}
		}
	}
	st := s.Disk().Stats()
	if hits < 300 || misses == 0 || fromDisk < 100 || recached == 0 || s.DiskStats().Rescues == 0 || st.PageReclaims == 0 {
		t.Errorf("%d hits, %d misses, %d from disk, %d recached; %+v; %+v", hits, misses, fromDisk, recached, st, s.DiskStats())
	}
	for more := true; more; {
		more, _ = s.MoveStep()
	}
	checkInvariants(t, s, 0)
	var crawl Crawl
	for s.CrawlStep(&crawl) {
	}
	n := uint64(0)
	s.Walk(func(_ []byte, it ItemInfo) bool {
		if it.OnDisk {
			n++
		}
		return true
	})
	if got := s.Disk().Stats().ObjectsUsed; got != n {
		t.Errorf("%d values on disk are in use, %d items are there", got, n)
	}
}

// All at once: readers, writers, and what goes on in the background.
func TestDiskConcurrently(t *testing.T) {
	s := newDiskStore(t, Config{MemoryLimit: 8 << 20, LRU: LRU{Segmented: true}}, 4)
	policy := s.DiskPolicy()
	policy.RecacheRate, policy.CompactUnder = 5, 3
	s.SetDiskPolicy(policy)
	s.SetAutomove(Automove{Level: 1})
	stop := make(chan struct{})
	var background, clients sync.WaitGroup
	background.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			s.Spill()
			s.CompactDisk()
			juggleAll(s)
			s.MovePages()
			s.MoveStep()
		}
	})
	for client := range 3 {
		clients.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(client), 1))
			for range 1_500 {
				key := rnd.IntN(150)
				name := fmt.Sprint("key", key)
				switch rnd.IntN(8) {
				case 0, 1:
					// The value tells the key: whoever reads it knows whether it is right.
					put(s, Set, name, pattern(key, 1_000+key*500), 0, 0, 0)
				case 2:
					s.Delete([]byte(name))
				default:
					if got, where, ok := fetch(t, s, name); ok && !bytes.Equal(got, pattern(key, 1_000+key*500)) || where == Damaged {
						t.Errorf("%s: %s, outcome %d", name, abbreviate(got), where)
						return
					}
				}
			}
		})
	}
	clients.Wait()
	close(stop)
	background.Wait()
	for more := true; more; {
		more, _ = s.MoveStep()
	}
	checkInvariants(t, s, 0)
	if st := s.Disk().Stats(); st.ObjectsWritten == 0 || st.ObjectsRead == 0 {
		t.Errorf("%+v", st)
	}
}
