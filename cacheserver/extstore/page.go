package extstore

import (
	"os"
	"sync"
)

// page is a part of a file that is written to its end, and then used anew as a whole.
type page struct {
	id   uint32
	file *os.File
	fd   int   // the file's
	base int64 // where it begins in the file
	home Bucket

	mu      sync.Mutex
	version uint32 // of the present use; 0 while it is free
	bucket  Bucket
	active  bool // it is still written to
	objects int  // values that are not forgotten
	bytes   int64
	written int64  // so much is in the file; what follows is in buf
	buf     []byte // shared with the writer, who appends to it under mu
}

// is tells whether a page is in the use that a Place is of. The caller holds mu.
func (p *page) is(at Place) bool { return at.Version != 0 && p.version == at.Version }

// at returns the page of a Place.
func (l *Log) at(at Place) *page {
	if int(at.Page) >= len(l.pages) {
		return nil
	}
	return &l.pages[at.Page]
}

// Valid tells whether the page of a Place is still in the same use. It says nothing about the file.
func (l *Log) Valid(at Place) bool {
	p := l.at(at)
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.is(at)
}

// Forget says that a value is no longer wanted. size is its record's.
func (l *Log) Forget(at Place, size int) {
	p := l.at(at)
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.is(at) {
		return
	}
	p.objects--
	p.bytes -= int64(size)
	if p.objects == 0 && !p.active {
		l.release(p)
	}
}

// take begins a use of a free page for a bucket; nil if there is none. The caller holds writing.
func (l *Log) take(b Bucket) *page {
	l.mu.Lock()
	from := b
	if len(l.free[from]) == 0 {
		from = Default
	}
	n := len(l.free[from])
	if n == 0 {
		l.mu.Unlock()
		return nil
	}
	p := l.free[from][n-1]
	l.free[from] = l.free[from][:n-1]
	l.freePages--
	l.version++
	version := l.version
	l.mu.Unlock()

	if l.buffers[b] == nil {
		l.buffers[b] = make([]byte, 0, l.cfg.BufferSize)
	}
	p.mu.Lock()
	p.version, p.bucket, p.active, p.written, p.buf = version, b, true, 0, l.buffers[b][:0]
	p.mu.Unlock()
	l.counts.pageAllocs.Add(1)
	return p
}

// release ends the use of a page. The caller holds its mu.
func (l *Log) release(p *page) {
	p.version, p.objects, p.bytes = 0, 0, 0
	l.counts.pageReclaims.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.free[p.home] = append(l.free[p.home], p)
	l.freePages++
}

// retire says that a page is written to its end. The caller holds writing.
func (l *Log) retire(p *page) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.active, p.buf = false, nil
	if p.objects == 0 {
		l.release(p)
	}
}

// evictFor ends the oldest use among the pages that a bucket may have, unless one of them is free.
func (l *Log) evictFor(b Bucket) {
	var oldest *page
	lowest := uint32(0)
	for i := range l.pages {
		p := &l.pages[i]
		if p.home != Default && p.home != b {
			continue
		}
		p.mu.Lock()
		version, active := p.version, p.active
		p.mu.Unlock()
		if version == 0 {
			return
		}
		if !active && (oldest == nil || version < lowest) {
			oldest, lowest = p, version
		}
	}
	if oldest != nil {
		l.evict(oldest, lowest)
	}
}

// evict ends a use of a page though there are values in it, unless it has ended meanwhile.
func (l *Log) evict(p *page, version uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.version != version || p.active {
		return
	}
	l.counts.pageEvictions.Add(1)
	l.counts.objectsEvicted.Add(uint64(p.objects))
	l.counts.bytesEvicted.Add(uint64(p.bytes))
	l.release(p)
}
