package server

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"os"
	"sync/atomic"
)

// AuthFile holds who may speak the text protocol (memcached's -Y): up to eight lines `user:password`. Its methods may be called by
// any goroutine.
type AuthFile struct {
	path    string
	entries atomic.Pointer[[]credential]
	ignored atomic.Int64
}

// authEntriesMax is how many users memcached reads from its file.
const authEntriesMax = 8

type credential struct{ user, password []byte }

// LoadAuthFile reads a file. It fails for one that cannot be read, that has a line without a colon, or no line at all.
func LoadAuthFile(path string) (*AuthFile, error) {
	f := &AuthFile{path: path}
	return f, f.Reload()
}

// Reload reads the file again. On an error what was read before stays in force.
func (f *AuthFile) Reload() error {
	text, err := os.ReadFile(f.path)
	if err != nil {
		return fmt.Errorf("the file of users and passwords: %w", err)
	}
	var entries []credential
	lines := bytes.Split(bytes.TrimRight(text, "\r\n"), []byte{'\n'})
	read := lines[:min(len(lines), authEntriesMax)]
	for i, line := range read {
		user, password, ok := bytes.Cut(bytes.TrimSuffix(line, []byte{'\r'}), []byte{':'})
		if !ok {
			return fmt.Errorf("%s: line %d: want user:password", f.path, i+1)
		}
		entries = append(entries, credential{user, password})
	}
	f.entries.Store(&entries)
	f.ignored.Store(int64(len(lines) - len(read)))
	return nil
}

// Ignored returns how many lines of the file do not count: as in memcached only the first eight do.
func (f *AuthFile) Ignored() int { return int(f.ignored.Load()) }

// check tells whether a user has a password. It compares with all of the users, in a time that does not tell how much
// is right.
func (f *AuthFile) check(user, password []byte) bool {
	found := 0
	for _, e := range *f.entries.Load() {
		found |= subtle.ConstantTimeCompare(e.user, user) & subtle.ConstantTimeCompare(e.password, password)
	}
	return found == 1
}
