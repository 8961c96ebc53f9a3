package metrics

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/metrics.md lists every metric of this package with its labels, and no other; of Go's and the process's, it names only
// such as there are.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	told := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) > 3 {
			for _, name := range regexp.MustCompile("`(pagegate_[a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
				for _, label := range regexp.MustCompile("`([a-z]+)`").FindAllStringSubmatch(cells[2], -1) {
					told[name[1]] = append(told[name[1]], label[1])
				}
				slices.Sort(told[name[1]])
				told[name[1]] = append([]string{}, told[name[1]]...)
			}
		}
	}
	m := New()
	m.Store(func() float64 { return 0 }, func() float64 { return 0 }, func() float64 { return 0 }, func() float64 { return 0 })
	m.Backend(func() bool { return false })
	families, err := m.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]bool)
	seen := 0
	for _, f := range families {
		all[f.GetName()] = true
		if !strings.HasPrefix(f.GetName(), "pagegate_") {
			continue
		}
		seen++
		labels := []string{}
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		if want, ok := told[f.GetName()]; !ok || !slices.Equal(want, labels) {
			t.Errorf("%s has the labels %q, documented are %q (%v)", f.GetName(), labels, want, ok)
		}
	}
	others := regexp.MustCompile(`\b(?:go|process)_[a-z_]+`).FindAllString(string(text), -1)
	for _, name := range others {
		if !all[name] {
			t.Errorf("there is no %s", name)
		}
	}
	if len(others) == 0 {
		t.Error("nothing is said of Go's metrics")
	}
	if seen != len(told) {
		t.Errorf("%d metrics, %d documented", seen, len(told))
	}
}
