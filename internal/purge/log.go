package purge

import (
	"sync"
	"time"
)

// Entry is a purge that was made.
type Entry struct {
	Seq  uint64 `json:"seq"` // grows with each purge
	At   int64  `json:"at"`  // unix seconds
	Rule Rule   `json:"rule"`
}

// Entries are purges in the order in which they were made.
type Entries []Entry

// Bounds of what is remembered: no fill lasts longer than Remembered, and beyond maxEntries a fill that began before the
// oldest cannot know what it missed, so it is not stored.
const (
	Remembered = 10 * time.Minute
	maxEntries = 512
)

// Add returns the entries with one more, less those that no fill needs any more.
func (e Entries) Add(r Rule, now time.Time) Entries {
	seq := uint64(now.UnixNano()) // so that a log that was lost does not begin with numbers that were used
	if n := len(e); n > 0 {
		seq = max(seq, e[n-1].Seq+1)
	}
	old := 0
	for old < len(e) && (now.Unix()-e[old].At > int64(Remembered/time.Second) || len(e)-old >= maxEntries) {
		old++
	}
	return append(append(Entries(nil), e[old:]...), Entry{Seq: seq, At: now.Unix(), Rule: r})
}

// Last is the number of the last purge, 0 for none.
func (e Entries) Last() uint64 {
	if len(e) == 0 {
		return 0
	}
	return e[len(e)-1].Seq
}

// Since calls hit for the purges after number seq until it returns true, and tells whether it did. It is true also where
// the log no longer reaches back to seq.
func (e Entries) Since(seq uint64, hit func(Rule) bool) bool {
	if len(e) == 0 {
		return seq != 0 // there have been purges, and they are forgotten
	}
	if e[0].Seq > seq && len(e) >= maxEntries {
		return true
	}
	for i := len(e) - 1; i >= 0 && e[i].Seq > seq; i-- {
		if hit(e[i].Rule) {
			return true
		}
	}
	return false
}

// Log is a process's own purges. The zero Log is empty; any number of goroutines may use it at once.
type Log struct {
	mu      sync.Mutex
	entries Entries
}

// Add notes a purge.
func (l *Log) Add(r Rule, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = l.entries.Add(r, now)
}

// Entries returns the purges so far. They are not changed later.
func (l *Log) Entries() Entries {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.entries
}
