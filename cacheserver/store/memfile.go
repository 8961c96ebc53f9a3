package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// memoryFile is a file that a store keeps its pages in: mapped and shared, so that what is written to a page is in the file at once
// and stays there when the process ends. Beside it, FILE.meta says what the pages mean; it is there only while no process uses the
// file and its pages are as the last one has left them.
type memoryFile struct {
	f    *os.File
	path string
	size int64 // when it was opened
}

func metaPath(path string) string { return path + ".meta" }

// openMemoryFile opens or makes the file and locks it against other processes until it is closed.
func openMemoryFile(path string, limit int64) (*memoryFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("memory file: %w", err)
	}
	mf := &memoryFile{f: f, path: path}
	if err := mf.prepare(limit); err != nil {
		return nil, errors.Join(fmt.Errorf("memory file %s: %w", path, err), f.Close())
	}
	return mf, nil
}

func (mf *memoryFile) prepare(limit int64) error {
	if err := unix.Flock(mf.fd(), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return errors.New("another process uses it")
		}
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(mf.fd(), &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return errors.New("it is no regular file")
	}
	mf.size = st.Size
	// To write to a mapped file where the file system is full ends the process, so pages are reserved one by one (see ensure); but a
	// memory that will never be as large as it was asked for is better known now.
	var system unix.Statfs_t
	if err := unix.Fstatfs(mf.fd(), &system); err != nil {
		return err
	}
	if room := int64(system.Bavail)*system.Bsize + st.Blocks*512; room < limit {
		return fmt.Errorf("its file system has room for %d MiB, not for %d", room>>20, limit>>20)
	}
	return nil
}

func (mf *memoryFile) fd() int { return int(mf.f.Fd()) }

// takeMeta reads FILE.meta and removes it: from now on the pages change. The first error is why it is not to be used, the second means
// that it cannot be removed, which must not be: it would be believed after a crash.
func (mf *memoryFile) takeMeta() (m *meta, why, err error) {
	text, why := os.ReadFile(metaPath(mf.path))
	if errors.Is(why, fs.ErrNotExist) {
		return nil, errNotSaved, nil
	}
	if why == nil {
		m, why = parseMeta(text)
	}
	if errors.Is(why, errForeign) {
		return nil, nil, fmt.Errorf("memory file: %s %w", metaPath(mf.path), why)
	}
	if err := os.Remove(metaPath(mf.path)); err != nil {
		return nil, why, fmt.Errorf("memory file: %w", err)
	}
	return m, why, syncDir(mf.path)
}

// errForeign: whatever it is, it may be somebody's, and so may be the file beside it.
var errForeign = errors.New("is not this program's; remove it or choose another file")

// errNotSaved: the last process did not end by Save, or there was none.
var errNotSaved = errors.New("there is no .meta beside it: the last server was not stopped gracefully")

// writeMeta writes FILE.meta, whole or not at all.
func (mf *memoryFile) writeMeta(text []byte) error {
	temporary := metaPath(mf.path) + ".tmp"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, metaPath(mf.path)); err != nil {
		return err
	}
	return syncDir(mf.path)
}

// syncDir makes what has become of the names in a file's folder last.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// mapFile maps the first size bytes of the file, which becomes as long. Without keep they are zero.
func (mf *memoryFile) mapFile(size int, keep bool) (*region, error) {
	if !keep {
		if err := mf.f.Truncate(0); err != nil {
			return nil, fmt.Errorf("memory file: %w", err)
		}
	}
	if err := mf.f.Truncate(int64(size)); err != nil {
		return nil, fmt.Errorf("memory file: %w", err)
	}
	mapped, err := unix.Mmap(mf.fd(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("memory file %s: mapping %d bytes: %w", mf.path, size, err)
	}
	return &region{mem: mapped, mapped: mapped, file: mf}, nil
}
