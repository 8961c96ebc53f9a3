package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"pagegate/cacheserver/extstore"
	"pagegate/cacheserver/store"
)

// diskOptions are the -o options of the disk tier, memcached's extstore.
type diskOptions struct {
	files        []extstore.File
	pageSize     int // MiB
	bufferSize   int // MiB
	readers      int
	itemSize     int
	itemAge      int // seconds
	lowTTL       int // seconds
	recacheRate  int
	compactUnder int // pages; 0 is a hundredth of them
	dropUnder    int // pages
	maxSleep     int // microseconds
	maxFrag      float64
	dropUnread   bool
}

func defaultDisk() diskOptions {
	return diskOptions{pageSize: 64, bufferSize: 4, readers: 1, itemSize: 512, itemAge: store.NoItemAge, recacheRate: 2000, maxSleep: 1_000_000, maxFrag: 0.8}
}

// table are the options for extended.set.
func (d *diskOptions) table() []extendedOption {
	const most = math.MaxUint32
	return []extendedOption{
		{name: "ext_path", arg: "FILE:SIZE[:BUCKET]", help: "values of cold items go to this file, of so many m, g, t or p bytes, which is emptied at the start; several files share the values, or have those of a bucket: default, compact, lowttl, chunked, coldcompact, old", each: d.addFile},
		{name: "ext_page_size", arg: "MIB", help: "the pages of the files (default 64)", number: &d.pageSize, min: 2, max: 4094},
		{name: "ext_wbuf_size", arg: "MIB", help: "what is written at once, and the largest item on disk; even, pages consist of whole ones (default 4)", number: &d.bufferSize, min: 2, max: 1024},
		{name: "ext_threads", arg: "N", help: "reads from the files at the same time (default 1)", number: &d.readers, min: 1, max: 1024},
		{name: "ext_io_depth", arg: "N", idle: "a reader takes one read after the other"},
		{name: "ext_item_size", arg: "BYTES", help: "only items of the slab class of this size and larger ones go to disk (default 512)", number: &d.itemSize, max: most},
		{name: "ext_item_age", arg: "SECONDS", help: "and only when they were not used for so long (default: only when memory is short)", number: &d.itemAge, max: most},
		{name: "ext_low_ttl", arg: "SECONDS", help: "items that live less long have pages of their own (default 0, none)", number: &d.lowTTL, max: most},
		{name: "ext_recache_rate", arg: "N", help: "one in N reads of an item that is used often brings it back into memory (default 2000; 0 never)", number: &d.recacheRate, max: most},
		{name: "ext_compact_under", arg: "PAGES", help: "with fewer free pages what is wanted of thinly used ones is written together (default a hundredth of all)", number: &d.compactUnder, max: most},
		{name: "ext_drop_under", arg: "PAGES", help: "with fewer free pages the oldest ones are thinned out, see ext_drop_unread and ext_path's coldcompact and old (default a hundredth of all)", number: &d.dropUnder, max: most},
		{name: "ext_max_frag", arg: "PART", help: "a page is thinly used when less than this part of it is wanted (default 0.8)", each: d.setMaxFrag},
		{name: "ext_max_sleep", arg: "MICROSECONDS", help: "that the thread which moves values to disk sleeps at most; it never sleeps longer than 10,000 (default 1000000)", number: &d.maxSleep, max: most},
		{name: "ext_drop_unread", help: "values that are not used are dropped when their page is compacted (default off)", flag: &d.dropUnread},
	}
}

// setMaxFrag takes any number, as memcached does: 0 and less is never, 1 and more always.
func (d *diskOptions) setMaxFrag(text string) (err error) {
	if d.maxFrag, err = strconv.ParseFloat(text, 64); err != nil {
		return errors.New("want a number")
	}
	return nil
}

// buckets are the names that ext_path knows.
var buckets = map[string]extstore.Bucket{
	"default": extstore.Default, "compact": extstore.Compact, "lowttl": extstore.LowTTL, "chunked": extstore.Chunked,
	"coldcompact": extstore.ColdCompact, "old": extstore.Old,
}

// addFile reads FILE:SIZE[:BUCKET].
func (d *diskOptions) addFile(text string) error {
	words := strings.Split(text, ":")
	if len(words) < 2 || len(words) > 3 || words[0] == "" {
		return errors.New("want FILE:SIZE or FILE:SIZE:BUCKET")
	}
	f := extstore.File{Path: words[0]}
	var ok bool
	if f.Size, ok = diskSize(words[1]); !ok {
		return fmt.Errorf("%q is no size: want a number with m, g, t or p", words[1])
	}
	if len(words) == 3 {
		if f.Home, ok = buckets[words[2]]; !ok {
			return fmt.Errorf("there is no bucket %q", words[2])
		}
	}
	d.files = append(d.files, f)
	return nil
}

// diskSize reads a number of MiB, GiB, TiB or PiB.
func diskSize(text string) (bytes int64, ok bool) {
	if text == "" {
		return 0, false
	}
	shift, last := 0, len(text)-1
	switch text[last] {
	case 'm', 'M':
		shift = 20
	case 'g', 'G':
		shift = 30
	case 't', 'T':
		shift = 40
	case 'p', 'P':
		shift = 50
	default:
		return 0, false
	}
	n, err := strconv.ParseInt(text[:last], 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return 0, false
	}
	return n << shift, true
}

// validateDisk checks what the disk's options say together with others.
func (o *options) validateDisk() error {
	d := &o.ext.disk
	if len(d.files) == 0 {
		return nil
	}
	for _, f := range d.files {
		if f.Size < int64(d.pageSize)<<20 {
			return fmt.Errorf("-o ext_path=%s: its size, %d MiB, is less than a page of %d MiB; see ext_page_size", f.Path, f.Size>>20, d.pageSize)
		}
	}
	switch {
	case o.itemSizeMax > d.bufferSize<<20:
		return fmt.Errorf("-I %s: with ext_path at most ext_wbuf_size, which is %d MiB", o.itemMax, d.bufferSize)
	case o.udpPort != 0:
		return fmt.Errorf("-U %d: not with ext_path, a datagram's answer does not wait for a disk", o.udpPort)
	}
	if o.memoryFile != "" {
		o.ext.notes = append(o.ext.notes, "-e keeps no items over a restart together with -o ext_path")
	}
	return nil
}

// openDisk opens the files; nil if there are none.
func (o *options) openDisk(stderr io.Writer) (*extstore.Log, error) {
	d := &o.ext.disk
	if len(d.files) == 0 {
		return nil, nil
	}
	log, err := extstore.Open(extstore.Config{
		Files: d.files, PageSize: int64(d.pageSize) << 20, BufferSize: d.bufferSize << 20, Readers: d.readers,
		Failed: func(err error) {
			fmt.Fprintf(stderr, "cacheserver: -o ext_path: nothing goes to disk until this has ended: %v\n", err)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("-o ext_path: %w", err)
	}
	return log, nil
}

func closeDisk(log *extstore.Log) error {
	if log == nil {
		return nil
	}
	return log.Close()
}

// diskPolicy is the store's part of the options.
func (o *options) diskPolicy(log *extstore.Log) store.DiskPolicy {
	d := &o.ext.disk
	if d.compactUnder == 0 {
		d.compactUnder = max(1, log.PageCount()/100)
		d.dropUnder = d.compactUnder
	}
	return store.DiskPolicy{
		ItemSize: d.itemSize, ItemAge: int64(d.itemAge), LowTTL: int64(d.lowTTL), RecacheRate: uint64(d.recacheRate),
		Policy: extstore.Policy{CompactUnder: d.compactUnder, DropUnder: d.dropUnder, MaxFrag: d.maxFrag, DropUnread: d.dropUnread},
	}
}
