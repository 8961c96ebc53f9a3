package server

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pagegate/cacheserver/store"
	"pagegate/internal/realproc"
)

// anyAdmin is a command about LRU lists or pages, mostly a valid one, which any memcached answers alike, or one since 1.6.45.
func anyAdmin(now bool) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		word := func(name string, words ...string) string { return rapid.SampledFrom(words).Draw(t, name) }
		if now && rapid.IntRange(0, 3).Draw(t, "new") == 0 {
			return word("line", newAdminLines...) + "\r\n"
		}
		words := []string{"lru", word("what", "mode", "tune", "tune", "temp_ttl", "nonsense", "")}
		switch words[1] {
		case "mode":
			words = append(words, word("mode", "flat", "segmented", "both"))
		case "tune":
			words = append(words, word("hot", "10", "20", "79", "0", "x", "-1"), word("warm", "10", "40", "81", "x"),
				word("hot factor", "0.1", "2", "0", "-1", "x"), word("warm factor", "0.1", "2", "0", "x", ""))
		case "temp_ttl":
			words = append(words, word("ttl", "-1", "0", "60", "x"))
		case "nonsense":
			words = []string{"slabs", word("what", "automove", "reassign", "nonsense"), word("first", "0", "1", "2", "3", "-1", "x"), word("second", "1", "2", "x", "")}
		}
		return strings.Join(append(words, word("more", "", "", "more")), " ") + "\r\n"
	})
}

// newAdminLines are what 1.6.45 answers in another way than 1.6.18 did.
var newAdminLines = []string{
	"slabs automove window 2", "slabs automove window 3", "slabs automove window 1801", "slabs automove window x", "slabs automove window", "slabs a w 4", "slabs automove r 0.9",
	"slabs automove ratio -1", "slabs automove f 0.5", "slabs automove freeratio", "slabs automove 1 noreply", "slabs automove 4 noreply", "slabs reassign 1 2 noreply", "slabs r 1 1",
	"slabs reassign 64 1", "slabs reassign - 1", "lru m f", "lru mode s", "lru te 60", "lru t 20 40 0.2 2", "lru", "lru tune 20 40 0.2 2 noreply", "lru mode", " lru mode flat", "watch nonsense", "watch x fetchers",
	"lru_crawler metadump 64", "lru_crawler metadump x", "lru_crawler mgdump 0", "lru_crawler metadump 1,x", "lru_crawler metadump all noreply", "lru_crawler m 0", "lru_crawler mg x", "stats d dump",
}

// lruPair starts memcached and this server with or without the LRU maintainer.
func lruPair(t *testing.T, maintainer bool) (memcached, cacheserver *peer) {
	cfg, sc := Config{Crawler: Crawler{On: true}, Maintainer: maintainer, NoReassign: !maintainer, RefuseFast: true}, store.Config{}
	var flags []string
	if maintainer {
		sc.LRU.Segmented = true
	} else {
		flags = []string{"-o", "no_lru_maintainer,no_slab_reassign"}
	}
	theirs, _ := realproc.Memcached(t, flags...)
	ours, _ := start(t, cfg, sc)
	peers := make([]*peer, 2)
	for i, addr := range []string{theirs, ours} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
		peers[i] = &peer{[]string{"memcached", "cacheserver"}[i], c}
	}
	return peers[0], peers[1]
}

// The commands about LRU lists and pages answer as Debian's memcached does, with and without the maintainer.
func TestLRUCommandsSameAsMemcached(t *testing.T) {
	anyAdmin := anyAdmin(modern(t))
	for name, maintainer := range map[string]bool{"maintainer": true, "flat": false} {
		t.Run(name, func(t *testing.T) {
			memcached, cacheserver := lruPair(t, maintainer)
			rapid.Check(t, func(t *rapid.T) {
				commands := rapid.SliceOfN(anyAdmin, 1, 10).Draw(t, "commands")
				for _, c := range commands {
					if want, got := memcached.talk(t, []string{c}), cacheserver.talk(t, []string{c}); want != got {
						t.Fatalf("%q\ncacheserver %q\nmemcached   %q", c, got, want)
					}
				}
			})
		})
	}
}

// names returns the names of a list of statistics, in order.
func names(text string) (all []string) {
	for line := range strings.SplitSeq(text, "\r\n") {
		if w := strings.Fields(line); len(w) > 1 {
			all = append(all, w[1])
		}
	}
	return all
}

// The lists of statistics have memcached's lines, in its order; with the maintainer the LRU segments' too.
func TestLRUStatsSameAsMemcached(t *testing.T) {
	changed := map[string]bool{ // by 1.6.45
		"slab_reassign_evictions_nomem": true, "slab_reassign_busy_nomem": true, "slab_reassign_last_busy_status": true,
	}
	for name, maintainer := range map[string]bool{"maintainer": true, "flat": false} {
		t.Run(name, func(t *testing.T) {
			memcached, cacheserver := lruPair(t, maintainer)
			for _, what := range []string{"", " items"} {
				ask := func(p *peer) []string {
					var all []string
					rapid.Check(t, func(rt *rapid.T) { // for its T only
						if all == nil {
							all = names(p.talk(rt, []string{"set a 0 0 1\r\nx\r\nlru temp_ttl 10\r\nget a\r\nstats" + what + "\r\n"}))
						}
					})
					return slices.DeleteFunc(all, func(name string) bool { return changed[name] })
				}
				if want, got := ask(memcached), ask(cacheserver); !slices.Equal(want, got) {
					t.Errorf("stats%s\ncacheserver %q\nmemcached   %q", what, got, want)
				}
			}
		})
	}
}

// What the commands change shows in the settings, and hits show where the item was.
func TestLRUSettings(t *testing.T) {
	addr, _ := start(t, Config{Maintainer: true, Settings: [][2]string{
		{"lru_segmented", "?"}, {"hot_lru_pct", "?"}, {"warm_lru_pct", "?"}, {"hot_max_factor", "?"}, {"warm_max_factor", "?"},
		{"temp_lru", "?"}, {"temporary_ttl", "?"}, {"slab_automove", "?"}, {"lru_crawler", "?"}, {"maxbytes", "?"}, {"inter", "NULL"}, {"verbosity", "?"}, {"detail_enabled", "?"},
	}}, store.Config{LRU: store.LRU{Segmented: true}})
	c := dial(t, addr)
	c.ask(t, "lru mode flat\r\nlru tune 11 22 0.5 3\r\nlru temp_ttl 9\r\nslabs automove 2\r\nlru_crawler enable\r\n", strings.Repeat("OK\r\n", 5))
	c.ask(t, "cache_memlimit 8\r\nverbosity 1\r\nstats detail on\r\n", strings.Repeat("OK\r\n", 3))
	want := map[string]string{"lru_segmented": "no", "hot_lru_pct": "11", "warm_lru_pct": "22", "hot_max_factor": "0.50",
		"warm_max_factor": "3.00", "temp_lru": "yes", "temporary_ttl": "9", "slab_automove": "2", "lru_crawler": "yes", "maxbytes": "8388608",
		"inter": "NULL", "verbosity": "1", "detail_enabled": "yes"}
	if got := c.stats(t, "stats settings"); !maps.Equal(got, want) {
		t.Errorf("settings %v, want %v", got, want)
	}
	for i := range 9 { // that the others may have a share of
		c.ask(t, fmt.Sprintf("set %d 0 0 1\r\nx\r\n", i), "STORED\r\n")
	}
	// At once: a is hot until the maintainer comes by.
	c.ask(t, "lru mode segmented\r\nset a 0 0 1\r\nx\r\nset t 0 9 1\r\nx\r\nget a t\r\nmg a v\r\n",
		"OK\r\nSTORED\r\nSTORED\r\nVALUE a 0 1\r\nx\r\nVALUE t 0 1\r\nx\r\nEND\r\nVA 1\r\nx\r\n")
	waitFor(t, func() bool { return c.stats(t, "stats items")["items:1:number_warm"] == "1" })
	c.ask(t, "get a\r\n", "VALUE a 0 1\r\nx\r\nEND\r\n")
	items := c.stats(t, "stats items")
	for name, value := range map[string]string{"number": "11", "number_warm": "1", "number_temp": "1", "hits_to_hot": "2", "hits_to_temp": "1", "hits_to_warm": "1", "moves_to_warm": "1"} {
		if got := items["items:1:"+name]; got != value {
			t.Errorf("%s is %s, want %s", name, got, value)
		}
	}
	if got := c.stats(t, "stats slabs"); got["1:get_hits"] != "4" {
		t.Errorf("get_hits %s", got["1:get_hits"])
	}
	c.ask(t, "stats reset\r\n", "RESET\r\n")
	if got := c.stats(t, "stats items")["items:1:hits_to_hot"]; got != "0" {
		t.Errorf("hits_to_hot %s after a reset", got)
	}
}
