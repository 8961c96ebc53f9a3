package store

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestIndexGrows stores many more items than the index starts with, and takes most of them away again.
func TestIndexGrows(t *testing.T) {
	const items = 100_000
	s := newStore(t, Config{MemoryLimit: 24 << 20})
	before := s.Stats()
	if before.HashPowerLevel != 16 || before.HashBytes != 4<<16 || before.HashIsExpanding {
		t.Errorf("empty: %+v", before)
	}
	for i := range items {
		set(t, s, fmt.Sprint("k", i), fmt.Append(nil, i))
	}
	after := s.Stats()
	if after.HashPowerLevel != 17 || after.CurrItems != items || after.Evictions != 0 || !after.HashIsExpanding {
		t.Errorf("with %d items: %+v", items, after)
	}
	if perItem := float64(after.HashBytes) / items; perItem > 6 {
		t.Errorf("the index takes %.1f bytes per item", perItem)
	}
	for i := range items {
		wantValue(t, s, fmt.Sprint("k", i), fmt.Append(nil, i))
		if i%10 != 0 && s.Delete(fmt.Append(nil, "k", i)) != Stored {
			t.Fatalf("k%d can't be deleted", i)
		}
	}
	checkInvariants(t, s, 0)
}

// TestWalkWhileTheIndexGrows walks through one stripe and stores items between the steps. An item that was there at the
// start is shown once, though its bucket is split meanwhile.
func TestWalkWhileTheIndexGrows(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newStore(t, Config{MemoryLimit: 4 << 20})
		next := 0
		// storeInStripe0 stores n items whose keys fall into stripe 0.
		storeInStripe0 := func(n int) {
			for n > 0 {
				key := fmt.Append(nil, "k", next)
				if next++; s.hash(key)%stripes == 0 {
					set(t, s, string(key), nil)
					n--
				}
			}
		}
		storeInStripe0(rapid.IntRange(1, 150).Draw(rt, "first"))
		first := next
		seen := map[string]int{}
		for at, more := cursor(0), true; more; more = at != 0 {
			var items []walked
			var keys []byte
			items, keys, at = s.walkSome(0, at, nil, nil)
			start := 0
			for _, it := range items {
				seen[string(keys[start:it.keyEnd])]++
				start = it.keyEnd
			}
			storeInStripe0(rapid.IntRange(0, 30).Draw(rt, "between"))
		}
		for i := range next {
			key := fmt.Sprint("k", i)
			if s.hash([]byte(key))%stripes != 0 {
				continue
			}
			if n := seen[key]; n > 1 || (i < first && n != 1) {
				rt.Fatalf("%s (of the first: %v) is shown %d times", key, i < first, n)
			}
		}
	})
}

func TestWalk(t *testing.T) {
	clock := newClock()
	s := newStore(t, Config{Now: clock.now, NoCAS: true})
	put(s, Set, "plain", pattern(1, 50), 0, 0, 0)
	put(s, Set, "full", pattern(1, 100_000), 9, clock.now()+100, 0)
	put(s, Set, "expired", pattern(1, 50), 0, clock.now()-1, 0)
	clock.add(bumpInterval + 1)
	wantValue(t, s, "plain", pattern(1, 50))
	seen := map[string]ItemInfo{}
	s.Walk(func(key []byte, it ItemInfo) bool {
		seen[string(key)] = it
		return true
	})
	start := int64(1_000_000)
	want := map[string]ItemInfo{
		"plain": {LastAccess: start + bumpInterval + 1, Len: 50, Size: 32 + 5 + 50, Class: 1, Fetched: true},
		"full":  {Flags: 9, Exptime: start + 100, LastAccess: start, Len: 100_000, Size: 32 + 4 + 4 + 100_000, Class: 32},
	}
	if len(seen) != len(want) || seen["plain"] != want["plain"] || seen["full"] != want["full"] {
		t.Errorf("walk shows %+v, want %+v", seen, want)
	}
	calls := 0
	s.Walk(func([]byte, ItemInfo) bool { calls++; return false })
	if calls != 1 {
		t.Errorf("%d calls after false", calls)
	}
	histogram := s.SizeHistogram()
	if len(histogram) != 2 || histogram[0] != (SizeBucket{128, 1}) || histogram[1] != (SizeBucket{100_064, 1}) {
		t.Errorf("histogram %v", histogram)
	}
}
