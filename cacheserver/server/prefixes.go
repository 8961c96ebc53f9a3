package server

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// prefixesMax bounds the number of prefixes that are counted: keys are clients' to choose.
const prefixesMax = 1 << 16

// prefixes counts commands by what keys begin with, for `stats detail`. Its methods may be called by any goroutine; switched off
// they cost one load.
type prefixes struct {
	on     atomic.Bool
	mu     sync.Mutex
	counts map[string]*prefixCount
}

type prefixCount struct{ gets, hits, sets, deletes uint64 }

// count lets add change the figures of a key's prefix. Keys without the delimiter have none.
func (p *prefixes) count(key []byte, delimiter byte, add func(*prefixCount)) {
	if !p.on.Load() {
		return
	}
	end := bytes.IndexByte(key, delimiter)
	if end < 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.counts[string(key[:end])]
	if c == nil {
		if len(p.counts) >= prefixesMax {
			return
		}
		if p.counts == nil {
			p.counts = make(map[string]*prefixCount)
		}
		c = new(prefixCount)
		p.counts[string(key[:end])] = c
	}
	add(c)
}

// dump appends the PREFIX lines.
func (p *prefixes) dump(o *output) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(p.counts)) {
		c := p.counts[name]
		o.begin()
		field := func(what string, n uint64) { o.text = strconv.AppendUint(append(o.text, what...), n, 10) }
		o.text = append(append(o.text, "PREFIX "...), name...)
		field(" get ", c.gets)
		field(" hit ", c.hits)
		field(" set ", c.sets)
		field(" del ", c.deletes)
		o.endLine()
	}
}

// reset forgets all.
func (p *prefixes) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.counts)
}
