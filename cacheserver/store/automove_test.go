package store

import (
	"fmt"
	"testing"
)

// A site's pages change their size: the memory is full of small items that nobody asks for any more, and the large ones are few
// enough to fit, but for their class's one page they would push out each other. Level by level: how many are kept.
func TestChangedSizeDoesNotStarve(t *testing.T) {
	for level, kept := range map[int][2]int{0: {0, 80}, 1: {100, 400}, 2: {400, 400}} {
		t.Run(fmt.Sprint(level), func(t *testing.T) {
			clock := newClock()
			s := newStore(t, Config{MemoryLimit: 12 << 20, LRU: segmented, Now: clock.now})
			s.SetAutomove(Automove{Level: level})
			put(s, Set, "first", make([]byte, 16_000), 0, 0, 0) // the class has a page
			for i := range 120_000 {
				set(t, s, fmt.Sprint("small", i), make([]byte, 100))
			}
			clock.add(1_000)
			const pages = 400
			misses := 0
			for second := range 30 {
				misses = 0
				for i := range pages {
					key := fmt.Sprint("large", i)
					if _, ok := get(s, key); !ok {
						misses++
						set(t, s, key, make([]byte, 16_000))
						giveWanted(t, s)
					}
				}
				clock.add(1)
				juggle(s)
				s.MovePages()
				if level == 1 && second < 9 && s.MoveStats().Moved > 0 {
					t.Fatal("a page has moved before the want has lasted")
				}
			}
			if n := pages - misses; n < kept[0] || n > kept[1] {
				t.Errorf("%d of %d pages are found, want %d to %d", n, pages, kept[0], kept[1])
			}
			if s.Stats().CurrItems < 1_000 {
				t.Error("all the small ones are gone")
			}
			checkInvariants(t, s, 0)
		})
	}
}

// giveWanted gives a class the page that it has asked for, if any has.
func giveWanted(t *testing.T, s *Store) {
	select {
	case class := <-s.Wanted():
		s.Reassign(-1, class)
		moveOn(t, s)
	default:
	}
}

// While there is memory, or none may be lost, or all items are of one age, no page moves.
func TestAutomoveLetsBe(t *testing.T) {
	for name, cfg := range map[string]Config{"roomy": {MemoryLimit: 64 << 20}, "no evict": {MemoryLimit: 8 << 20, NoEvict: true}, "one age": {MemoryLimit: 8 << 20}} {
		t.Run(name, func(t *testing.T) {
			clock := newClock()
			cfg.Now = clock.now
			s := newStore(t, cfg)
			s.SetAutomove(Automove{Level: 1})
			for i := range 60_000 {
				put(s, Set, fmt.Sprint(i), make([]byte, 100+i%2*900), 0, 0, 0)
				if i%1_000 == 0 {
					clock.add(1)
					s.MovePages()
				}
			}
			if n := s.MoveStats().Moved; n > 4 {
				t.Errorf("%d pages have moved", n)
			}
			checkInvariants(t, s, 0)
		})
	}
}
