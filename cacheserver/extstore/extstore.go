// Package extstore keeps values in files: what a cache has no memory for and does not want to lose. It knows no items, no sockets and
// no log; whoever writes a value keeps the Place that it got for it, and asks for the value by that.
//
// The files are one log, cut into pages of some megabytes. Values are appended to the page that is open for their Bucket, by way of a
// buffer, and never changed. A page that is full stays as it is until it is used anew as a whole: because all its values were
// forgotten, because what was left of them was written again elsewhere (Plan, Scan, Finish), or because no page was free and it was
// the oldest. Each use of a page has a version of its own, which is part of a Place: a Place of an earlier use is known by it, and
// reading there is ErrGone. A Place has the value's checksum too, so what a file gives back is the value or ErrDamaged, never
// anything else, whatever happens to the file.
//
// Nothing in a file outlives the process: Open empties it.
package extstore

import (
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Bucket is a stream of values that go into pages of their own, because they are likely to be forgotten at the same time. Its number
// is memcached's.
type Bucket uint8

// The buckets.
const (
	Default     Bucket = iota
	Compact            // written again by compaction
	Chunked            // large
	LowTTL             // soon to expire
	ColdCompact        // written again, but not used lately
	Old                // written again because their page was the oldest
	Buckets            // how many there are
)

// File is one file of the log.
type File struct {
	Path string
	Size int64  // bytes; it holds as many whole pages as go into them, one at least
	Home Bucket // whose values get its pages; those of Default are for all buckets that have no free page of their own
}

// Config says how a Log is laid out.
type Config struct {
	Files      []File
	PageSize   int64           // bytes, a multiple of BufferSize; less than 4 GiB
	BufferSize int             // bytes that are written at once, the largest record: see RecordSize; a multiple of 2 MiB
	Readers    int             // reads from the files at the same time; default 1
	Failed     func(err error) // is told when the first of a series of writes fails; it must not call the Log. Default nothing
}

const (
	maxPages    = 1<<16 - 2
	sizeUnit    = 2 << 20
	retryWrites = time.Second // after a write that failed
)

// Errors of reads.
var (
	ErrGone    = errors.New("extstore: the page is no longer there")
	ErrDamaged = errors.New("extstore: the value is damaged")
)

// Place is where a value is. The zero Place is none.
type Place struct {
	Page    uint32
	Version uint32 // of the page
	Offset  uint32 // of the value, within the page
	Sum     uint32 // CRC-32C of the value
}

// Log is an open log. Everything is safe for concurrent use, but for the functions of compaction, which are one goroutine's.
//
// Locks, in the order in which they are taken: writing, page.mu, mu.
type Log struct {
	cfg   Config
	files []*os.File
	pages []page

	mu        sync.Mutex
	free      [Buckets][]*page // by home
	freePages int
	version   uint32 // the last that was given

	writing sync.Mutex // open, buffers
	open    [Buckets]*page
	buffers [Buckets][]byte
	retryAt time.Time // nothing is written to a file before

	readers readers
	counts  counters
}

// counters are of what has happened since Open.
type counters struct {
	pageAllocs, pageEvictions, pageReclaims              atomic.Uint64
	objectsEvicted, objectsRead, objectsWritten          atomic.Uint64
	bytesEvicted, bytesRead, bytesWritten, writeFailures atomic.Uint64
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Open makes or empties the files, and locks them against other processes until Close. It starts Config.Readers goroutines.
func Open(cfg Config) (*Log, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg}
	for _, f := range cfg.Files {
		file, err := openFile(f.Path)
		if err != nil {
			return nil, errors.Join(err, l.closeFiles())
		}
		l.files = append(l.files, file)
	}
	l.layOut()
	l.readers.start(max(1, cfg.Readers))
	return l, nil
}

func (c *Config) check() error {
	switch {
	case c.PageSize <= 0 || c.BufferSize <= 0 || c.PageSize%int64(c.BufferSize) != 0:
		return fmt.Errorf("a page of %d bytes does not consist of whole write buffers of %d", c.PageSize, c.BufferSize)
	case c.BufferSize%sizeUnit != 0:
		return fmt.Errorf("a write buffer of %d bytes: want whole units of 2 MiB", c.BufferSize)
	case c.PageSize >= 1<<32:
		return fmt.Errorf("a page of %d bytes: want less than 4 GiB", c.PageSize)
	case len(c.Files) == 0:
		return errors.New("there is no file")
	}
	pages := int64(0)
	for _, f := range c.Files {
		if f.Size < c.PageSize {
			return fmt.Errorf("%s: %d bytes are less than a page of %d", f.Path, f.Size, c.PageSize)
		}
		pages += f.Size / c.PageSize
	}
	if pages > maxPages {
		return fmt.Errorf("%d pages, want at most %d: larger pages or smaller files", pages, maxPages)
	}
	return nil
}

// openFile opens and locks a file before it empties it: another process's stays as it is.
func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*os.File, error) { return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close()) }
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = errors.New("another process uses it")
		}
		return fail(err)
	}
	if err := f.Truncate(0); err != nil {
		return fail(err)
	}
	return f, nil
}

// layOut deals the pages out to the files in turn, so that what is written one after the other keeps several disks busy.
func (l *Log) layOut() {
	total := int64(0)
	for _, f := range l.cfg.Files {
		total += f.Size / l.cfg.PageSize
	}
	l.pages = make([]page, total)
	n := 0
	for round := int64(0); n < len(l.pages); round++ {
		for i, f := range l.cfg.Files {
			if round < f.Size/l.cfg.PageSize {
				p := &l.pages[n]
				p.id, p.file, p.fd, p.base, p.home = uint32(n), l.files[i], int(l.files[i].Fd()), round*l.cfg.PageSize, f.Home
				n++
			}
		}
	}
	for i := len(l.pages) - 1; i >= 0; i-- { // the last to come in is the first to go out
		p := &l.pages[i]
		l.free[p.home] = append(l.free[p.home], p)
	}
	l.freePages = len(l.pages)
}

// PageCount returns the number of pages.
func (l *Log) PageCount() int { return len(l.pages) }

// PageSize returns Config.PageSize.
func (l *Log) PageSize() int64 { return l.cfg.PageSize }

// BufferSize returns Config.BufferSize: the bytes that Write puts to a file at once.
func (l *Log) BufferSize() int { return l.cfg.BufferSize }

// Close waits for the tasks that were submitted and closes the files. No method may be called afterwards.
func (l *Log) Close() error {
	l.readers.stop()
	return l.closeFiles()
}

func (l *Log) closeFiles() (err error) {
	for _, f := range l.files {
		err = errors.Join(err, f.Close())
	}
	return err
}
