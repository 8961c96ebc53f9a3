package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

//go:embed wrk
var wrkScripts embed.FS

// wrkThreads is how many threads wrk has.
const wrkThreads = 2

// hits is the name of a page load's kind: what its requests ask for.
type asked string

const (
	onePage   asked = "one page"
	manyPages asked = "zipf" // as wrk/zipf.lua draws them
	newPages  asked = "miss" // each once
)

// pageLoad is what the clients of a web server do.
type pageLoad struct {
	asked asked
	size  int // bytes of a page's body
	conns int
	pace  int // requests a second; 0 for as many as the server answers
}

func (l pageLoad) String() string {
	name := fmt.Sprintf("%s %s, %d connections", l.asked, sizeName(l.size), l.conns)
	if l.pace > 0 {
		name += fmt.Sprintf(", %d requests/s", l.pace)
	}
	return name
}

func sizeName(size int) string { return fmt.Sprintf("%d KiB", size>>10) }

// turn is what a server made of one turn of a load.
type turn struct {
	requests int64
	elapsed  time.Duration
	cpu      time.Duration
	shares   []time.Duration // of it, each server's
	p50, p99 time.Duration
}

func (t turn) cpuPerRequest() time.Duration { return t.cpu / time.Duration(max(t.requests, 1)) }
func (t turn) perSecond() float64           { return float64(t.requests) / t.elapsed.Seconds() }

// wrk gives loads to servers.
type wrk struct {
	program string
	dir     string // for its scripts
	pages   int    // of a load that asks for many
	turns   int    // so far
}

// drive gives a load to a server for a while and returns what came of it. An answer other than 200 is an error.
func (w *wrk) drive(ctx context.Context, l pageLoad, c *contender, d time.Duration) (turn, error) {
	w.turns++
	script, err := w.script(l)
	if err != nil {
		return turn{}, err
	}
	cmd := exec.CommandContext(ctx, w.program,
		// It is interrupted when the turn ends, as it knows whole seconds only.
		"-t", fmt.Sprint(min(wrkThreads, l.conns)), "-c", fmt.Sprint(l.conns), "-d", "10m", "--timeout", "10s", "-s", script,
		fmt.Sprintf("http://%s/%d/1", c.addr(l.size), l.size))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	before, err := c.cpu()
	if err != nil {
		return turn{}, err
	}
	if err := cmd.Start(); err != nil {
		return turn{}, err
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
	if err := errors.Join(interrupt(cmd), ctx.Err()); err != nil {
		return turn{}, fmt.Errorf("wrk: %w: %s", err, out.String())
	}
	after, err := c.cpu()
	if err != nil {
		return turn{}, err
	}
	t, err := parseWrk(out.String(), l)
	for i := range after {
		t.shares = append(t.shares, after[i]-before[i])
		t.cpu += t.shares[i]
	}
	if err != nil {
		return t, fmt.Errorf("%s under %s: %w", c.name, l, err)
	}
	return t, nil
}

// interrupt ends wrk as Ctrl-C does, upon which it says what it has found, and waits for its end.
func interrupt(cmd *exec.Cmd) error {
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		if s, err := readStat(cmd.Process.Pid); err == nil && s.catches(syscall.SIGINT) {
			_ = cmd.Process.Signal(syscall.SIGINT) // it may have ended
		}
		// Once more, should it have come before wrk went to sleep.
		select {
		case err := <-ended:
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// script writes the Lua script of a load and returns its path.
func (w *wrk) script(l pageLoad) (string, error) {
	text := fmt.Appendf(nil, "size, pages, turn = %d, %d, %d\n", l.size, w.pages, w.turns)
	parts := []string{"report"}
	if l.asked != onePage {
		parts = append(parts, string(l.asked))
	}
	if l.pace > 0 {
		text = fmt.Appendf(text, "pause = %d\n", 1000*l.conns/l.pace)
		parts = append(parts, "pace")
	}
	for _, part := range parts {
		b, err := wrkScripts.ReadFile("wrk/" + part + ".lua")
		if err != nil {
			return "", err
		}
		text = append(text, b...)
	}
	name := filepath.Join(w.dir, "load.lua")
	return name, os.WriteFile(name, text, 0o644)
}

// parseWrk reads what wrk/report.lua prints.
func parseWrk(out string, l pageLoad) (turn, error) {
	line := out[max(0, strings.Index(out, "RESULT")):]
	var t turn
	var micros, bytes, failed int64
	var p50, p99 int64
	if _, err := fmt.Sscanf(line, "RESULT %d %d %d %d %d %d", &t.requests, &micros, &bytes, &failed, &p50, &p99); err != nil {
		return t, fmt.Errorf("wrk said %q", out)
	}
	t.elapsed = time.Duration(micros) * time.Microsecond
	t.p50, t.p99 = time.Duration(p50)*time.Microsecond, time.Duration(p99)*time.Microsecond
	switch {
	case failed > 0:
		return t, fmt.Errorf("%d of %d requests failed", failed, t.requests)
	case t.requests == 0 || bytes < t.requests*int64(l.size):
		return t, fmt.Errorf("%d bytes in %d answers are fewer than the pages'", bytes, t.requests)
	}
	return t, nil
}

// medianTurn takes each figure's median.
func medianTurn(turns []turn) turn {
	of := func(figure func(turn) time.Duration) time.Duration {
		var all []time.Duration
		for _, t := range turns {
			all = append(all, figure(t))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	const base = 1_000_000 // requests: large enough for the rounding not to matter
	var shares []time.Duration
	for i := range turns[0].shares {
		shares = append(shares, of(func(t turn) time.Duration { return t.shares[i] * base / time.Duration(max(t.requests, 1)) }))
	}
	return turn{
		shares:   shares,
		requests: base,
		cpu:      of(turn.cpuPerRequest) * base,
		elapsed:  of(func(t turn) time.Duration { return t.elapsed * base / time.Duration(max(t.requests, 1)) }),
		p50:      of(func(t turn) time.Duration { return t.p50 }),
		p99:      of(func(t turn) time.Duration { return t.p99 }),
	}
}
