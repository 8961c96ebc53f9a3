//go:build !race

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test's own program be the floor: the benchmark starts itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == floorCommand {
		main()
		return
	}
	os.Exit(m.Run())
}

// only chooses half of the loads, one of each kind.
const only = "16 KiB"

// The benchmark itself works: every server starts with its configuration, is filled, and takes each load that is meant for
// it with hits or misses only, which the benchmark sees to; and what it writes is whole. Nothing is said of time.
func TestBenchPages(t *testing.T) {
	bin, docs := t.TempDir(), t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "pagegate/cacheserver", "pagegate/filler", "pagegate/gateway").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// Within the test's own bound, so that no server outlives it.
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out bytes.Buffer
	err := run(ctx, []string{"pages", "--bin", bin, "--nginx-conf", "../../nginx", "--out", docs,
		"--slice", "20ms", "--rounds", "1", "--pages", "100", "--load", only}, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	text, err := os.ReadFile(filepath.Join(docs, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entrants {
		want := 0
		for _, l := range pageLoads {
			if strings.Contains(l.String(), only) && (l.asked == newPages && e.misses || l.asked != newPages && e.hits) {
				want++
			}
		}
		if got := strings.Count(string(text), "\n| "+e.name+" | ") - boolToInt(e.hits && e.name != floorName); got != want {
			t.Errorf("%s has %d lines in the loads' tables, want %d", e.name, got, want)
		}
	}
	// Each but the last two, about memory and the garbage collector, is there for both sizes.
	if got, want := strings.Count(string(text), "| reached |")+strings.Count(string(text), "| **missed**"), len(targets())/2+1; got != want {
		t.Errorf("%d targets are judged, want %d", got, want)
	}
	for _, p := range pictures {
		svg, err := os.ReadFile(filepath.Join(docs, p.file))
		if err != nil || !strings.Contains(string(text), "("+p.file+")") || strings.Count(string(svg), "<rect") < 8 {
			t.Errorf("%s: %v, %d bars", p.file, err, strings.Count(string(svg), "<rect"))
		}
	}
}

// boolToInt counts a contender's line in the table about memory.
func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
