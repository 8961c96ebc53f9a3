package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"regexp"
)

// model is what a store should be: a map and a clock. It does every operation on the store as well and compares.
// Failures are panics with a modelError, so that it serves property tests and fuzzing alike.
type model struct {
	s       *Store
	clock   *clock
	items   map[string]modelItem
	flushAt int64
	lastCAS uint64
	lost    uint64 // items that the store no longer had
	evicted uint64 // evictions before the last restart
	held    []heldItem
}

type modelItem struct {
	value   []byte
	flags   uint32
	exptime int64
	cas     uint64
}

// heldItem is an Item that is kept for a while, and what its value has to be.
type heldItem struct {
	it   Item
	want []byte
}

type modelError string

func newModel(s *Store, clock *clock) *model {
	return &model{s: s, clock: clock, items: map[string]modelItem{}}
}

func failf(format string, args ...any) { panic(modelError(fmt.Sprintf(format, args...))) }

// find returns the live item of a key.
func (m *model) find(key string) (modelItem, bool) {
	now := m.clock.now()
	if m.flushAt != 0 && now >= m.flushAt {
		m.flushAt = 0
		clear(m.items)
	}
	it, ok := m.items[key]
	if ok && it.exptime != 0 && it.exptime <= now {
		delete(m.items, key)
		return it, false
	}
	return it, ok
}

// lose takes note that the store has no item where the model has one: only an eviction excuses that.
func (m *model) lose(key string) {
	delete(m.items, key)
	m.lost++
	if evicted := m.evicted + m.s.Stats().Evictions; m.lost > evicted {
		failf("%q is gone: %d items lost, %d evicted", key, m.lost, evicted)
	}
}

// present is find, but if the store has lost the item, so has the model.
func (m *model) present(key string) (modelItem, bool) {
	want, ok := m.find(key)
	it, got := m.s.Get([]byte(key))
	switch {
	case got && !ok:
		failf("get %q: %s, want a miss", key, abbreviate(valueOf(it)))
	case ok && !got:
		m.lose(key)
		return want, false
	case !ok:
		return want, false
	}
	defer it.Release()
	m.compare(key, it, want)
	return want, true
}

func (m *model) compare(key string, it Item, want modelItem) {
	value := valueOf(it)
	if !bytes.Equal(value, want.value) || it.Len() != len(want.value) {
		failf("get %q: %s, want %s", key, abbreviate(value), abbreviate(want.value))
	}
	if whole, ok := it.Bytes(); ok && !bytes.Equal(whole, want.value) {
		failf("get %q: Bytes gives %s", key, abbreviate(whole))
	}
	if it.Flags() != want.flags || it.Exptime() != want.exptime || it.CAS() != want.cas {
		failf("get %q: flags %d exptime %d cas %d, want %+v", key, it.Flags(), it.Exptime(), it.CAS(), want)
	}
}

func (m *model) checkCAS(cas uint64) {
	if m.s.cfg.NoCAS {
		if cas != 0 {
			failf("CAS id %d without CAS", cas)
		}
		return
	}
	if cas <= m.lastCAS {
		failf("CAS id %d after %d", cas, m.lastCAS)
	}
	m.lastCAS = cas
}

// put stores a value in a mode. rightCAS makes mode CAS succeed where it can.
func (m *model) put(mode Mode, key string, value []byte, flags uint32, exptime int64, rightCAS bool) {
	p, err := m.s.Alloc([]byte(key), flags, exptime, len(value))
	if err != nil {
		m.checkAllocError(err, len(key), flags, len(value))
		return
	}
	if n := p.Write(value); n != len(value) || p.Remaining() != 0 {
		failf("wrote %d of %d bytes, %d remain", n, len(value), p.Remaining())
	}
	old, ok := m.present(key) // only now: Alloc may have evicted it
	cas := uint64(0)
	if mode == CAS {
		cas = old.cas + 1
		if rightCAS {
			cas = old.cas
		}
	}
	want := wantStatus(mode, ok, cas == old.cas)
	stored := modelItem{value: value, flags: flags, exptime: exptime}
	if want == Stored && (mode == Append || mode == Prepend) {
		stored = joined(mode, old, value)
		if !m.s.fits(len(key), stored.flags, len(stored.value)) {
			want = TooLarge
		}
	}
	status, id := p.Commit(mode, cas)
	if want == Stored && (mode == Append || mode == Prepend) {
		switch status {
		case NoMemory:
			return
		case NotStored: // the memory for the joined item came from the present one
			m.lose(key)
			return
		}
	}
	if status != want {
		failf("put mode %d %q: status %d, want %d", mode, key, status, want)
	}
	if status == Stored {
		m.checkCAS(id)
		stored.cas = id
		m.items[key] = stored
	}
}

func joined(mode Mode, old modelItem, value []byte) modelItem {
	if mode == Append {
		old.value = append(bytes.Clone(old.value), value...)
	} else {
		old.value = append(bytes.Clone(value), old.value...)
	}
	return old
}

func (m *model) checkAllocError(err error, keyLen int, flags uint32, size int) {
	fits := m.s.fits(keyLen, flags, size)
	switch {
	case errors.Is(err, ErrTooLarge) && !fits:
	case errors.Is(err, ErrNoMemory) && fits && (m.s.cfg.NoEvict || len(m.held) > 0):
	default:
		failf("alloc of %d bytes: %v (fits: %v)", size, err, fits)
	}
}

func wantStatus(mode Mode, present, sameCAS bool) Status {
	switch {
	case mode == CAS && !present:
		return NotFound
	case mode == CAS && !sameCAS:
		return Exists
	case mode == Add && present:
		return NotStored
	case (mode == Replace || mode == Append || mode == Prepend) && !present:
		return NotStored
	}
	return Stored
}

func (m *model) get(key string) { m.present(key) }

func (m *model) hold(key string) {
	want, ok := m.present(key)
	if !ok || len(m.held) >= 8 {
		return
	}
	it, ok := m.s.Get([]byte(key))
	if !ok {
		failf("get %q right after a hit: miss", key)
	}
	m.held = append(m.held, heldItem{it, want.value})
}

// release gives the oldest held item back; its value must be what it was, whatever became of the key.
func (m *model) release() {
	if len(m.held) == 0 {
		return
	}
	h := m.held[0]
	m.held = m.held[1:]
	if got := valueOf(h.it); !bytes.Equal(got, h.want) {
		failf("a held value has become %s, was %s", abbreviate(got), abbreviate(h.want))
	}
	h.it.Release()
}

func (m *model) touch(key string, exptime int64, get bool) {
	want, ok := m.present(key)
	if get {
		it, got := m.s.GetAndTouch([]byte(key), exptime)
		if got != ok {
			failf("get and touch %q: %v, want %v", key, got, ok)
		}
		if got {
			want.exptime = exptime
			m.compare(key, it, want)
			it.Release()
		}
	} else if got := m.s.Touch([]byte(key), exptime); (got == Stored) != ok {
		failf("touch %q: status %d, present %v", key, got, ok)
	}
	if ok {
		want.exptime = exptime
		m.items[key] = want
	}
}

func (m *model) delete(key string) {
	_, ok := m.present(key)
	if got := m.s.Delete([]byte(key)); (got == Stored) != ok {
		failf("delete %q: status %d, present %v", key, got, ok)
	}
	delete(m.items, key)
}

var number = regexp.MustCompile(`^[ \t\n\v\f\r]*([+]?[0-9]+)([ \t\n\v\f\r][\s\S]*)?$`)

func (m *model) delta(key string, delta uint64, decr bool) {
	old, ok := m.present(key)
	value, cas, status := m.s.Delta([]byte(key), delta, decr, 0)
	if !ok {
		if status != NotFound {
			failf("delta %q: status %d for a missing item", key, status)
		}
		return
	}
	two64 := new(big.Int).Lsh(big.NewInt(1), 64)
	n := new(big.Int)
	match := number.FindSubmatch(old.value)
	if match != nil {
		n.SetString(string(bytes.TrimPrefix(match[1], []byte("+"))), 10)
	}
	chained := m.s.layoutOf(len(key), old.flags, len(old.value)).state&bitChained != 0
	if match == nil || chained || n.Cmp(two64) >= 0 {
		if status != NonNumeric {
			failf("delta of %q: status %d", old.value, status)
		}
		return
	}
	switch status {
	case NoMemory:
		return
	case NotFound: // as in put
		m.lose(key)
		return
	}
	d := new(big.Int).SetUint64(delta)
	if decr {
		n.Sub(n, d)
		if n.Sign() < 0 {
			n.SetInt64(0)
		}
	} else {
		n.Add(n, d).Mod(n, two64)
	}
	if status != Stored || value != n.Uint64() {
		failf("delta of %q by %d: %d, status %d, want %d", old.value, delta, value, status, n)
	}
	m.checkCAS(cas)
	old.value = fmt.Appendf(nil, "%-*s", len(old.value), n.String())
	old.cas = cas
	m.items[key] = old
}

func (m *model) flush(after int64) {
	m.s.FlushAll(m.clock.now() + after)
	m.find("")
	m.flushAt = m.clock.now() + after
	m.find("")
}

// walk compares a walk with the model: each live item once, and nothing else.
func (m *model) walk() {
	seen := map[string]bool{}
	m.s.Walk(func(key []byte, it ItemInfo) bool {
		want, ok := m.find(string(key))
		switch {
		case !ok:
			failf("walk: %q is not there", key)
		case seen[string(key)]:
			failf("walk: %q twice", key)
		case it.Len != len(want.value) || it.Flags != want.flags || it.Exptime != want.exptime || it.CAS != want.cas:
			failf("walk: %q: %+v, want %+v", key, it, want)
		}
		seen[string(key)] = true
		return true
	})
	for key := range m.items {
		if _, ok := m.find(key); ok && !seen[key] {
			m.lose(key)
		}
	}
}

// finish compares all that is left.
func (m *model) finish() {
	for len(m.held) > 0 {
		m.release()
	}
	m.walk()
	for key := range m.items {
		m.present(key)
	}
}
