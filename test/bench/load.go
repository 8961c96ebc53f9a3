package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// load is what the clients of a memcached do.
type load struct {
	name  string
	size  int     // bytes of a value
	keys  int     // how many there are
	conns int     // connections that work
	idle  int     // connections that only stand there
	depth int     // commands in flight on a connection
	sets  float64 // the share of sets
}

// result is what a server made of a load.
type result struct {
	ops     int64
	cpu     time.Duration
	elapsed time.Duration
	latency *hdrhistogram.Histogram // of a round trip, in nanoseconds
}

func newResult() *result { return &result{latency: hdrhistogram.New(1000, int64(time.Minute), 3)} }

func (r *result) add(other *result) {
	r.ops += other.ops
	r.cpu += other.cpu
	r.elapsed += other.elapsed
	r.latency.Merge(other.latency)
}

func (r *result) cpuPerOp() time.Duration { return r.cpu / time.Duration(max(r.ops, 1)) }
func (r *result) perSecond() float64      { return float64(r.ops) / r.elapsed.Seconds() }
func (r *result) quantile(q float64) time.Duration {
	return time.Duration(r.latency.ValueAtQuantile(q))
}

// generator keeps the connections of a load to one server.
type generator struct {
	load
	server  *process
	texts   []text
	clients []*client
	idlers  []net.Conn
}

// client is one connection with its buffers.
type client struct {
	*generator
	conn    net.Conn
	rng     *rand.Rand
	request []byte
	reply   []byte
	wants   [][]byte
	latency *hdrhistogram.Histogram
	ops     int64
}

const stored = "STORED\r\n"

// text is what a load says and hears about one key.
type text struct{ set, get, value []byte }

// textOf returns the text for the i-th key.
func textOf(i, size int) text {
	key := fmt.Sprintf("/page/%08d?", i)
	value := append(bytes.Repeat([]byte{'v'}, size-8), fmt.Sprintf("%08d", i)...)
	return text{
		set:   fmt.Appendf(nil, "set %s 0 0 %d\r\n%s\r\n", key, size, value),
		get:   []byte("get " + key + "\r\n"),
		value: fmt.Appendf(nil, "VALUE %s 0 %d\r\n%s\r\nEND\r\n", key, size, value),
	}
}

// connect opens the load's connections and stores its values.
func (l load) connect(p *process) (*generator, error) {
	g := &generator{load: l, server: p}
	for i := range l.keys {
		g.texts = append(g.texts, textOf(i, l.size))
	}
	for range l.idle {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			g.close()
			return nil, err
		}
		g.idlers = append(g.idlers, c)
	}
	for i := range l.conns {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			g.close()
			return nil, err
		}
		g.clients = append(g.clients, &client{
			generator: g, conn: c, rng: rand.New(rand.NewPCG(1, uint64(i))),
			latency: newResult().latency,
		})
	}
	return g, g.fill()
}

func (g *generator) close() {
	for _, c := range g.clients {
		c.conn.Close()
	}
	for _, c := range g.idlers {
		c.Close()
	}
}

// fill stores the values.
func (g *generator) fill() error {
	c := g.clients[0]
	for _, t := range g.texts {
		c.wants = append(c.wants[:0], []byte(stored))
		if err := c.exchange(t.set); err != nil {
			return err
		}
	}
	return nil
}

// drive puts the load on the server for a while. The connections send as fast as they can, or, with a pace, that many
// requests a second in all.
func (g *generator) drive(ctx context.Context, d time.Duration, pace int) (*result, error) {
	var interval time.Duration
	if pace > 0 {
		interval = time.Second * time.Duration(len(g.clients)*g.depth) / time.Duration(pace)
	}
	before, err := g.server.cpu()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	end := start.Add(d)
	errs := make([]error, len(g.clients))
	var all sync.WaitGroup
	for i, c := range g.clients {
		all.Go(func() { errs[i] = c.work(ctx, end, interval) })
	}
	all.Wait()
	r := newResult()
	r.elapsed = time.Since(start)
	after, err := g.server.cpu()
	r.cpu = after - before
	for _, c := range g.clients {
		r.ops += c.ops
		r.latency.Merge(c.latency)
	}
	return r, errors.Join(append(errs, err, ctx.Err())...)
}

// work sends and receives until the end, a round trip per interval, or one after the other if that is 0.
func (c *client) work(ctx context.Context, end time.Time, interval time.Duration) error {
	c.ops = 0
	c.latency.Reset()
	if err := c.conn.SetDeadline(end.Add(10 * time.Second)); err != nil {
		return err
	}
	// Nobody's clients ask all at the same moment.
	next := time.Now().Add(time.Duration(c.rng.Float64() * float64(interval)))
	for now := time.Now(); now.Before(end) && ctx.Err() == nil; {
		if interval > 0 {
			time.Sleep(time.Until(next))
			next = next.Add(interval)
			now = time.Now()
		}
		if err := c.roundTrip(); err != nil {
			return fmt.Errorf("%s under %s: %w", c.server.name, c.name, err)
		}
		then := time.Now()
		_ = c.latency.RecordValue(int64(then.Sub(now))) // within a minute by the deadline
		now = then
		c.ops += int64(c.depth)
	}
	return nil
}

// roundTrip sends as many commands as are in flight and reads and compares all that comes back.
func (c *client) roundTrip() error {
	c.request, c.wants = c.request[:0], c.wants[:0]
	for range c.depth {
		t := c.texts[c.rng.IntN(len(c.texts))]
		if c.rng.Float64() < c.sets {
			c.request, c.wants = append(c.request, t.set...), append(c.wants, []byte(stored))
		} else {
			c.request, c.wants = append(c.request, t.get...), append(c.wants, t.value)
		}
	}
	return c.exchange(c.request)
}

// exchange sends a request and compares the reply with what is wanted.
func (c *client) exchange(request []byte) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	length := 0
	for _, want := range c.wants {
		length += len(want)
	}
	if cap(c.reply) < length {
		c.reply = make([]byte, length)
	}
	rest := c.reply[:length]
	if n, err := io.ReadFull(c.conn, rest); err != nil {
		return fmt.Errorf("%w after %.100q", err, rest[:n])
	}
	for _, want := range c.wants {
		if !bytes.Equal(rest[:len(want)], want) {
			return fmt.Errorf("wrong answer %.100q, want %.100q", rest, want)
		}
		rest = rest[len(want):]
	}
	return nil
}
