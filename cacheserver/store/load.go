package store

import (
	"errors"

	"pagegate/cacheserver/extstore"
)

// OnDisk tells whether the item's value is on disk: Bytes and Segments have nothing of it then; see Load.
func (it Item) OnDisk() bool { return it.c.onDisk() }

// Load is the reading of a value from disk into memory that NewLoad takes for it. One goroutine uses it, and none between Start and
// the call of done.
type Load struct {
	s       *Store
	header  Item
	target  Item
	outcome LoadOutcome
}

// LoadOutcome is what came of a Load.
type LoadOutcome uint8

// Outcomes of a Load.
const (
	Loaded   LoadOutcome = iota
	Recached             // loaded, and in memory again from here on
	Lost                 // the value is no longer on disk: the item was removed
	Damaged              // it is not as it was written: the item was removed
)

// NewLoad takes memory for the value of an item that is OnDisk. It evicts others of its slab class for that, and of other classes only
// where pages move by themselves (see Automove). It takes over the item's reference; false, when there is no memory, leaves it to the caller.
func (s *Store) NewLoad(it Item) (*Load, bool) {
	far := withinOwn
	if s.Automove().Level > 0 {
		far = anywhere
	}
	r, c := s.allocItemFrom(it.c.key(), it.Flags(), it.exptime, it.Len(), s.now(), far)
	if r == 0 {
		return nil, false
	}
	return &Load{s: s, header: it, target: Item{s: s, c: c, cas: it.cas, r: r, exptime: it.exptime}}, true
}

// Item returns the item with its value, which has been read once done was called; Outcome tells whether it has come. The caller must
// Release it, not before that.
func (l *Load) Item() Item { return l.target }

// Outcome tells what came of the reading, once done was called.
func (l *Load) Outcome() LoadOutcome { return l.outcome }

// Abort gives up a Load that was not started. The Item is still the caller's to Release.
func (l *Load) Abort() { l.header.Release() }

// tryMost is how many bytes a value may have that Try reads: that is to take no longer than an answer from memory.
const tryMost = 64 << 10

// Try reads the value if that takes no wait for the disk, and tells whether the Load has ended. If not it is to be started.
func (l *Load) Try() bool {
	if l.target.Len() > tryMost {
		return false
	}
	at := l.s.placeNow(l.header)
	if at == moving || !l.s.disk.log.TryRead(at, l.header.c.keyLen(), l.target.Segments(nil)...) {
		return false
	}
	l.ended()
	return true
}

// ended is what comes of a value that has been read.
func (l *Load) ended() {
	l.outcome = Loaded
	if l.s.recache(l) {
		l.outcome = Recached
	}
	l.header.Release()
}

// Start begins to read, and has done called from another goroutine when that has ended.
func (l *Load) Start(done func()) {
	l.s.disk.log.Submit(func() {
		l.s.load(l)
		done()
	})
}

// load reads the value, from another place when it was moved meanwhile.
func (s *Store) load(l *Load) {
	into := l.target.Segments(nil)
	at := s.placeOf(l.header)
	for {
		err := s.disk.log.Read(at, l.header.c.keyLen(), into...)
		if err == nil {
			l.ended()
			return
		}
		if now := s.placeOf(l.header); now != at {
			at = now
			continue
		}
		s.lose(l.header, at)
		l.outcome = Damaged
		if errors.Is(err, extstore.ErrGone) {
			l.outcome = Lost
		}
		l.header.Release()
		return
	}
}

// placeOf returns where the value of an item is by now. If it is being moved it waits for that.
func (s *Store) placeOf(it Item) extstore.Place {
	at := s.placeNow(it)
	if at == moving {
		s.disk.mu.Lock()
		defer s.disk.mu.Unlock()
		at = s.placeNow(it)
	}
	return at
}

// placeNow returns where the value of an item is, which may be moving.
func (s *Store) placeNow(it Item) extstore.Place {
	st := s.index.stripe(s.hash(it.c.key()))
	st.mu.Lock()
	defer st.mu.Unlock()
	return it.c.place(it.c.state().Load())
}

// lose removes an item whose value cannot be had, if it is still there and its value still at that place.
func (s *Store) lose(it Item, at extstore.Place) {
	hash := s.hash(it.c.key())
	st := s.index.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	if state := it.c.state().Load(); state&bitLinked != 0 && it.c.place(state) == at {
		s.unlink(st, hash, it.r, it.c)
	}
}

// recache puts what was loaded in the place of the item, now and then, if it was used at least twice, the last time within a
// minute.
func (s *Store) recache(l *Load) bool {
	rate := s.disk.policy.Load().RecacheRate
	if rate == 0 {
		return false
	}
	now, c, to := s.now(), l.header.c, l.target
	hash := s.hash(c.key())
	st := s.index.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	const used = bitLinked | bitFetched | bitActive
	if c.state().Load()&used != used || age(c, now) >= bumpInterval || s.conditionOf(c, now) != alive {
		return false
	}
	if (s.disk.turn.Add(1)-1)%rate != 0 || !to.c.tryPin() {
		return false
	}
	s.succeed(st, hash, l.header.r, c, to.r, to.c, now)
	return true
}
