//go:build !race

// Under the race detector the load would take a minute and show nothing else.

package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// runTable runs a section of the benchmark and returns its lines' cells; columns are parted by two spaces or more.
func runTable(t *testing.T, cacheserver string, args ...string) [][]string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), append([]string{"cacheserver", "--cacheserver", cacheserver}, args...), &out); err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(out.String()) {
		var cells []string
		for cell := range strings.SplitSeq(strings.TrimSpace(line), "  ") {
			if cell = strings.TrimSpace(cell); cell != "" {
				cells = append(cells, cell)
			}
		}
		if len(cells) > 0 {
			rows = append(rows, cells)
		}
	}
	return rows[1:]
}

// The benchmark itself works, and what does not depend on time is as promised: how much is held.
func TestMemoryAndLoadBench(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "cacheserver")
	if out, err := exec.Command("go", "build", "-o", bin, "pagegate/cacheserver").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if rows := runTable(t, bin, "--only", "load", "--slice", "20ms", "--rounds", "1"); len(rows) != len(cacheLoads) || len(rows[0]) != 13 {
		t.Errorf("loads: %q", rows)
	}
	if rows := runTable(t, bin, "--only", "tail", "--items", "5000", "--slice", "20ms", "--rounds", "1"); len(rows) != 2 || len(rows[0]) != 6 {
		t.Errorf("tail: %q", rows)
	}
	for i, row := range runTable(t, bin, "--only", "memory") {
		if got, least := number(t, row[3]), []float64{1.1, 1.04}[i]; got < least {
			t.Errorf("%q: %v of what memcached holds, want %v", row, got, least)
		}
		if resident := number(t, strings.TrimSuffix(row[4], " MiB")); resident > 1.1*128+30 {
			t.Errorf("%q: %v MiB resident", row, resident)
		}
	}
	if row := runTable(t, bin, "--only", "calcified")[0]; number(t, row[3]) < 0.8 {
		t.Errorf("%q: less than 0.8 of a fresh server's pages are kept", row)
	}
}

// pauseMost is how long nothing may keep others waiting.
const pauseMost = 5 * time.Millisecond

// A growing store keeps nobody waiting: neither its index nor its lists, nor the collector. CPU time is not the machine's whim, but where
// processors are lent out, time that they were away may be in it: what is over the limit three times is the store's.
func TestPausesBench(t *testing.T) {
	var p pauses
	for range 3 {
		var err error
		if p, err = measurePauses(t.Context(), 4, 1_000_000); err != nil {
			t.Fatal(err)
		}
		if p.collections == 0 {
			t.Fatal("the collector has not run: the figures say nothing of it")
		}
		if max(p.set, p.step, p.stop) < pauseMost {
			return
		}
	}
	t.Errorf("%+v, want less than %v", p, pauseMost)
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
