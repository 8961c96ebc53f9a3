package store

import "testing"

// checkInvariants looks over a store that nobody uses: every list, count and reference must agree with the others. held
// is the number of references that the test holds.
func checkInvariants(t testing.TB, s *Store, held int) {
	t.Helper()
	c := &checker{t: t, s: s, items: map[ref]bool{}, pieces: map[ref]bool{}}
	for id := 1; id < len(s.classes); id++ {
		c.lists(&s.classes[id])
	}
	c.index()
	c.allPages(held)
	if c.extraRefs != held {
		t.Fatalf("%d references are held beyond the links, want %d", c.extraRefs, held)
	}
}

type checker struct {
	t         testing.TB
	s         *Store
	items     map[ref]bool // linked
	pieces    map[ref]bool // of linked items
	extraRefs int
}

// lists checks a class's LRU lists and remembers its items.
func (k *checker) lists(class *class) {
	k.t.Helper()
	for g := range segments {
		k.list(class, g)
	}
}

func (k *checker) list(class *class, g segment) {
	k.t.Helper()
	l := &class.lists[g]
	var prev ref
	var count, bytes uint64
	for r := l.head; r != 0; r = k.s.at(r).lruNext() {
		c := k.s.at(r)
		state := c.state().Load()
		switch {
		case k.items[r]:
			k.t.Fatalf("item %x is twice in the lists", r)
		case c.lruPrev() != prev:
			k.t.Fatalf("item %x: previous neighbour %x, want %x", r, c.lruPrev(), prev)
		case state&kindMask != kindItem || state&bitLinked == 0 || state&refMask == 0:
			k.t.Fatalf("item %x in a list has state %x", r, state)
		case k.s.classOf(r) != class || c.segment() != g:
			k.t.Fatalf("item %x is in list %d of class %d, by its page and state in %d of %d", r, g, class.id, c.segment(), k.s.classOf(r).id)
		}
		k.items[r] = true
		k.extraRefs += int(state&refMask) - 1
		for p := c.firstPiece(); p != 0; p = k.s.at(p).next() {
			if pc := k.s.at(p); pc.state().Load() != kindPiece || pc.owner() != r {
				k.t.Fatalf("piece %x of item %x: state %x, owner %x", p, r, pc.state().Load(), pc.owner())
			}
			k.pieces[p] = true
		}
		count++
		bytes += uint64(c.itemSize())
		prev = r
	}
	if l.tail != prev || l.count != count || l.bytes != bytes {
		k.t.Fatalf("class %d, list %d: tail %x count %d bytes %d, want %x, %d, %d", class.id, g, l.tail, l.count, l.bytes, prev, count, bytes)
	}
}

// index checks that the index holds exactly the items of the lists, each where its key is looked for.
func (k *checker) index() {
	k.t.Helper()
	found := 0
	for i := range k.s.index.stripes {
		st := &k.s.index.stripes[i]
		inStripe := 0
		for b := range 1<<st.level + st.split {
			for r := ref(k.s.index.buckets[int(b)<<stripeBits|i]); r != 0; r = k.s.at(r).next() {
				c := k.s.at(r)
				hash := k.s.hash(c.key())
				if !k.items[r] {
					k.t.Fatalf("item %x is in the index only", r)
				}
				if got, _ := k.s.lookup(k.s.index.stripe(hash), hash, c.key()); got != r {
					k.t.Fatalf("item %x is not found by its key", r)
				}
				inStripe++
			}
		}
		if inStripe != int(st.items) {
			k.t.Fatalf("stripe %d counts %d items, has %d", i, st.items, inStripe)
		}
		found += inStripe
	}
	if found != len(k.items) {
		k.t.Fatalf("the index has %d items, the lists %d", found, len(k.items))
	}
}

// allPages checks the chunks of every page, the lists of pages with room, and the pool.
func (k *checker) allPages(held int) {
	k.t.Helper()
	owned, kept := 0, 0
	pages, chunks, used := map[uint32]int{}, map[uint32]int{}, map[uint32]int{}
	for n := uint32(1); n < k.s.pool.fresh.Load(); n++ {
		p := &k.s.pages[n]
		id := p.owner.Load()
		if id == 0 {
			continue
		}
		owned++
		if p.kept {
			kept++
			if p.used != 0 || p.draining {
				k.t.Fatalf("page %d is kept: %d used, draining %v", n, p.used, p.draining)
			}
		}
		k.page(n, held)
		pages[id]++
		chunks[id] += int(p.count)
		used[id] += int(p.used)
		if inRoom := k.inRoom(n); inRoom != p.hasRoom() {
			k.t.Fatalf("page %d: in the list of pages with room: %v, has room: %v", n, inRoom, p.hasRoom())
		}
	}
	for id := 1; id < len(k.s.classes); id++ {
		c, i := &k.s.classes[id], uint32(id)
		if int(c.pages.Load()) != pages[i] || int(c.chunks) != chunks[i] || int(c.used) != used[i] {
			k.t.Fatalf("class %d: %d pages, %d chunks, %d used; want %d, %d, %d",
				id, c.pages.Load(), c.chunks, c.used, pages[i], chunks[i], used[i])
		}
	}
	pool := &k.s.pool
	if pool.owned != owned || int(pool.fresh.Load())-1 != owned+len(pool.used)+len(pool.cold) {
		k.t.Fatalf("pool: %d owned, %d used, %d cold, next fresh %d; %d pages have owners",
			pool.owned, len(pool.used), len(pool.cold), pool.fresh.Load(), owned)
	}
	if got := int(k.s.kept.Load()); got != kept {
		k.t.Fatalf("%d pages are kept, counted are %d", kept, got)
	}
	for _, n := range append(pool.used, pool.cold...) {
		if k.s.pages[n].owner.Load() != 0 {
			k.t.Fatalf("page %d is in the pool and has an owner", n)
		}
	}
}

// page checks that each chunk of a page is in the free list or in use, and used by what is known.
func (k *checker) page(n uint32, held int) {
	k.t.Helper()
	p := &k.s.pages[n]
	if p.draining && held == 0 {
		k.t.Fatalf("page %d is still being emptied", n)
	}
	free := map[uint16]bool{}
	for i := p.free; i != 0; i = uint16(k.s.at(makeRef(n, i-1)).next()) {
		if free[i-1] {
			k.t.Fatalf("page %d: chunk %d is twice in the free list", n, i-1)
		}
		free[i-1] = true
	}
	used := 0
	for i := range p.fresh {
		r := makeRef(n, i)
		state := k.s.at(r).state().Load()
		if free[i] != (state&kindMask == kindFree) {
			k.t.Fatalf("chunk %x: in the free list: %v, state %x", r, free[i], state)
		}
		if free[i] {
			continue
		}
		used++
		if !k.items[r] && !k.pieces[r] {
			if held == 0 {
				k.t.Fatalf("chunk %x: in use, but by nothing that is linked (state %x)", r, state)
			}
			k.extraRefs += int(state & refMask) // an unlinked item that the test holds; a piece has none
		}
	}
	if used != int(p.used) || len(free)+used != int(p.fresh) || p.fresh > p.count {
		k.t.Fatalf("page %d: %d used, %d free, %d fresh of %d; counts %d used", n, used, len(free), p.fresh, p.count, p.used)
	}
}

func (k *checker) inRoom(n uint32) bool {
	p := &k.s.pages[n]
	for m := k.s.classes[p.owner.Load()].room[p.cut]; m != 0; m = k.s.pages[m].next {
		if m == n {
			return true
		}
	}
	return false
}
