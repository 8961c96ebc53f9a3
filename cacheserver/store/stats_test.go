package store

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestStats(t *testing.T) {
	clock := newClock()
	s := newStore(t, Config{Now: clock.now})
	id := set(t, s, "a", pattern(1, 100)) // 141 bytes: class 3
	set(t, s, "b", pattern(1, 1_000))     // 1,041 bytes: class 12
	set(t, s, "n", []byte("1"))           // class 1
	put(s, CAS, "a", pattern(2, 100), 0, 0, id)
	put(s, CAS, "a", pattern(2, 100), 0, 0, id)
	s.Delta([]byte("n"), 1, false, 0)
	s.Delta([]byte("n"), 1, true, 0)
	s.Delta([]byte("n"), 100, false, 0) // a longer text, a new item
	s.Touch([]byte("b"), 0)
	s.Delete([]byte("b"))
	s.Drop([]byte("absent"))
	clock.add(7)

	want := []ClassStats{
		{ID: 1, ChunkSize: 96, ChunksPerPage: 10922, TotalPages: 1, TotalChunks: 10922, UsedChunks: 1, FreeChunks: 10921,
			MemRequested: 44, Sets: 2, IncrHits: 2, DecrHits: 1},
		{ID: 3, ChunkSize: 152, ChunksPerPage: 6898, TotalPages: 1, TotalChunks: 6898, UsedChunks: 1, FreeChunks: 6897,
			MemRequested: 141, Sets: 2, CASHits: 1, CASBadval: 1},
		{ID: 12, ChunkSize: 1184, ChunksPerPage: 885, Sets: 1, DeleteHits: 1, TouchHits: 1}, // has had a page
	}
	if diff := cmp.Diff(want, s.ClassStats()); diff != "" {
		t.Errorf("classes (-want +got):\n%s", diff)
	}
	wantItems := []ItemStats{{ID: 1, Number: 1, Cold: 1, Age: 7, MemRequested: 44}, {ID: 3, Number: 1, Cold: 1, Age: 7, MemRequested: 141}}
	if diff := cmp.Diff(wantItems, s.ItemStats()); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	wantStats := Stats{CurrItems: 2, TotalItems: 5, Bytes: 185, LimitMaxBytes: 64 << 20, HashPowerLevel: 16, HashBytes: 4 << 16,
		FreePages: 1, TotalMalloced: 3 << 20}
	if diff := cmp.Diff(wantStats, s.Stats()); diff != "" {
		t.Errorf("stats (-want +got):\n%s", diff)
	}

	s.ResetStats()
	for i := range want {
		c := &want[i]
		c.Sets, c.IncrHits, c.DecrHits, c.CASHits, c.CASBadval, c.DeleteHits, c.TouchHits = 0, 0, 0, 0, 0, 0, 0
	}
	if diff := cmp.Diff(want, s.ClassStats()); diff != "" {
		t.Errorf("classes after a reset (-want +got):\n%s", diff)
	}
	wantStats.TotalItems = 0
	if diff := cmp.Diff(wantStats, s.Stats()); diff != "" {
		t.Errorf("stats after a reset (-want +got):\n%s", diff)
	}
}
