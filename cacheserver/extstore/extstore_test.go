package extstore

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mib = 1 << 20

// openLog opens a log of some pages of 2 MiB in one file, until the test ends.
func openLog(t testing.TB, pages int64) *Log {
	t.Helper()
	return openWith(t, Config{PageSize: 2 * mib, BufferSize: 2 * mib, Readers: 2, Files: []File{{Path: filepath.Join(t.TempDir(), "log"), Size: pages * 2 * mib}}})
}

func openWith(t testing.TB, cfg Config) *Log {
	t.Helper()
	l, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// value is one whose bytes follow from a number.
func value(seed uint64, size int) []byte {
	b := make([]byte, size)
	x := seed*0x9E3779B97F4A7C15 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}

func write(t testing.TB, l *Log, b Bucket, key string, v []byte) Place {
	t.Helper()
	at, ok := l.Write(b, []byte(key), v[:len(v)/3], v[len(v)/3:])
	if !ok {
		t.Fatalf("%s: no room", key)
	}
	return at
}

// read returns the value of a size at a place, in two pieces' reads.
func read(l *Log, at Place, size int) ([]byte, error) {
	got, tried := make([]byte, size), make([]byte, size)
	err := l.Read(at, 1, got[:size/2], got[size/2:])
	if l.TryRead(at, 1, tried[:size/3], tried[size/3:]) && (err != nil || !bytes.Equal(got, tried)) {
		return tried, errors.New("what was tried is something else")
	}
	return got, err
}

func wantErr(t testing.TB, l *Log, at Place, size int, want error) {
	t.Helper()
	if _, err := read(l, at, size); !errors.Is(err, want) {
		t.Fatalf("read: %v, want %v", err, want)
	}
}

// What was written is read back, from the buffer and from the file, until its page is used anew.
func TestWriteAndRead(t *testing.T) {
	l := openLog(t, 2)
	v := value(1, 700_000)
	first := write(t, l, Default, "a", v)
	for _, key := range []string{"b", "c"} { // c begins the second page, and the first is in the file by then
		if got, err := read(l, first, len(v)); err != nil || !bytes.Equal(got, v) {
			t.Fatalf("before %s: %v", key, err)
		}
		write(t, l, Default, key, v)
	}
	if got, err := read(l, first, len(v)); err != nil || !bytes.Equal(got, v) {
		t.Fatalf("from the file: %v", err)
	}
	if !l.Valid(first) {
		t.Fatal("the first page is gone too early")
	}
	write(t, l, Default, "d", v)
	write(t, l, Default, "e", v)
	wantErr(t, l, first, len(v), ErrGone)
	st := l.Stats()
	if st.PageEvictions == 0 || st.ObjectsEvicted == 0 || st.PagesUsed != 2 || st.PagesFree != 0 || st.BytesWritten != 5*uint64(RecordSize(1, len(v))) {
		t.Errorf("%+v", st)
	}
	if _, ok := l.Write(Default, []byte("big"), make([]byte, 2*mib)); ok {
		t.Error("a record larger than a buffer was taken")
	}
	for _, at := range []Place{{}, {Page: 77, Version: 1}, {Version: 99}} {
		wantErr(t, l, at, 1, ErrGone)
		l.Forget(at, 1)
		if l.Valid(at) {
			t.Errorf("%+v is valid", at)
		}
	}
}

// A page of which everything is forgotten is free again, though others were written later.
func TestForgottenPagesAreFree(t *testing.T) {
	l := openLog(t, 3)
	var places []Place
	v := value(2, 900_000)
	for i := range 5 {
		places = append(places, write(t, l, Default, fmt.Sprint(i), v))
	}
	if st := l.Stats(); st.PagesFree != 0 || st.ObjectsUsed != 5 {
		t.Fatalf("%+v", st)
	}
	for _, at := range places[:2] {
		l.Forget(at, RecordSize(1, len(v)))
	}
	if st := l.Stats(); st.PagesFree != 1 || st.PageReclaims != 1 || st.PageEvictions != 0 || st.ObjectsUsed != 3 || st.BytesUsed != uint64(3*RecordSize(1, len(v))) {
		t.Fatalf("%+v", st)
	}
	l.Forget(places[0], 1) // of the use before: nothing
	for page, st := range l.Pages() {
		if st.Version == 0 {
			l.Finish(Plan{Page: uint32(page)}) // it is free already
		}
	}
	l.Forget(places[4], RecordSize(1, len(v)))
	if st := l.Stats(); st.PagesFree != 1 {
		t.Fatalf("a page that is written to is free: %+v", st)
	}
}

// A bucket has its own free pages, and those of Default when it has none.
func TestHomes(t *testing.T) {
	dir := t.TempDir()
	l := openWith(t, Config{PageSize: 2 * mib, BufferSize: 2 * mib, Files: []File{
		{Path: filepath.Join(dir, "1"), Size: 4 * mib}, {Path: filepath.Join(dir, "2"), Size: 7 * mib, Home: Compact}}})
	v := value(3, 1_500_000)
	homes := func(b Bucket, n int) (got []Bucket) {
		for range n {
			at := write(t, l, b, "k", v)
			got = append(got, l.Pages()[at.Page].Home)
		}
		return got
	}
	if got := homes(Compact, 4); fmt.Sprint(got) != fmt.Sprint([]Bucket{Compact, Compact, Compact, Default}) {
		t.Errorf("%v", got)
	}
	if got := homes(Default, 3); fmt.Sprint(got) != fmt.Sprint([]Bucket{Default, Default, Default}) {
		t.Errorf("%v", got)
	}
	if n := l.PageCount(); n != 5 {
		t.Errorf("%d pages", n)
	}
}

// What is in a write buffer is there without a wait; what has just been written, as a rule, too.
func TestTryRead(t *testing.T) {
	l := openLog(t, 3)
	v := value(9, 900_000)
	at := write(t, l, Default, "a", v)
	got := make([]byte, len(v))
	if !l.TryRead(at, 1, got) || !bytes.Equal(got, v) {
		t.Error("it is in the buffer")
	}
	write(t, l, Default, "b", v)
	write(t, l, Default, "c", v)
	clear(got)
	if l.TryRead(at, 1, got[:5], got[5:]) && !bytes.Equal(got, v) {
		t.Error("wrong bytes")
	}
	at.Sum++
	if l.TryRead(at, 1, got) {
		t.Error("a damaged value")
	}
	if l.TryRead(Place{Version: 99}, 1, got) {
		t.Error("a value that was never there")
	}
}

// Whatever happens to the file, a read gives the value or an error.
func TestDamage(t *testing.T) {
	l := openLog(t, 3)
	v := value(4, 600_000)
	var places []Place
	for i := range 6 {
		places = append(places, write(t, l, Default, fmt.Sprint(i), v))
	}
	path := l.cfg.Files[0].Path
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{v[100] + 1}, int64(places[0].Offset)+100); err != nil {
		t.Fatal(err)
	}
	wantErr(t, l, places[0], len(v), ErrDamaged)
	if got, err := read(l, places[1], len(v)); err != nil || !bytes.Equal(got, v) {
		t.Fatalf("its neighbour: %v", err)
	}
	wantErr(t, l, Place{Page: places[1].Page, Version: places[1].Version, Offset: 2*mib - 5}, 10, ErrDamaged)
	if err := f.Truncate(1 * mib); err != nil {
		t.Fatal(err)
	}
	wantErr(t, l, places[1], len(v), ErrDamaged)
	if _, err := read(l, places[5], len(v)); err != nil {
		t.Fatalf("what is in the buffer: %v", err)
	}
}

// While the disk takes nothing nothing is lost, and writing goes on when it does again.
func TestDiskFull(t *testing.T) {
	var failures []error
	cfg := Config{PageSize: 4 * mib, BufferSize: 2 * mib, Files: []File{{Path: filepath.Join(t.TempDir(), "log"), Size: 8 * mib}}}
	cfg.Failed = func(err error) { failures = append(failures, err) }
	l := openWith(t, cfg)
	v := value(5, 900_000)
	places := []Place{write(t, l, Default, "a", v), write(t, l, Default, "b", v)}
	readOnly, err := os.Open(cfg.Files[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	p := &l.pages[places[0].Page]
	good := p.file
	p.file = readOnly
	for range 3 {
		if _, ok := l.Write(Default, []byte("c"), v); ok {
			t.Fatal("written to a file that cannot be written to")
		}
	}
	if len(failures) != 1 || l.Stats().WriteFailures != 1 {
		t.Errorf("%v, %+v", failures, l.Stats())
	}
	p.file = good
	l.retryAt = time.Now().Add(-1) // the wait is over
	places = append(places, write(t, l, Default, "c", v))
	for i, at := range places {
		if got, err := read(l, at, len(v)); err != nil || !bytes.Equal(got, v) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if !l.retryAt.IsZero() {
		t.Error("it still takes the disk for full")
	}
}

func TestOpenRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	files := []File{{Path: path, Size: 8 * mib}}
	for _, tt := range []struct {
		cfg  Config
		want string
	}{
		{Config{Files: files, PageSize: 3 * mib, BufferSize: 2 * mib}, "whole write buffers"},
		{Config{Files: files, PageSize: 0, BufferSize: 2 * mib}, "whole write buffers"},
		{Config{Files: files, PageSize: 3 * mib, BufferSize: 3 * mib}, "units of 2 MiB"},
		{Config{Files: files, PageSize: 4096 * mib, BufferSize: 2 * mib}, "less than 4 GiB"},
		{Config{Files: files, PageSize: 16 * mib, BufferSize: 2 * mib}, "less than a page"},
		{Config{PageSize: 2 * mib, BufferSize: 2 * mib}, "no file"},
		{Config{Files: []File{{Path: path, Size: 1 << 40}}, PageSize: 2 * mib, BufferSize: 2 * mib}, "at most 65534"},
		{Config{Files: []File{{Path: path + "/no/such", Size: 8 * mib}}, PageSize: 2 * mib, BufferSize: 2 * mib}, "no such file"},
	} {
		if _, err := Open(tt.cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.cfg, err, tt.want)
		}
	}
	l := openWith(t, Config{Files: files, PageSize: 2 * mib, BufferSize: 2 * mib})
	at := write(t, l, Default, "k", []byte("value"))
	if _, err := Open(l.cfg); err == nil || !strings.Contains(err.Error(), "another process uses it") {
		t.Errorf("%v", err)
	}
	if _, err := read(l, at, 5); err != nil {
		t.Errorf("the second has harmed the first: %v", err)
	}
}

// owner keeps what a cache would: a place for each key.
type owner struct {
	mu     sync.Mutex
	places map[string]Place
	seeds  map[string]uint64
	sizes  map[string]int
}

func (o *owner) forget(l *Log, key string) {
	if at, ok := o.places[key]; ok {
		l.Forget(at, RecordSize(len(key), o.sizes[key]))
		delete(o.places, key)
	}
}

// compact does one compaction if there is one to do; keep says which values are used.
func (o *owner) compact(t testing.TB, l *Log, how Policy, keep func(key string) bool) bool {
	plan, ok := l.Plan(how)
	if !ok {
		return false
	}
	buf := make([]byte, l.BufferSize())
	for from, more := int64(0), true; more; more = from != 0 {
		var err error
		from, err = l.Scan(plan, from, buf, func(at Place, key, v []byte) {
			o.mu.Lock()
			defer o.mu.Unlock()
			k := string(key)
			if o.places[k] != at {
				return
			}
			to := Compact
			if !keep(k) {
				if plan.Drop {
					o.forget(l, k)
					return
				}
				if plan.Cold {
					to = ColdCompact
				}
			} else if plan.Old {
				to = Old
			}
			now, ok := l.Write(to, key, v)
			if !ok {
				return // becomes a miss with the page
			}
			l.Forget(at, RecordSize(len(key), len(v)))
			o.places[k] = now
		})
		if errors.Is(err, ErrGone) {
			return true
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	l.Finish(plan)
	return true
}

// Random operations: a value is right or gone, never wrong, and the figures are those of what is there.
func TestModel(t *testing.T) {
	for _, how := range []Policy{
		{CompactUnder: 2, DropUnder: 1, MaxFrag: 0.8},
		{CompactUnder: 3, DropUnder: 2, MaxFrag: 0.3, DropUnread: true},
		{},
	} {
		for _, tiers := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+v,%v", how, tiers), func(t *testing.T) { model(t, how, tiers) })
		}
	}
}

func model(t *testing.T, how Policy, tiers bool) {
	dir := t.TempDir()
	files := []File{{Path: filepath.Join(dir, "1"), Size: 16 * mib}}
	if tiers {
		files = append(files, File{Path: filepath.Join(dir, "2"), Size: 8 * mib, Home: ColdCompact}, File{Path: filepath.Join(dir, "3"), Size: 8 * mib, Home: Old})
	}
	l := openWith(t, Config{PageSize: 4 * mib, BufferSize: 2 * mib, Files: files})
	rnd := rand.New(rand.NewPCG(7, uint64(how.CompactUnder)))
	o := &owner{places: map[string]Place{}, seeds: map[string]uint64{}, sizes: map[string]int{}}
	hits, gone, compactions := 0, 0, 0
	for step := range 2_000 {
		key := fmt.Sprint("key", rnd.IntN(400))
		switch at, known := o.places[key]; {
		case rnd.IntN(3) == 0 || !known:
			o.forget(l, key)
			o.seeds[key], o.sizes[key] = uint64(step), 1+rnd.IntN(90_000)
			at, ok := l.Write(Bucket(rnd.IntN(4))&^1, []byte(key), value(o.seeds[key], o.sizes[key]))
			if ok {
				o.places[key] = at
			}
		case rnd.IntN(4) == 0:
			o.forget(l, key)
		default:
			got, err := read(l, at, o.sizes[key])
			switch {
			case errors.Is(err, ErrGone):
				gone++
				delete(o.places, key)
			case err != nil || !bytes.Equal(got, value(o.seeds[key], o.sizes[key])):
				t.Fatalf("step %d: %s: %v", step, key, err)
			default:
				hits++
			}
		}
		if step%16 == 0 && o.compact(t, l, how, func(k string) bool { return k[len(k)-1]%2 == 0 }) {
			compactions++
		}
		if step%500 == 499 {
			o.checkFigures(t, l)
		}
	}
	if st := l.Stats(); hits == 0 || gone == 0 || st.PageReclaims == 0 || (how.CompactUnder > 0) != (compactions > 0) {
		t.Errorf("%d hits, %d gone, %d compactions, %+v", hits, gone, compactions, st)
	}
}

// checkFigures compares what the log says is in use with what is.
func (o *owner) checkFigures(t *testing.T, l *Log) {
	t.Helper()
	objects, size := uint64(0), uint64(0)
	for key, at := range o.places {
		if l.Valid(at) {
			objects++
			size += uint64(RecordSize(len(key), o.sizes[key]))
		}
	}
	st := l.Stats()
	if st.ObjectsUsed != objects || st.BytesUsed != size || st.PagesFree+st.PagesUsed != l.PageCount() {
		t.Fatalf("%+v; there are %d objects of %d bytes", st, objects, size)
	}
	free := 0
	for _, p := range l.Pages() {
		if p.Version == 0 {
			free++
		}
	}
	if free != st.PagesFree {
		t.Fatalf("%d pages are free, counted are %d", free, st.PagesFree)
	}
}

// Readers meet pages that are written, evicted and compacted at the same time.
func TestConcurrentReads(t *testing.T) {
	l := openLog(t, 4)
	o := &owner{places: map[string]Place{}, seeds: map[string]uint64{}, sizes: map[string]int{}}
	stop := make(chan struct{})
	var running sync.WaitGroup
	for reader := range 3 {
		running.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				key := fmt.Sprint((i*7 + reader) % 60)
				o.mu.Lock()
				at, ok := o.places[key]
				seed, size := o.seeds[key], o.sizes[key]
				o.mu.Unlock()
				if !ok {
					continue
				}
				done := make(chan error)
				got := make([]byte, size)
				l.Submit(func() { done <- l.Read(at, len(key), got) })
				if err := <-done; err == nil && !bytes.Equal(got, value(seed, size)) {
					t.Errorf("%s: wrong bytes", key)
					return
				} else if err != nil && !errors.Is(err, ErrGone) {
					t.Errorf("%s: %v", key, err)
					return
				}
			}
		})
	}
	for i := range 600 {
		key := fmt.Sprint(i % 60)
		v := value(uint64(i), 1+i*997%200_000)
		at, ok := l.Write(Default, []byte(key), v)
		o.mu.Lock()
		o.forget(l, key)
		if ok {
			o.places[key], o.seeds[key], o.sizes[key] = at, uint64(i), len(v)
		}
		o.mu.Unlock()
		if i%20 == 0 {
			o.compact(t, l, Policy{CompactUnder: 3, MaxFrag: 0.7}, func(string) bool { return true })
		}
	}
	close(stop)
	running.Wait()
}

// A page with a damaged record loses that one and those behind it in its buffer, and no others.
func TestScanOfADamagedPage(t *testing.T) {
	l := openWith(t, Config{PageSize: 4 * mib, BufferSize: 2 * mib, Files: []File{{Path: filepath.Join(t.TempDir(), "log"), Size: 8 * mib}}})
	v := value(6, 600_000)
	var places []Place
	for i := range 7 { // three in each buffer, the last in a page of its own
		places = append(places, write(t, l, Default, fmt.Sprint(i), v))
	}
	p := &l.pages[places[0].Page]
	for _, damage := range []struct {
		at   int64
		want int
	}{{int64(places[1].Offset) - 1, 1 + 3}, {int64(places[4].Offset) + 9, 1 + 3}} { // a key; a value, which Place.Sum tells
		if _, err := p.file.WriteAt([]byte{0xFF}, p.base+damage.at); err != nil {
			t.Fatal(err)
		}
		plan := Plan{Page: places[0].Page, Version: places[0].Version}
		seen, whole := 0, 0
		buf := make([]byte, l.BufferSize())
		for from, more := int64(0), true; more; more = from != 0 {
			var err error
			if from, err = l.Scan(plan, from, buf, func(at Place, key, got []byte) {
				seen++
				if at == places[key[0]-'0'] && bytes.Equal(got, v) {
					whole++
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		if seen != damage.want || whole > seen || damage.at > mib && whole != seen-1 {
			t.Errorf("%+v: %d records, %d whole", damage, seen, whole)
		}
	}
}
