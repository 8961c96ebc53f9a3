package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
)

// benchTail compares the slowest answers of a server that holds as many items as asked for, while they are read and set anew,
// with those of an empty one.
func benchTail(ctx context.Context, o cacheOptions, out io.Writer) error {
	t := newTable(out, "get 100 B, 10% sets", "p99.9 empty", fmt.Sprintf("p99.9 %d items", o.items), "ratio", "max empty", "max")
	for _, program := range []struct{ name, path string }{{"cacheserver", o.server}, {"memcached", o.peer}} {
		empty, full, err := o.tails(ctx, program.name, program.path)
		if err != nil {
			return err
		}
		t.row(program.name, micros(empty.quantile(99.9)), micros(full.quantile(99.9)),
			ratio(full.quantile(99.9), empty.quantile(99.9)), micros(empty.quantile(100)), micros(full.quantile(100)))
	}
	return t.flush()
}

func (o cacheOptions) tails(ctx context.Context, name, path string) (empty, full *result, err error) {
	var servers [2]*process
	for i := range servers {
		if servers[i], err = start(ctx, name, path, "-m", "1024", "-t", strconv.Itoa(o.threads)); err != nil {
			return nil, nil, err
		}
		defer servers[i].stop()
	}
	if _, err := fillUp(servers[1], 100, o.items); err != nil {
		return nil, nil, err
	}
	l := load{name: "tail", size: 100, keys: min(o.items, 100_000), conns: 50, depth: 1, sets: 0.1}
	results, err := o.takeTurns(ctx, l, pace, servers[0], servers[1])
	if err != nil {
		return nil, nil, err
	}
	return results[0], results[1], nil
}
