package extstore

import (
	"errors"
	"hash/crc32"
	"io"
	"sync"

	"golang.org/x/sys/unix"
)

// Read fills dst with the value at a Place, whose length is that of dst's pieces together. keyLen is the key's, for the figures. ErrGone
// and ErrDamaged mean that there is nothing of use in dst; so does an error of the file. It waits for the disk.
func (l *Log) Read(at Place, keyLen int, dst ...[]byte) error {
	size, err := l.read(at, dst, false)
	if err != nil {
		return err
	}
	return l.check(at, keyLen, size, dst)
}

// errWait is what a read that must not wait for the disk gives if it would have to.
var errWait = errors.New("extstore: it is on disk")

// TryRead is Read of what lies in memory: in a write buffer, or in the system's cache. It waits for nothing, and is false where the value
// lies elsewhere or cannot be had: then Read tells what is the matter.
func (l *Log) TryRead(at Place, keyLen int, dst ...[]byte) bool {
	size, err := l.read(at, dst, true)
	return err == nil && l.check(at, keyLen, size, dst) == nil
}

// check compares what was read with its checksum, and counts it.
func (l *Log) check(at Place, keyLen, size int, dst [][]byte) error {
	l.counts.objectsRead.Add(1)
	l.counts.bytesRead.Add(uint64(RecordSize(keyLen, size)))
	sum := uint32(0)
	for _, part := range dst {
		sum = crc32.Update(sum, castagnoli, part)
	}
	if sum != at.Sum {
		return ErrDamaged
	}
	return nil
}

// read is Read without a look at the checksum; with only, it gives errWait where it would have to wait for the disk. It returns how many
// bytes it has read.
func (l *Log) read(at Place, dst [][]byte, only bool) (size int, err error) {
	p := l.at(at)
	if p == nil {
		return 0, ErrGone
	}
	for _, part := range dst {
		size += len(part)
	}
	if int64(at.Offset)+int64(size) > l.cfg.PageSize {
		return 0, ErrDamaged
	}
	if buffered, err := p.readBuffer(at, dst); buffered || err != nil {
		return size, err
	}
	from := p.base + int64(at.Offset)
	if only {
		if n, err := unix.Preadv2(p.fd, dst, from, unix.RWF_NOWAIT); n != size || err != nil {
			return 0, errWait // the file system may not know how to tell, either
		}
		return size, l.stillThere(at)
	}
	for _, part := range dst {
		if _, err := p.file.ReadAt(part, from); err != nil {
			if errors.Is(err, io.EOF) {
				return 0, ErrDamaged // somebody has cut the file short
			}
			return 0, err
		}
		from += int64(len(part))
	}
	return size, l.stillThere(at)
}

// stillThere is for the end of a read. Nothing holds a page back while it is read: if its use has ended meanwhile, what was read may be of
// the next.
func (l *Log) stillThere(at Place) error {
	if !l.Valid(at) {
		return ErrGone
	}
	return nil
}

// readBuffer copies what is not in the file yet, and tells whether it was that.
func (p *page) readBuffer(at Place, dst [][]byte) (buffered bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.is(at) {
		return false, ErrGone
	}
	if !p.active || int64(at.Offset) < p.written {
		return false, nil
	}
	from := int(int64(at.Offset) - p.written)
	for _, part := range dst {
		if from+len(part) > len(p.buf) {
			return false, ErrDamaged
		}
		copy(part, p.buf[from:])
		from += len(part)
	}
	return true, nil
}

// Submit has one of the readers call a function, which may wait for the disk; first come, first served.
func (l *Log) Submit(task func()) { l.readers.submit(task) }

// readers are the goroutines that may wait for a disk, and what they are to do.
type readers struct {
	mu      sync.Mutex
	wake    sync.Cond
	queue   []func()
	ended   bool
	running sync.WaitGroup
}

func (r *readers) start(n int) {
	r.wake.L = &r.mu
	for range n {
		r.running.Go(r.run)
	}
}

func (r *readers) submit(task func()) {
	r.mu.Lock()
	r.queue = append(r.queue, task)
	r.mu.Unlock()
	r.wake.Signal()
}

func (r *readers) run() {
	for {
		task := r.next()
		if task == nil {
			return
		}
		task()
	}
}

// next waits for a task; nil is the end.
func (r *readers) next() func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.queue) == 0 {
		if r.ended {
			return nil
		}
		r.wake.Wait()
	}
	task := r.queue[0]
	r.queue[0] = nil
	r.queue = r.queue[1:]
	return task
}

// waiting returns how many tasks nobody has begun yet.
func (r *readers) waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue)
}

// stop waits for what was submitted and ends the goroutines.
func (r *readers) stop() {
	r.mu.Lock()
	r.ended = true
	r.mu.Unlock()
	r.wake.Broadcast()
	r.running.Wait()
}
