package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// cacheOptions say how the cache server is measured.
type cacheOptions struct {
	server, peer string
	threads      int
	slice        time.Duration
	rounds       int
	only         string
	loads        string // part of the names of the loads that are wanted
	items        int    // that the server holds whose slowest answers are looked at
}

// defaultSlice is the length of one turn of load.
const defaultSlice = time.Second

// section is one table.
type section struct {
	name string
	run  func(context.Context, cacheOptions, io.Writer) error
}

var cacheSections = []section{
	{"load", benchLoads},
	{"memory", benchMemory},
	{"calcified", benchCalcified},
	{"tail", benchTail},
	{"pauses", benchPauses},
}

// benchCacheserver compares our cache server with memcached.
func benchCacheserver(ctx context.Context, o cacheOptions, out io.Writer) error {
	for _, s := range cacheSections {
		if !strings.Contains(s.name, o.only) {
			continue
		}
		if err := s.run(ctx, o, out); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// pair is our server and its peer, started with the same flags.
type pair struct{ ours, peer *process }

func (o cacheOptions) startPair(ctx context.Context, flags ...string) (pair, error) {
	flags = append([]string{"-t", strconv.Itoa(o.threads), "-c", "10000"}, flags...)
	ours, err := start(ctx, "cacheserver", o.server, flags...)
	if err != nil {
		return pair{}, err
	}
	peer, err := start(ctx, "memcached", o.peer, flags...)
	if err != nil {
		ours.stop()
		return pair{}, err
	}
	return pair{ours, peer}, nil
}

func (p pair) stop() {
	p.ours.stop()
	p.peer.stop()
}

// The loads that both servers get.
var cacheLoads = []load{
	{name: "get 100 B", size: 100, keys: 1000, conns: 50, depth: 1},
	{name: "get 1 KiB", size: 1 << 10, keys: 1000, conns: 50, depth: 1},
	{name: "get 16 KiB", size: 16 << 10, keys: 200, conns: 50, depth: 1},
	{name: "get 100 KiB", size: 100 << 10, keys: 50, conns: 50, depth: 1},
	{name: "get 100 B, 16 in flight", size: 100, keys: 1000, conns: 50, depth: 16},
	{name: "get 1 KiB, 10% sets", size: 1 << 10, keys: 1000, conns: 50, depth: 1, sets: 0.1},
	{name: "set 1 KiB", size: 1 << 10, keys: 1000, conns: 50, depth: 1, sets: 1},
	{name: "get 1 KiB, 5000 idle", size: 1 << 10, keys: 1000, conns: 50, depth: 1, idle: 5000},
}

// pace is the load in requests a second under which round trips are timed: one that leaves both servers time to spare, as
// the round trips of a machine without any say more about its scheduler.
const pace = 20_000

// benchLoads drives both servers and prints what an operation costs at full speed, and what a round trip takes at the pace.
func benchLoads(ctx context.Context, o cacheOptions, out io.Writer) error {
	t := newTable(out, "load", "CPU/op", "memcached", "ratio", "op/s", "memcached", "ratio",
		"p50", "memcached", "ratio", "p99", "memcached", "ratio")
	for _, l := range cacheLoads {
		if !strings.Contains(l.name, o.loads) {
			continue
		}
		full, paced, err := o.compare(ctx, l)
		if err != nil {
			return err
		}
		ours, peer := full[0], full[1]
		cells := []any{l.name,
			micros(ours.cpuPerOp()), micros(peer.cpuPerOp()), ratio(ours.cpuPerOp(), peer.cpuPerOp()),
			fmt.Sprintf("%.0f", ours.perSecond()), fmt.Sprintf("%.0f", peer.perSecond()), ratio(ours.perSecond(), peer.perSecond())}
		for _, q := range []float64{50, 99} {
			ours, peer := paced[0].quantile(q), paced[1].quantile(q)
			cells = append(cells, micros(ours), micros(peer), ratio(ours, peer))
		}
		t.row(cells...)
	}
	return t.flush()
}

// compare gives our server and the peer a load at full speed and at the pace.
func (o cacheOptions) compare(ctx context.Context, l load) (full, paced []*result, err error) {
	both, err := o.startPair(ctx, "-m", "128")
	if err != nil {
		return nil, nil, err
	}
	defer both.stop()
	if full, err = o.takeTurns(ctx, l, 0, both.ours, both.peer); err != nil {
		return nil, nil, err
	}
	paced, err = o.takeTurns(ctx, l, pace, both.ours, both.peer)
	return full, paced, err
}

// takeTurns gives a load to some servers in turns and returns the sums. The first turn warms up and does not count.
func (o cacheOptions) takeTurns(ctx context.Context, l load, pace int, servers ...*process) ([]*result, error) {
	sums := make([]*result, len(servers))
	generators := make([]*generator, len(servers))
	for i, p := range servers {
		g, err := l.connect(p)
		if err != nil {
			return nil, err
		}
		defer g.close()
		generators[i], sums[i] = g, newResult()
	}
	for round := range o.rounds + 1 {
		for i, g := range generators {
			r, err := g.drive(ctx, o.slice, pace)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				sums[i].add(r)
			}
		}
	}
	return sums, nil
}

// table prints aligned columns.
type table struct{ *tabwriter.Writer }

func newTable(out io.Writer, head ...any) table {
	t := table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	t.row(head...)
	return t
}

func (t table) row(cells ...any) {
	for i, c := range cells {
		if i > 0 {
			fmt.Fprint(t, "\t")
		}
		fmt.Fprint(t, c)
	}
	fmt.Fprintln(t)
}

func (t table) flush() error {
	fmt.Fprintln(t)
	return t.Flush()
}

func micros(d time.Duration) string {
	return fmt.Sprintf("%.2f us", float64(d)/float64(time.Microsecond))
}

func ratio[N int64 | uint64 | float64 | time.Duration](ours, peer N) string {
	return fmt.Sprintf("%.2f", float64(ours)/float64(max(peer, 1)))
}
