package store

import "math"

// How items move on from segment to segment: memcached's rules for its LRU maintainer.

// bounds are what the hot and the warm items of a class may have before they have to move on.
type bounds struct {
	bytes [segments]uint64
	age   [segments]float64 // seconds since the last use
	eager bool              // an active item at the end of a list moves though nothing has to
}

// forever is an age that nothing reaches.
const forever = math.MaxFloat64

// boundsOf returns a class's present bounds. The caller holds the class's lock.
func (s *Store) boundsOf(k *class, p *LRU) (b bounds) {
	total := k.lists[hot].bytes + k.lists[warm].bytes + k.lists[cold].bytes
	b.bytes[hot], b.bytes[warm] = total*uint64(p.HotPercent)/100, total*uint64(p.WarmPercent)/100
	b.age[hot], b.age[warm] = forever, forever
	return b
}

// pull moves the last item of the hot or the warm list on if it is beyond the bounds, and tells whether it did. The caller holds the
// class's lock.
func (s *Store) pull(k *class, p *LRU, from segment, b *bounds, now uint32) bool {
	l := &k.lists[from]
	if l.tail == 0 {
		return false
	}
	r, c := l.tail, s.at(l.tail)
	beyond := !p.Segmented || l.bytes > b.bytes[from] || float64(age(c, now)) > b.age[from]
	switch {
	case p.Segmented && (beyond || b.eager) && c.active():
		s.rescue(k, r, c)
	case beyond:
		k.moves.toCold++
		s.move(k, r, c, cold)
	default:
		return false
	}
	return true
}

// juggle moves up to n hot and warm items on, and returns how many it has moved. The caller holds the class's lock.
func (s *Store) juggle(k *class, p *LRU, n int, b *bounds, now uint32) (moved int) {
	for moved < n {
		before := moved
		for _, from := range [...]segment{hot, warm} {
			if s.pull(k, p, from, b, now) {
				moved++
			}
		}
		if moved == before {
			break
		}
	}
	return moved
}

// rescueColdest makes the coldest items of a class warm as long as they are active, n at most, and returns how many. The caller
// holds the class's lock.
func (s *Store) rescueColdest(k *class, n int) (moved int) {
	for ; moved < n; moved++ {
		r := k.lists[cold].tail
		if r == 0 || !s.at(r).active() {
			break
		}
		s.rescue(k, r, s.at(r))
	}
	return moved
}

// What a juggle may do at once: for a store that wants memory, and in the background: under one hold of a class's lock, and in a call.
const (
	juggleForStore = 4
	juggleBatch    = 64
	juggleBatches  = 80
	juggleReaped   = 1_000
)

// JuggleClass moves the hot, warm and cold items of a class on where they have to, some thousands at most, removes dead ones that have
// come to the end of their list, and returns how many of either there were. A server calls it for each class, often while there is
// something to do and about once a second else; without it segments change only when memory is wanted. id is 1 to ClassesMax.
func (s *Store) JuggleClass(id int) (moved int) {
	if id >= len(s.classes) || s.classes[id].pages.Load() == 0 {
		return 0
	}
	k, p, now := &s.classes[id], s.lru.Load(), s.now()
	moved = s.reap(k, juggleReaped, now)
	for range juggleBatches {
		k.mu.Lock()
		b := s.boundsOf(k, p)
		coldest := float64(s.tailAge(k, cold, now))
		b.age[hot], b.age[warm], b.eager = coldest*p.HotMaxFactor, coldest*p.WarmMaxFactor, true
		n := s.juggle(k, p, juggleBatch, &b, now)
		if p.Segmented {
			n += s.rescueColdest(k, juggleBatch)
		}
		k.mu.Unlock()
		if moved += n; n < juggleBatch {
			break
		}
	}
	return moved
}
