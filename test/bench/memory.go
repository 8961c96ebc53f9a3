package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// benchMemory counts what both servers hold at the same -m, and what that takes.
func benchMemory(ctx context.Context, o cacheOptions, out io.Writer) error {
	t := newTable(out, "held at -m 128", "cacheserver", "memcached", "ratio", "resident", "memcached")
	for _, l := range []struct {
		name        string
		size, count int
	}{
		{"items of 100 B", 100, 1_200_000},
		{"pages of 16,000 B", 16_000, 12_000},
	} {
		both, err := o.startPair(ctx, "-m", "128")
		if err != nil {
			return err
		}
		ours, err := fillUp(both.ours, l.size, l.count)
		if err == nil {
			var peer filled
			peer, err = fillUp(both.peer, l.size, l.count)
			t.row(l.name, ours.items, peer.items, ratio(ours.items, peer.items), mib(ours.resident), mib(peer.resident))
		}
		both.stop()
		if err != nil {
			return err
		}
	}
	return t.flush()
}

// benchCalcified fills the memory with small items, flushes them, and counts how many pages find room at once.
func benchCalcified(ctx context.Context, o cacheOptions, out io.Writer) error {
	t := newTable(out, "pages of 16,000 B kept after small items", "after", "fresh", "ratio")
	both, err := o.startPair(ctx, "-m", "128")
	if err != nil {
		return err
	}
	defer both.stop()
	for _, p := range []*process{both.ours, both.peer} {
		fresh, err := fillUp(p, 16_000, 12_000)
		if err != nil {
			return err
		}
		// A server that has held pages would have room for them: a fresh process takes the small items.
		used, err := o.again(ctx, p)
		if err != nil {
			return err
		}
		after, err := calcify(used)
		used.stop()
		if err != nil {
			return err
		}
		t.row(p.name, after, fresh.items, ratio(after, fresh.items))
	}
	return t.flush()
}

// again starts the program of a process once more.
func (o cacheOptions) again(ctx context.Context, p *process) (*process, error) {
	return start(ctx, p.name, p.cmd.Path, "-m", "128", "-t", strconv.Itoa(o.threads))
}

func calcify(p *process) (pages int64, err error) {
	if _, err := fillUp(p, 100, 1_200_000); err != nil {
		return 0, err
	}
	c, err := dialControl(p)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if reply, err := c.ask("flush_all"); err != nil || reply != "OK" {
		return 0, fmt.Errorf("flush_all: %q, %w", reply, err)
	}
	after, err := fillUp(p, 16_000, 12_000)
	return after.items, err
}

// filled is what a server holds after it was filled.
type filled struct {
	items    int64 // that can be read
	resident int64 // bytes
}

// fillUp stores items of a size, one after the other, and counts how many of them can be read afterwards.
func fillUp(p *process, size, count int) (filled, error) {
	c, err := dialControl(p)
	if err != nil {
		return filled{}, err
	}
	defer c.Close()
	value := strings.Repeat("v", size)
	for i := range count {
		// Whoever waits for each answer measures round trips.
		fmt.Fprintf(c.w, "set /page/%08d? 0 0 %d noreply\r\n%s\r\n", i, size, value)
	}
	if reply, err := c.ask("mn"); err != nil || reply != "MN" {
		return filled{}, fmt.Errorf("mn: %q, %w", reply, err)
	}
	f := filled{}
	if f.resident, err = p.resident(); err != nil {
		return f, err
	}
	f.items, err = c.count(count)
	return f, err
}

// control is a connection for commands one by one.
type control struct {
	net.Conn
	w *bufio.Writer
	r *bufio.Reader
}

// controlTimeout bounds all that is done over a control connection.
const controlTimeout = 2 * time.Minute

func dialControl(p *process) (*control, error) {
	conn, err := dial(p.addr)
	if err != nil {
		return nil, err
	}
	c := &control{conn, bufio.NewWriterSize(conn, 256<<10), bufio.NewReaderSize(conn, 256<<10)}
	return c, conn.SetDeadline(time.Now().Add(controlTimeout))
}

// ask sends a line and returns the reply's first.
func (c *control) ask(line string) (string, error) {
	fmt.Fprintf(c.w, "%s\r\n", line)
	if err := c.w.Flush(); err != nil {
		return "", err
	}
	reply, err := c.r.ReadString('\n')
	return strings.TrimSuffix(reply, "\r\n"), err
}

// count asks for each of the keys without its value and returns how many there are.
func (c *control) count(keys int) (found int64, err error) {
	sent := make(chan error, 1)
	go func() {
		for i := range keys {
			fmt.Fprintf(c.w, "mg /page/%08d?\r\n", i)
		}
		sent <- c.w.Flush()
	}()
	for range keys {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return 0, errors.Join(err, c.Close(), <-sent)
		}
		if line[0] == 'H' {
			found++
		}
	}
	return found, <-sent
}

func mib(bytes int64) string { return fmt.Sprintf("%.0f MiB", float64(bytes)/(1<<20)) }
