package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pagegate/cacheserver/store"
)

// extended are the -o options.
type extended struct {
	pageKeys     bool
	maxConnsFast bool
	idleTimeout  int // seconds
	chunkMax     int // KiB
	chunkMaxSet  bool
	hashPower    int
	replyMemory  int // MiB, of all threads together; 0 is no bound
	staleWindow  int // seconds
	staleRetry   int // seconds
	noCrawler    bool
	crawlerSleep int // microseconds
	crawlerCrawl int // items of a class per run; 0 is all
	watcherBuf   int // KiB
	relaxed      bool
	trackSizes   bool

	noMaintainer bool
	lru          store.LRU
	temporaryTTL int // seconds; negative is none
	noReassign   bool
	automove     store.Automove
	noUring      bool

	ssl  sslOptions
	disk diskOptions

	notes []string          // what was asked for and means nothing here
	given map[string]string // of the options that have no effect, what they were given, for stats settings
}

func defaultExtended() extended {
	return extended{
		maxConnsFast: true, chunkMax: 512, staleRetry: 1,
		crawlerSleep: 100, watcherBuf: 256,
		lru:          store.LRU{HotPercent: 20, WarmPercent: 40, HotMaxFactor: 0.2, WarmMaxFactor: 2, TemporaryTTL: defaultTemporaryTTL},
		temporaryTTL: -1,
		automove:     store.Automove{Level: 1, Ratio: 0.8, Window: 10},
		ssl:          sslOptions{minVersion: 2, keyFormat: 1},
		disk:         defaultDisk(),
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
	below    float64 // bound of factor, 0 is none
	text     *string
	each     func(text string) error // takes the value; the option may be given again and again
	min, max int                     // bounds of number
	bare     string                  // the value that the name alone stands for; no_ before it is 0 then
	preset   func(e *extended)
	idle     string                               // the option is accepted and has no effect, for this reason
	check    func(e *extended, value string) bool // whether memcached takes the value of an option that is idle
	unnamed  bool                                 // -h keeps silent about it: programs look there for what a server can do
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
		{name: "no_chunked_items", help: "the same as slab_chunk_max=1024", preset: func(e *extended) { e.chunkMax = 1024 }},
		{name: "hashpower", arg: "N", help: "the index begins with 2^N buckets, 12 to 32 (default 16); it grows step by step", number: &e.hashPower, min: 12, max: 32},
		{name: "read_buf_mem_limit", arg: "MIB", help: "what replies that wait to be sent may take, all threads together (default 0, no bound but each connection's)", number: &e.replyMemory, max: 1 << 20},
		{name: "lru_crawler", help: "look for expired items in the background (default on)", flag: &e.noCrawler, negative: true},
		{name: "lru_crawler_sleep", arg: "MICROSECONDS", help: "between two steps of the crawler (default 100)", number: &e.crawlerSleep, max: 1_000_000},
		{name: "lru_crawler_tocrawl", arg: "N", help: "items of a class that one run looks at (default 0, all)", number: &e.crawlerCrawl, max: 1 << 30},
		{name: "lru_maintainer", help: "LRU segments: hot, warm and cold items (default on); without it one list, the least recently used first", flag: &e.noMaintainer, negative: true},
		{name: "hot_lru_pct", arg: "PERCENT", help: "of a slab class's items that may be hot, newly stored (default 20)", number: &e.lru.HotPercent, min: 1, max: 79},
		{name: "warm_lru_pct", arg: "PERCENT", help: "of a slab class's items that may be warm, read again (default 40)", number: &e.lru.WarmPercent, min: 1, max: 79},
		{name: "hot_max_factor", arg: "FACTOR", help: "a hot item that was not used for so many times the age of the coldest is cold (default 0.2)", factor: &e.lru.HotMaxFactor},
		{name: "warm_max_factor", arg: "FACTOR", help: "the same for warm ones (default 2)", factor: &e.lru.WarmMaxFactor},
		{name: "temporary_ttl", arg: "SECONDS", help: "items that live at most so long are not evicted: stores fail where there is nothing else (default off)", number: &e.temporaryTTL, min: -1, max: 1 << 30},
		{name: "slab_reassign", help: "the command slabs reassign (default on)", flag: &e.noReassign, negative: true},
		{name: "slab_automove", arg: "LEVEL", bare: "1", help: "pages go to the slab class that evicts what is young: 0 not, 1 one a second when that has lasted (the default), 2 one for each eviction besides", number: &e.automove.Level, max: 2},
		{name: "slab_automove_ratio", arg: "FACTOR", help: "young is less than this part of the age of what other classes keep (default 0.8)", factor: &e.automove.Ratio, below: 1},
		{name: "slab_automove_window", arg: "SECONDS", help: "how long is looked back for that, 3 to 1800 (default 10)", number: &e.automove.Window, min: 3, max: 1800},
		{name: "watcher_logbuf_size", arg: "KIB", help: "what a watcher may fall behind (default 256)", number: &e.watcherBuf, min: 1, max: 1 << 20},
		{name: "track_sizes", help: "the command stats sizes, which goes over all items (default off)", flag: &e.trackSizes},
		{name: "no_modern", help: "memcached's defaults before 1.5: one LRU list, no background work, no slab reassign, chunks of 1 MiB", preset: oldDefaults},
		{name: "io_uring", help: "serve connections by io_uring where the kernel has it (default on); without it by epoll", flag: &e.noUring, negative: true},
		{name: "relaxed_privileges", help: "the commands debugtime and debugitem, for tests", flag: &e.relaxed},
	}, slices.Concat(e.disk.table(), e.ssl.table(), idleOptions)...)
}

// defaultTemporaryTTL is what temporary_ttl would be if it were on: lru temp_ttl and stats settings know it.
const defaultTemporaryTTL = 61

// idleOptions are memcached's options that mean nothing here.
var idleOptions = []extendedOption{
	{name: "modern", idle: "its settings are the defaults"},
	{name: "no_hashexpand", idle: "the index grows step by step, never all at once"},
	{name: "hash_algorithm", arg: "jenkins|murmur3|xxh3", check: oneOf("jenkins", "murmur3", "xxh3"), idle: "the hash is seeded at random, so that nobody can aim at one bucket"},
	{name: "tail_repair_time", arg: "SECONDS, at least 10", check: atLeast(10), idle: "a reference to an item cannot be lost here"},
	{name: "slab_automove_freeratio", arg: "FACTOR", idle: "pages without items are free at once"},
	{name: "slab_sizes", arg: "SIZE-SIZE-..., each at least 9 above the one before", check: growing, idle: "pages are cut to fit the items that come"},
	{name: "worker_logbuf_size", arg: "KIB", check: atLeast(0), idle: "events go straight to the watchers"},
	{name: "inline_ascii_resp", idle: "memcached itself has dropped it"},
	{name: "no_inline_ascii_resp", idle: "memcached itself has dropped it"},
	{name: "resp_obj_mem_limit", arg: "MIB", check: atLeast(0), idle: "memcached itself has dropped it; see read_buf_mem_limit"},
	{name: "drop_privileges", unnamed: true, idle: "the runtime's own threads need their system calls; use a service manager's filter"},
	{name: "no_drop_privileges", unnamed: true, idle: "none are dropped"},
	{name: "no_stat_key_prefix", idle: "-D decides"},
}

// oneOf checks that a value is one of some words.
func oneOf(words ...string) func(*extended, string) bool {
	return func(_ *extended, value string) bool { return slices.Contains(words, value) }
}

// atLeast checks that a value is a number not below the least.
func atLeast(least uint64) func(*extended, string) bool {
	return func(_ *extended, value string) bool {
		n, err := strconv.ParseUint(value, 10, 32)
		return err == nil && n >= least
	}
}

// growing checks that a value is a list of chunk sizes such as memcached takes: within the largest chunk, and each at least 9 bytes above the one before.
func growing(e *extended, value string) bool {
	last := uint64(0)
	for word := range strings.SplitSeq(value, "-") {
		n, err := strconv.ParseUint(word, 10, 32)
		if err != nil || n <= last+8 || n > uint64(e.chunkMax)<<10 {
			return false
		}
		last = n
	}
	return true
}

// oldDefaults is no_modern.
func oldDefaults(e *extended) {
	e.noReassign, e.automove.Level, e.maxConnsFast, e.noCrawler, e.noMaintainer = true, 0, false, true, true
	if !e.chunkMaxSet {
		e.chunkMax = 1024
	}
}

// set reads one option: `name`, `no_name` or `name=value`.
func (e *extended) set(text string) error {
	name, value, hasValue := strings.Cut(text, "=")
	table, off := e.table(), false
	is := func(n string) func(extendedOption) bool {
		return func(o extendedOption) bool { return o.name == n }
	}
	at := slices.IndexFunc(table, is(name))
	if plain, no := strings.CutPrefix(name, "no_"); at < 0 && no && !hasValue {
		if at = slices.IndexFunc(table, is(plain)); at >= 0 && table[at].flag == nil && table[at].bare == "" {
			at = -1
		}
		off = true
	}
	if at < 0 {
		return fmt.Errorf("-o %s: no such option; -h lists them", name)
	}
	o := table[at]
	if o.bare != "" && !hasValue {
		if value, hasValue = o.bare, true; off {
			value = "0"
		}
	}
	if (o.arg != "") != hasValue {
		if o.arg != "" {
			return fmt.Errorf("-o %s: want %s=%s", text, name, o.arg)
		}
		return fmt.Errorf("-o %s: %s has no value", text, name)
	}
	if o.idle != "" {
		if o.check != nil && !o.check(e, value) {
			return fmt.Errorf("-o %s: want %s=%s", text, name, o.arg)
		}
		if e.given == nil {
			e.given = make(map[string]string)
		}
		e.given[name] = cmp.Or(value, "yes")
		e.notes = append(e.notes, fmt.Sprintf("-o %s has no effect: %s", name, o.idle))
		return nil
	}
	if err := o.take(value, off); err != nil {
		return fmt.Errorf("-o %s: %w", text, err)
	}
	if o.preset != nil {
		o.preset(e)
	}
	e.chunkMaxSet = e.chunkMaxSet || o.name == "slab_chunk_max"
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
		switch *o.factor, err = strconv.ParseFloat(value, 64); {
		case err != nil || !(*o.factor > 0):
			return errors.New("want a number above 0")
		case o.below > 0 && *o.factor >= o.below:
			return fmt.Errorf("want a number above 0 and below %v", o.below)
		}
	case o.text != nil:
		*o.text = value
	case o.each != nil:
		return o.each(value)
	}
	return nil
}

// settle checks what the options say together.
func (e *extended) settle() error {
	if e.lru.HotPercent+e.lru.WarmPercent > store.SegmentsMaxPercent {
		return fmt.Errorf("-o hot_lru_pct=%d,warm_lru_pct=%d: together at most %d", e.lru.HotPercent, e.lru.WarmPercent, store.SegmentsMaxPercent)
	}
	if e.temporaryTTL >= 0 && e.noMaintainer {
		return errors.New("-o temporary_ttl: segments are the LRU maintainer's: not together with no_lru_maintainer or no_modern")
	}
	e.automove.Keep = e.automove.Level == 0
	e.lru.Segmented = !e.noMaintainer
	if e.lru.Temporary = !e.noMaintainer && e.temporaryTTL >= 0; e.lru.Temporary {
		e.lru.TemporaryTTL = int64(e.temporaryTTL)
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
		case o.unnamed:
			continue
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
