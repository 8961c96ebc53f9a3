package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// A selfTelling value proves that it is whole and belongs to its key: length, checksum over the rest, key, filling.
const selfTellingHead = 8

func selfTelling(key string, size int, rnd *rand.Rand) []byte {
	b := make([]byte, selfTellingHead, selfTellingHead+len(key)+size)
	b = append(b, key...)
	fill := byte(rnd.Uint32())
	for i := range size {
		b = append(b, fill+byte(i))
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)))
	binary.LittleEndian.PutUint32(b[4:], crc32.ChecksumIEEE(b[selfTellingHead:]))
	return b
}

// checkSelfTelling looks at each of the values that a joined value consists of.
func checkSelfTelling(key string, value []byte) error {
	for len(value) > 0 {
		if len(value) < selfTellingHead+len(key) {
			return fmt.Errorf("%q: %d bytes left over", key, len(value))
		}
		size := binary.LittleEndian.Uint32(value)
		if int(size) > len(value) || int(size) < selfTellingHead+len(key) {
			return fmt.Errorf("%q: says that it has %d bytes, of %d", key, size, len(value))
		}
		body := value[selfTellingHead:size]
		if string(body[:len(key)]) != key {
			return fmt.Errorf("%q: holds the value of %q", key, body[:len(key)])
		}
		if sum := crc32.ChecksumIEEE(body); sum != binary.LittleEndian.Uint32(value[4:]) {
			return fmt.Errorf("%q: a torn value of %d bytes", key, size)
		}
		value = value[size:]
	}
	return nil
}

// worker does random operations on a store that it shares, and checks every value that it reads, some of them long
// after.
type worker struct {
	s    *Store
	rnd  *rand.Rand
	held []heldKey
}

type heldKey struct {
	key string
	it  Item
}

func (w *worker) key() string {
	// A few keys are fought over, the others fill the memory.
	if w.rnd.IntN(4) == 0 {
		return fmt.Sprintf("hot%d", w.rnd.IntN(4))
	}
	return fmt.Sprintf("key%d", w.rnd.IntN(300))
}

func (w *worker) size() int {
	switch w.rnd.IntN(10) {
	case 0:
		return w.rnd.IntN(200_000)
	case 1, 2:
		return w.rnd.IntN(20_000)
	default:
		return w.rnd.IntN(500)
	}
}

func (w *worker) put() error {
	key := w.key()
	mode := []Mode{Set, Set, Set, Add, Replace, Append, Prepend}[w.rnd.IntN(7)]
	exptime := int64(0)
	if w.rnd.IntN(3) == 0 {
		exptime = w.s.cfg.Now() + w.rnd.Int64N(5)
	}
	_, _, err := put(w.s, mode, key, selfTelling(key, w.size(), w.rnd), w.rnd.Uint32N(2), exptime, 0)
	if errors.Is(err, ErrNoMemory) {
		return nil
	}
	return err
}

func (w *worker) get() error {
	key := w.key()
	it, ok := w.s.Get([]byte(key))
	if !ok {
		return nil
	}
	if len(w.held) < 6 && w.rnd.IntN(3) == 0 {
		w.held = append(w.held, heldKey{key, it})
		return nil
	}
	defer it.Release()
	return checkSelfTelling(key, valueOf(it))
}

func (w *worker) release() error {
	if len(w.held) == 0 {
		return nil
	}
	h := w.held[0]
	w.held = w.held[1:]
	defer h.it.Release()
	return checkSelfTelling(h.key, valueOf(h.it))
}

func (w *worker) step() error {
	switch n := w.rnd.IntN(1000); {
	case n < 400:
		return w.put()
	case n < 800:
		return w.get()
	case n < 900:
		return w.release()
	case n < 950:
		w.s.Delete([]byte(w.key()))
	case n < 980:
		w.s.Touch([]byte(w.key()), w.s.cfg.Now()+w.rnd.Int64N(100))
	case n < 983:
		w.s.FlushAll(w.s.cfg.Now() + w.rnd.Int64N(3))
	case n < 986:
		w.s.Walk(func(key []byte, it ItemInfo) bool { return w.rnd.IntN(100) != 0 })
	case n < 990:
		if err := w.s.SetMemoryLimit(2<<20 + w.rnd.Int64N(4<<20)); err != nil {
			return err
		}
		w.s.Maintain()
	case n < 995:
		w.s.Stats()
		w.s.ClassStats()
		w.s.ItemStats()
	default:
		if p, err := w.s.Alloc([]byte(w.key()), 0, 0, w.size()); err == nil {
			p.Abort()
		}
	}
	return nil
}

// TestConcurrentUse lets goroutines fight over a memory that is far too small. No value may ever be torn or another
// key's, and what remains must be in order.
func TestConcurrentUse(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprint("keep ", keep), func(t *testing.T) { concurrentUse(t, keep) })
	}
}

func concurrentUse(t *testing.T, keep bool) {
	clock := newClock()
	s := newStore(t, Config{MemoryLimit: 4 << 20, SlabChunkMax: 64 << 10, Now: clock.now})
	s.SetAutomove(Automove{Keep: keep})
	const workers, steps = 6, 6_000
	var wg sync.WaitGroup
	for i := range uint64(workers) {
		wg.Go(func() {
			w := &worker{s: s, rnd: rand.New(rand.NewPCG(i, 1))}
			for n := range steps {
				if n%200 == 0 {
					clock.add(1)
				}
				if err := w.step(); err != nil {
					t.Error(err)
					break
				}
			}
			for len(w.held) > 0 {
				if err := w.release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	checkInvariants(t, s, 0)
	st := s.Stats()
	if st.Evictions == 0 || st.PagesDrained == 0 || st.Reclaimed == 0 {
		t.Errorf("the test has not reached what it is for: %+v", st)
	}
}

// TestConcurrentCounting checks that no increment is lost, in place or not: readers hold the counter, and another writer
// lengthens it.
func TestConcurrentCounting(t *testing.T) {
	s := newStore(t, Config{})
	set(t, s, "n", []byte("0"))
	var added atomic.Uint64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range uint64(2_000) {
				it, ok := s.Get([]byte("n"))
				if _, _, st := s.Delta([]byte("n"), i, false, 0); st != Stored || !ok {
					t.Errorf("status %d, found %v", st, ok)
				}
				added.Add(i)
				it.Release()
			}
		})
	}
	wg.Wait()
	wantValue(t, s, "n", fmt.Append(nil, added.Load()))
	checkInvariants(t, s, 0)
}

// TestConcurrentAppends checks that joining loses nothing: every appended byte is there in the end.
func TestConcurrentAppends(t *testing.T) {
	s := newStore(t, Config{SlabChunkMax: 4 << 10})
	set(t, s, "k", nil)
	const workers, each = 4, 300
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for range each {
				mode := Append + Mode(i%2)
				if status, _, err := put(s, mode, "k", []byte{byte('a' + i), '0'}, 0, 0, 0); err != nil || status != Stored {
					t.Errorf("status %d, %v", status, err)
				}
			}
		})
	}
	wg.Wait()
	got, _ := get(s, "k")
	counts := map[byte]int{}
	for i := 0; i+1 < len(got); i += 2 {
		counts[got[i]]++
	}
	for i := range workers {
		if n := counts[byte('a'+i)]; n != each {
			t.Errorf("%d of %d pieces of writer %d", n, each, i)
		}
	}
	checkInvariants(t, s, 0)
}
