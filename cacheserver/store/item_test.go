package store

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// TestHeldItemStaysWhole does to a key, while its item is held, everything that takes the item away.
func TestHeldItemStaysWhole(t *testing.T) {
	crowd := func(t *testing.T, s *Store) {
		for i := range 3_000 {
			set(t, s, fmt.Sprint("crowd", i), pattern(i, 3_000))
		}
	}
	events := map[string]func(t *testing.T, s *Store){
		"delete":  func(t *testing.T, s *Store) { s.Delete([]byte("k")) },
		"drop":    func(t *testing.T, s *Store) { s.Drop([]byte("k")) },
		"set":     func(t *testing.T, s *Store) { set(t, s, "k", pattern(2, 3_000)) },
		"append":  func(t *testing.T, s *Store) { put(s, Append, "k", []byte("more"), 0, 0, 0) },
		"expire":  func(t *testing.T, s *Store) { s.Touch([]byte("k"), 1); wantMiss(t, s, "k") },
		"evict":   crowd,
		"flush":   func(t *testing.T, s *Store) { s.FlushAll(0); crowd(t, s) },
		"release": func(t *testing.T, s *Store) { it, _ := s.Get([]byte("k")); it.Release() },
		"shrink": func(t *testing.T, s *Store) {
			crowd(t, s)
			if err := s.SetMemoryLimit(3 << 20); err != nil {
				t.Fatal(err)
			}
			for s.Maintain() {
			}
			crowd(t, s)
		},
	}
	for _, size := range []int{3_000, 300_000} {
		for name, event := range events {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				s := newStore(t, Config{MemoryLimit: 4 << 20, SlabChunkMax: 16 << 10})
				set(t, s, "k", pattern(1, size))
				it, ok := s.Get([]byte("k"))
				if !ok {
					t.Fatal("just stored, and gone")
				}
				event(t, s)
				set(t, s, "another", pattern(3, 3_000))
				if !bytes.Equal(valueOf(it), pattern(1, size)) || it.Len() != size {
					t.Error("the held value has changed")
				}
				it.Release()
				checkInvariants(t, s, 0)
			})
		}
	}
}

// TestHeldNumberStaysWhole is the one change in place: it must not happen while a reader looks.
func TestHeldNumberStaysWhole(t *testing.T) {
	s := newStore(t, Config{})
	set(t, s, "n", []byte("10"))
	it, _ := s.Get([]byte("n"))
	if _, _, status := s.Delta([]byte("n"), 1, true, 0); status != Stored {
		t.Fatalf("status %d", status)
	}
	if got := valueOf(it); string(got) != "10" {
		t.Errorf("held value has become %q", got)
	}
	it.Release()
	wantValue(t, s, "n", []byte("9 "))
	checkInvariants(t, s, 0)
}

func TestSegments(t *testing.T) {
	const largest = 4 << 10
	s := newStore(t, Config{SlabChunkMax: largest})
	const head = largest - headerSize - casSize - len("k") // value bytes of an unchained item
	for _, tt := range []struct{ size, pieces int }{
		{0, 0}, {1, 1}, {head, 1},
		{head + 1, 2},
		{head - chainSize + largest - pieceHeaderSize, 2},
		{head - chainSize + largest - pieceHeaderSize + 1, 3},
		{100_000, 25},
	} {
		set(t, s, "k", pattern(1, tt.size))
		wantValue(t, s, "k", pattern(1, tt.size))
		it, _ := s.Get([]byte("k"))
		if got := len(it.Segments(nil)); got != tt.pieces {
			t.Errorf("%d bytes: %d pieces, want %d", tt.size, got, tt.pieces)
		}
		whole, ok := it.Bytes()
		if ok != (tt.pieces <= 1) || (ok && !bytes.Equal(whole, pattern(1, tt.size))) {
			t.Errorf("%d bytes: Bytes gives %d, %v", tt.size, len(whole), ok)
		}
		it.Release()
	}
}

// TestThousandsOfJoins grows a chained value at both ends and compares every byte.
func TestThousandsOfJoins(t *testing.T) {
	s := newStore(t, Config{SlabChunkMax: 4 << 10})
	put(s, Set, "k", nil, 7, 0, 0)
	var want []byte
	for i := range 8_000 {
		add := fmt.Append(nil, i%10)
		mode := Append + Mode(i%2)
		if mode == Append {
			want = append(want, add...)
		} else {
			want = append(add, want...)
		}
		if status, _, err := put(s, mode, "k", add, 1, 5, 0); status != Stored || err != nil {
			t.Fatalf("step %d: status %d, %v", i, status, err)
		}
	}
	wantValue(t, s, "k", want)
	it, _ := s.Get([]byte("k"))
	if it.Flags() != 7 || it.Exptime() != 0 {
		t.Errorf("flags %d, exptime %d: want those of the first set", it.Flags(), it.Exptime())
	}
	it.Release()
	checkInvariants(t, s, 0)
}

// TestSizeLimit holds the sizes that memcached 1.6 takes, found by trying.
func TestSizeLimit(t *testing.T) {
	for _, tt := range []struct {
		cfg     Config
		key     string
		flags   uint32
		largest int
	}{
		{Config{}, "k", 0, 1048516},
		{Config{}, "k", 1, 1048512},
		{Config{}, "kkkkkkkkkk", 0, 1048507},
		{Config{NoCAS: true}, "k", 0, 1048524},
		{Config{ItemSizeMax: 64 << 10}, "k", 0, 64<<10 - 60},
	} {
		s := newStore(t, tt.cfg)
		if _, _, err := put(s, Set, tt.key, pattern(1, tt.largest), tt.flags, 0, 0); err != nil {
			t.Errorf("%+v: %d bytes: %v", tt.cfg, tt.largest, err)
		} else if status, _, _ := put(s, Append, tt.key, []byte("x"), 0, 0, 0); status != TooLarge {
			t.Errorf("%+v: append to the largest item: status %d", tt.cfg, status)
		}
		if _, err := s.Alloc([]byte(tt.key), tt.flags, 0, tt.largest+1); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%+v: %d bytes: %v", tt.cfg, tt.largest+1, err)
		}
		if len(tt.key) == 1 {
			wantValue(t, s, tt.key, pattern(1, tt.largest))
		}
	}
}

func TestKeys(t *testing.T) {
	s := newStore(t, Config{KeyMax: 8000})
	for _, n := range []int{1, 250, 251, 8000} {
		set(t, s, string(pattern(n, n)), pattern(n, 50))
		wantValue(t, s, string(pattern(n, n)), pattern(n, 50))
	}
	for _, key := range [][]byte{nil, {}, make([]byte, 8001)} {
		if _, err := s.Alloc(key, 0, 0, 1); !errors.Is(err, ErrKey) {
			t.Errorf("key of %d bytes: %v", len(key), err)
		}
		if _, ok := s.Get(key); ok {
			t.Errorf("key of %d bytes is found", len(key))
		}
	}
}

// TestWritingInSteps fills values through Next and Advance, as from a socket.
func TestWritingInSteps(t *testing.T) {
	s := newStore(t, Config{SlabChunkMax: 1 << 10})
	for _, size := range []int{0, 1, 900, 5_000} {
		want := pattern(2, size)
		p, err := s.Alloc([]byte("k"), 0, 0, size)
		if err != nil {
			t.Fatal(err)
		}
		for rest := want; p.Remaining() > 0; {
			n := copy(p.Next()[:min(7, len(p.Next()))], rest)
			p.Advance(n)
			rest = rest[n:]
		}
		if len(p.Next()) != 0 || p.Write([]byte("x")) != 0 {
			t.Errorf("%d bytes: room beyond the value", size)
		}
		p.Commit(Set, 0)
		wantValue(t, s, "k", want)
	}
}

func TestCommitOfAnUnfinishedValuePanics(t *testing.T) {
	s := newStore(t, Config{})
	p, err := s.Alloc([]byte("k"), 0, 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
		p.Abort()
	}()
	p.Write([]byte("x"))
	p.Commit(Set, 0)
}

// TestReferencesRunOut checks that the count of references never spills into the other bits of the state.
func TestReferencesRunOut(t *testing.T) {
	s := newStore(t, Config{})
	set(t, s, "k", []byte("v"))
	it, _ := s.Get([]byte("k"))
	it.c.state().Add(refMask - 2)
	wantMiss(t, s, "k")
	if _, ok := s.GetAndTouch([]byte("k"), 0); ok {
		t.Error("found with all references taken")
	}
	it.c.state().Add(^uint32(refMask - 3))
	it.Release()
	wantValue(t, s, "k", []byte("v"))
	checkInvariants(t, s, 0)
}

// TestCASOfOtherModes checks the CAS id that the binary and meta protocols may give with any store.
func TestCASOfOtherModes(t *testing.T) {
	s := newStore(t, Config{})
	for mode := Set; mode <= CAS; mode++ {
		want := NotFound
		if mode == Append || mode == Prepend {
			want = NotStored // there is nothing to join to, whatever its id
		}
		if status, _, _ := put(s, mode, "absent", nil, 0, 0, 9); status != want {
			t.Errorf("mode %d on a missing item: status %d", mode, status)
		}
		id := set(t, s, "k", []byte("1"))
		if status, _, _ := put(s, mode, "k", nil, 0, 0, id+1); status != Exists {
			t.Errorf("mode %d with another id: status %d", mode, status)
		}
		if status, newID, _ := put(s, mode, "k", []byte("2"), 0, 0, id); mode != Add && (status != Stored || newID <= id) {
			t.Errorf("mode %d with the id: status %d, new id %d after %d", mode, status, newID, id)
		}
	}
}
