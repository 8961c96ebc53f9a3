package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// extended are the -o options.
type extended struct {
	pageKeys     bool
	maxConnsFast bool
	idleTimeout  int // seconds
	chunkMax     int // KiB
	staleWindow  int // seconds
	staleRetry   int // seconds
	noCrawler    bool
	crawlerSleep int // microseconds
	crawlerCrawl int // items of a class per run; 0 is all
	watcherBuf   int // KiB
	relaxed      bool
	ssl          sslOptions

	notes []string // what was asked for and means nothing here
}

func defaultExtended() extended {
	return extended{
		maxConnsFast: true, chunkMax: 512, staleRetry: 1,
		crawlerSleep: 100, watcherBuf: 256,
		ssl: sslOptions{minVersion: 2},
	}
}

// extendedOption is one option of -o: `name`, or `name=ARG`. Exactly one of the targets is set, or idle.
type extendedOption struct {
	name     string
	arg      string // what the value is, for -h; empty if there is none
	help     string
	flag     *bool
	negative bool // flag says that the option is off
	number   *int
	factor   *float64
	text     *string
	min, max int    // bounds of number
	idle     string // the option is accepted and has no effect, for this reason
}

// table lists the options that e takes its values from. An option with a flag also has a form with no_ before it.
func (e *extended) table() []extendedOption {
	return append([]extendedOption{
		{name: "page_keys", help: "keys of up to 8000 bytes, and no error for any get that nginx can send", flag: &e.pageKeys},
		{name: "stale_window", arg: "SECONDS", help: "a get finds an item for so long after it has expired, but for one in each stale_retry that is told to refresh it (default 0, off)", number: &e.staleWindow, max: 1 << 30},
		{name: "stale_retry", arg: "SECONDS", help: "see stale_window (default 1)", number: &e.staleRetry, min: 1, max: 1 << 30},
		{name: "maxconns_fast", help: "tell a connection over the limit so, instead of letting it wait (default on)", flag: &e.maxConnsFast},
		{name: "idle_timeout", arg: "SECONDS", help: "close connections that are silent for so long (default 0, never)", number: &e.idleTimeout, max: 1 << 30},
		{name: "slab_chunk_max", arg: "KIB", help: "the largest chunk; larger items are chains (default 512)", number: &e.chunkMax, min: 1, max: 1024},
		{name: "lru_crawler", help: "look for expired items in the background (default on)", flag: &e.noCrawler, negative: true},
		{name: "lru_crawler_sleep", arg: "MICROSECONDS", help: "between two steps of the crawler (default 100)", number: &e.crawlerSleep, max: 1_000_000},
		{name: "lru_crawler_tocrawl", arg: "N", help: "items of a class that one run looks at (default 0, all)", number: &e.crawlerCrawl, max: 1 << 30},
		{name: "watcher_logbuf_size", arg: "KIB", help: "what a watcher may fall behind (default 256)", number: &e.watcherBuf, min: 1, max: 1 << 20},
		{name: "relaxed_privileges", help: "the commands debugtime and debugitem, for tests", flag: &e.relaxed},
	}, append(e.ssl.table(), idleOptions...)...)
}

// Why options have no effect.
const (
	flatLRU    = "there is one LRU list per class"
	movesPages = "a page moves when a class has nothing to evict or all in the page is dead"
)

// idleOptions are memcached's options that mean nothing here.
var idleOptions = []extendedOption{
	{name: "modern", idle: "its settings are the defaults"},
	{name: "no_modern", idle: "say what you want by the single options"},
	{name: "lru_maintainer", idle: flatLRU}, {name: "no_lru_maintainer", idle: flatLRU}, {name: "hot_lru_pct", arg: "PERCENT", idle: flatLRU},
	{name: "warm_lru_pct", arg: "PERCENT", idle: flatLRU}, {name: "hot_max_factor", arg: "FACTOR", idle: flatLRU},
	{name: "warm_max_factor", arg: "FACTOR", idle: flatLRU}, {name: "temporary_ttl", arg: "SECONDS", idle: flatLRU},
	{name: "slab_reassign", idle: movesPages}, {name: "no_slab_reassign", idle: movesPages}, {name: "slab_automove", arg: "LEVEL", idle: movesPages},
	{name: "slab_automove_ratio", arg: "FACTOR", idle: movesPages}, {name: "slab_automove_window", arg: "SECONDS", idle: movesPages},
	{name: "hashpower", arg: "N", idle: "the index starts small and grows step by step"},
	{name: "no_hashexpand", idle: "the index grows step by step, never all at once"},
	{name: "hash_algorithm", arg: "NAME", idle: "the hash is seeded at random, so that nobody can aim at one bucket"},
	{name: "tail_repair_time", arg: "SECONDS", idle: "a reference to an item cannot be lost here"},
	{name: "slab_automove_freeratio", arg: "FACTOR", idle: "pages without items are free at once"},
	{name: "slab_sizes", arg: "SIZES", idle: "pages are cut to fit the items that come"},
	{name: "worker_logbuf_size", arg: "KIB", idle: "events go straight to the watchers"},
	{name: "track_sizes", idle: "stats sizes counts when it is asked"},
	{name: "no_track_sizes", idle: "stats sizes counts when it is asked"},
	{name: "inline_ascii_resp", idle: "memcached itself has dropped it"},
	{name: "no_inline_ascii_resp", idle: "memcached itself has dropped it"},
	{name: "no_chunked_items", idle: "slab_chunk_max=1024 makes a chunk of every item up to 1 MiB"},
	{name: "read_buf_mem_limit", arg: "MIB", idle: "there is one read buffer per thread"},
	{name: "resp_obj_mem_limit", arg: "MIB", idle: "what a connection may be owed is bounded"},
	{name: "drop_privileges", idle: "the runtime's own threads need their system calls; use a service manager's filter"},
	{name: "no_drop_privileges", idle: "none are dropped"},
	{name: "no_stat_key_prefix", idle: "-D decides"},
	{name: "ext_path", arg: "PATH", idle: "there is no disk tier yet"}, {name: "ext_page_size", arg: "MIB", idle: "there is no disk tier yet"},
	{name: "ext_wbuf_size", arg: "MIB", idle: "there is no disk tier yet"}, {name: "ext_threads", arg: "N", idle: "there is no disk tier yet"},
	{name: "ext_item_size", arg: "BYTES", idle: "there is no disk tier yet"}, {name: "ext_item_age", arg: "SECONDS", idle: "there is no disk tier yet"},
	{name: "ext_low_ttl", arg: "SECONDS", idle: "there is no disk tier yet"}, {name: "ext_recache_rate", arg: "N", idle: "there is no disk tier yet"},
	{name: "ext_compact_under", arg: "N", idle: "there is no disk tier yet"}, {name: "ext_drop_under", arg: "N", idle: "there is no disk tier yet"},
	{name: "ext_max_frag", arg: "FACTOR", idle: "there is no disk tier yet"}, {name: "ext_drop_unread", idle: "there is no disk tier yet"},
}

// set reads one option: `name`, `no_name` or `name=value`.
func (e *extended) set(text string) error {
	name, value, hasValue := strings.Cut(text, "=")
	table, off := e.table(), false
	is := func(n string) func(extendedOption) bool {
		return func(o extendedOption) bool { return o.name == n }
	}
	at := slices.IndexFunc(table, is(name))
	if plain, no := strings.CutPrefix(name, "no_"); at < 0 && no {
		if at = slices.IndexFunc(table, is(plain)); at >= 0 && table[at].flag == nil {
			at = -1
		}
		off = true
	}
	if at < 0 {
		return fmt.Errorf("-o %s: no such option; -h lists them", name)
	}
	o := table[at]
	if (o.arg != "") != hasValue {
		if o.arg != "" {
			return fmt.Errorf("-o %s: want %s=%s", text, name, o.arg)
		}
		return fmt.Errorf("-o %s: %s has no value", text, name)
	}
	if o.idle != "" {
		e.notes = append(e.notes, fmt.Sprintf("-o %s has no effect: %s", name, o.idle))
		return nil
	}
	if err := o.take(value, off); err != nil {
		return fmt.Errorf("-o %s: %w", text, err)
	}
	return nil
}

func (o *extendedOption) take(value string, off bool) (err error) {
	switch {
	case o.flag != nil:
		*o.flag = off == o.negative
	case o.number != nil:
		if *o.number, err = strconv.Atoi(value); err != nil || *o.number < o.min || *o.number > o.max {
			return fmt.Errorf("want a number from %d to %d", o.min, o.max)
		}
	case o.factor != nil:
		if *o.factor, err = strconv.ParseFloat(value, 64); err != nil || !(*o.factor > 0) {
			return fmt.Errorf("want a number above 0")
		}
	case o.text != nil:
		*o.text = value
	}
	return nil
}

// extendedHelp describes the options for -h.
func extendedHelp() string {
	var e extended
	var b, idle strings.Builder
	b.WriteString("more options, separated by commas:\n")
	for _, o := range e.table() {
		name := o.name
		switch {
		case o.idle != "":
			fmt.Fprintf(&idle, " %s", name)
			continue
		case o.flag != nil:
			name = "[no_]" + name
		case o.arg != "":
			name += "=" + o.arg
		}
		fmt.Fprintf(&b, "%-28s %s\n", name, o.help)
	}
	return b.String() + "accepted, without effect:" + idle.String()
}
