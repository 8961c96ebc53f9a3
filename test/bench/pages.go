package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// pageOptions say how the web servers are measured.
type pageOptions struct {
	bin, nginxConf, out    string
	slice                  time.Duration
	rounds, pages          int
	onlyLoads, onlyServers []string
	before                 string // another folder with our programs
}

// stocked is how many pages of a size there are.
type stocked struct{ size, pages int }

func (o pageOptions) stock() []stocked {
	return []stocked{{1 << 10, o.pages}, {16 << 10, o.pages}, {100 << 10, 1}}
}

// pageRate is the load in requests a second under which latencies are compared: one that the slowest contender still
// answers on two cores.
const pageRate = 4000

// pageLoads is the matrix, thinned: pages of 100 KiB and 1,000 connections add nothing where there are many pages, since
// what they cost shows with one already.
var pageLoads = []pageLoad{
	{onePage, 1 << 10, 50, 0},
	{onePage, 16 << 10, 50, 0},
	{onePage, 100 << 10, 50, 0},
	{manyPages, 1 << 10, 50, 0},
	{manyPages, 16 << 10, 50, 0},
	{onePage, 1 << 10, 1000, 0},
	{onePage, 16 << 10, 1000, 0},
	{onePage, 1 << 10, 50, pageRate},
	{onePage, 16 << 10, 50, pageRate},
	// The last, since they push other pages out.
	{newPages, 1 << 10, 50, 0},
	{newPages, 16 << 10, 50, 0},
}

// measured is a load with what each contender made of it.
type measured struct {
	pageLoad
	entries   []entry
	collector map[string]float64 // the garbage collector's share of the CPU time, of contenders that tell it
}

type entry struct {
	name    string
	servers []string
	turn
}

// of returns what a contender made of the load.
func (m measured) of(name string) (turn, bool) {
	for _, e := range m.entries {
		if e.name == name {
			return e.turn, true
		}
	}
	return turn{}, false
}

// benchPages gives all loads to all contenders, prints the tables and writes them down.
func benchPages(ctx context.Context, o pageOptions, out io.Writer) error {
	began := time.Now()
	files, err := raiseFileLimit()
	if err != nil {
		return err
	}
	program, err := find("wrk")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "pagegate-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &stage{pageOptions: o, dir: dir, files: files}
	if s.origin, err = startOrigin(); err != nil {
		return err
	}
	defer s.origin.stop()
	defer s.stop()

	all, held, err := s.startAll(ctx, out)
	if err != nil {
		return err
	}
	r := &report{pageOptions: o, held: held}
	w := &wrk{program: program, dir: dir, pages: o.pages}
	for _, l := range pageLoads {
		if !chosen(l, pageLoads, o.onlyLoads) {
			continue
		}
		m, err := s.measure(ctx, w, l, all)
		if err != nil {
			return err
		}
		r.loads = append(r.loads, m)
		fmt.Fprintf(out, "\n%s\n", l)
		if err := m.print(out); err != nil {
			return err
		}
	}
	r.took = time.Since(began)
	fmt.Fprintf(out, "\n%s\ntook %v\n", r.targetTable(), r.took.Round(time.Second))
	if o.out == "" {
		return nil
	}
	return r.write(o.out)
}

// How many files a server may have open: at least enough for a thousand clients, better enough for all pages too.
const leastFiles, goodFiles = 8192, 65536

// raiseFileLimit raises the limit, which the servers inherit, and returns it.
func raiseFileLimit() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	if limit.Max < goodFiles {
		// Root may, as a rule.
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: goodFiles, Max: goodFiles}); err == nil {
			return goodFiles, nil
		}
	}
	if limit.Max < leastFiles {
		return 0, fmt.Errorf("at most %d files may be open; at least %d are needed (ulimit -Hn)", limit.Max, leastFiles)
	}
	limit.Cur = min(limit.Max, goodFiles)
	return int(limit.Cur), syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// hand is an entrant that has started.
type hand struct {
	entrant
	*contender
}

// startAll starts the contenders and fills them.
func (s *stage) startAll(ctx context.Context, out io.Writer) (all []hand, held []memory, err error) {
	for _, e := range s.entrants() {
		if !chosen(e, entrants, s.onlyServers) && !chosen(e.now(), entrants, s.onlyServers) {
			continue
		}
		fmt.Fprintf(out, "starting and filling: %s\n", e.name)
		c, err := e.start(ctx, s)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", e.name, err)
		}
		c.name = e.name
		all = append(all, hand{e, c})
		if !e.hits || c.unfilled {
			continue
		}
		m, err := s.fill(ctx, c)
		if err != nil {
			return nil, nil, fmt.Errorf("fill %s: %w", e.name, err)
		}
		held = append(held, m)
	}
	return all, held, nil
}

// chosen tells whether one of all is among those that are wanted: by its name, or by a part of it that is nobody's name.
func chosen[T fmt.Stringer](one T, all []T, wanted []string) bool {
	return len(wanted) == 0 || slices.ContainsFunc(wanted, func(w string) bool {
		return one.String() == w ||
			strings.Contains(one.String(), w) && !slices.ContainsFunc(all, func(o T) bool { return o.String() == w })
	})
}

// measure gives a load to the contenders in turns. The first turn warms up and does not count.
func (s *stage) measure(ctx context.Context, w *wrk, l pageLoad, all []hand) (measured, error) {
	m := measured{pageLoad: l, collector: make(map[string]float64)}
	turns, servers := make(map[string][]turn), make(map[string][]string)
	asked := s.origin.asked.Load()
	began, err := collectedOf(ctx, all)
	if err != nil {
		return m, err
	}
	for round := range s.rounds + 1 {
		for _, h := range all {
			if l.asked == newPages && !h.misses || l.asked != newPages && !h.hits {
				continue
			}
			servers[h.entrant.name] = h.servers()
			d := s.slice
			if round == 0 {
				d /= 4
			}
			t, err := w.drive(ctx, l, h.contender, d)
			if err != nil {
				return m, err
			}
			if round > 0 {
				turns[h.entrant.name] = append(turns[h.entrant.name], t)
			}
			now := s.origin.asked.Load()
			if l.asked == newPages {
				err = enough("misses", now-asked, t.requests)
			} else if now != asked {
				err = errors.New("these were to be hits, and the origin was asked")
			}
			if err != nil {
				return m, fmt.Errorf("%s under %s: %w", h.entrant.name, l, err)
			}
			asked = now
		}
	}
	ended, err := collectedOf(ctx, all)
	if err != nil {
		return m, err
	}
	for name, now := range ended {
		m.collector[name] = now.share(began[name])
	}
	for _, e := range s.entrants() {
		if t := turns[e.name]; len(t) > 0 {
			m.entries = append(m.entries, entry{e.name, servers[e.name], medianTurn(t)})
		}
	}
	return m, nil
}

// enough tells whether the origin was asked for each request. wrk does not count those that it ends in the midst of.
func enough(what string, got, want int64) error {
	if got < want {
		return fmt.Errorf("%d %s in %d requests", got, what, want)
	}
	return nil
}
