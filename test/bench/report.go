package main

import (
	"embed"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
	"time"
)

//go:embed report
var reportTemplates embed.FS

// report is all that was found.
type report struct {
	pageOptions
	loads []measured
	held  []memory
	took  time.Duration
}

// heads are the columns of a load's table.
var heads = []string{"", "CPU per request", "of ours", "requests/s", "p50", "p99"}

// rows returns the cells of a load's table.
func (m measured) rows() (rows [][]string) {
	ours, _ := m.of(gatewayName)
	for _, e := range m.entries {
		rows = append(rows, []string{e.name, micros(e.cpuPerRequest()), ratio(e.cpuPerRequest(), ours.cpuPerRequest()),
			fmt.Sprintf("%.0f", e.perSecond()), millis(e.p50), millis(e.p99)})
	}
	return rows
}

func millis(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }

// print prints a load's table.
func (m measured) print(out io.Writer) error {
	t := newTable(out, append(cells(heads), "of which")...)
	for i, row := range m.rows() {
		t.row(append(cells(row), m.entries[i].parts())...)
	}
	return t.flush()
}

// parts tells what each of a contender's servers has of the CPU time, where it has several.
func (e entry) parts() string {
	if len(e.servers) < 2 {
		return ""
	}
	var parts []string
	for i, name := range e.servers {
		parts = append(parts, fmt.Sprintf("%s %s", name, micros(e.shares[i]/time.Duration(e.requests))))
	}
	return strings.Join(parts, ", ")
}

func cells(row []string) (cells []any) {
	for _, c := range row {
		cells = append(cells, c)
	}
	return cells
}

// markdown is what report/benchmarks.md asks for.
type markdown struct {
	*report
	Machine []fact
	Targets string
	Hits    []tableText
	Paced   []tableText
	Misses  []tableText
	Memory  string
}

type tableText struct{ Title, Table string }

// Took and the others are the options as the text says them.
func (m markdown) Took() string         { return fmt.Sprintf("%.0f minutes", m.took.Minutes()) }
func (m markdown) Rounds() int          { return m.rounds }
func (m markdown) Slice() time.Duration { return m.slice }
func (m markdown) Rate() int            { return pageRate }

// write writes benchmarks.md and its pictures.
func (r *report) write(dir string) error {
	facts, err := describeMachine()
	if err != nil {
		return err
	}
	md := markdown{report: r, Machine: facts, Targets: r.targetTable(), Memory: r.memoryTable()}
	for _, m := range r.loads {
		t := tableText{m.title(), markdownTable(heads, m.rows())}
		switch {
		case m.asked == newPages:
			md.Misses = append(md.Misses, t)
		case m.pace > 0:
			md.Paced = append(md.Paced, t)
		default:
			md.Hits = append(md.Hits, t)
		}
	}
	for _, p := range pictures {
		var of []measured
		for _, m := range r.loads {
			if p.shows(m.pageLoad) {
				of = append(of, m)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, p.file), []byte(drawBars(p.title, of)), 0o644); err != nil {
			return err
		}
	}
	t, err := template.ParseFS(reportTemplates, "report/benchmarks.md")
	if err != nil {
		return err
	}
	var b strings.Builder
	if err := t.Execute(&b, md); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "benchmarks.md"), []byte(b.String()), 0o644)
}

// title is a load as a heading says it.
func (l pageLoad) title() string {
	what := map[asked]string{onePage: "one page", manyPages: "many pages", newPages: "a new page each"}[l.asked]
	return fmt.Sprintf("%s, %s, %d connections", sizeName(l.size), what, l.conns)
}

func (r *report) memoryTable() string {
	var rows [][]string
	for _, m := range r.held {
		rows = append(rows, []string{m.name, mib(m.taken), ratio(m.taken, m.pages)})
	}
	return markdownTable([]string{"", "more resident memory", "of the pages' bytes"}, rows)
}

func markdownTable(heads []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(heads)
	line(append([]string{"---"}, slices.Repeat([]string{"---:"}, len(heads)-1)...))
	for _, row := range rows {
		line(row)
	}
	return b.String()
}
