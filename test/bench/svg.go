package main

import (
	"fmt"
	"slices"
	"strings"
)

// picture is a file of bars.
type picture struct {
	file, title string
	shows       func(pageLoad) bool
}

var pictures = []picture{
	{"benchmarks-hits.svg", "CPU time per hit, full speed, 50 connections", func(l pageLoad) bool {
		return l.asked == onePage && l.conns == 50 && l.pace == 0
	}},
	{"benchmarks-paced.svg", fmt.Sprintf("CPU time per hit, %d requests a second", pageRate), func(l pageLoad) bool { return l.pace > 0 }},
	{"benchmarks-misses.svg", "CPU time per miss, 50 connections", func(l pageLoad) bool { return l.asked == newPages }},
}

// The bars' measures in pixels.
const (
	svgWidth  = 760
	nameWidth = 220
	barWidth  = 440
	barHeight = 16
	lineStep  = 22
	headStep  = 34
)

// drawBars draws a panel of bars for each load. The scale of a panel ends at its second-longest bar, so that one that is
// beyond all others does not flatten them; it is cut off, and its figure stands beside it.
func drawBars(title string, loads []measured) string {
	var b strings.Builder
	y := headStep
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line(`<text class="title" x="8" y="%d">%s</text>`, y-10, title)
	for _, m := range loads {
		y += headStep
		line(`<text class="head" x="8" y="%d">%s</text>`, y-10, m.title())
		scale := panelScale(m)
		for _, e := range m.entries {
			cost := float64(e.cpuPerRequest()) / 1000
			width, class, mark := cost/scale*barWidth, "peer", ""
			if isOurs(e.name) {
				class = "ours"
			} else if e.name == floorName || e.name == passName {
				class = "floor"
			}
			if width > barWidth {
				width, mark = barWidth, " »"
			}
			line(`<text x="%d" y="%d" text-anchor="end">%s</text>`, nameWidth-8, y+barHeight-3, e.name)
			line(`<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, class, nameWidth, y, width, barHeight)
			line(`<text x="%.1f" y="%d">%.1f us%s</text>`, nameWidth+width+6, y+barHeight-3, cost, mark)
			y += lineStep
		}
	}
	const style = `text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:15px;font-weight:600}.head{font-weight:600}` +
		`.ours{fill:#2a78d6}.peer{fill:#9aa5b1}.floor{fill:#c9ced6}` +
		`@media(prefers-color-scheme:dark){text{fill:#ddd}.ours{fill:#5aa2f2}.peer{fill:#6b7683}.floor{fill:#47505a}}`
	return fmt.Sprintf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %[1]d %[2]d\" width=\"%[1]d\" height=\"%[2]d\">\n<style>%[3]s</style>\n%[4]s</svg>\n",
		svgWidth, y+12, style, b.String())
}

func isOurs(name string) bool {
	return slices.Contains([]string{gatewayName, overCacheName, shippedName, fillerName}, name)
}

// panelScale is the second-largest CPU time in microseconds, or the largest where that is not far off.
func panelScale(m measured) float64 {
	var all []float64
	for _, e := range m.entries {
		all = append(all, float64(e.cpuPerRequest())/1000)
	}
	if len(all) == 0 {
		return 1
	}
	slices.Sort(all)
	largest := all[len(all)-1]
	if len(all) > 1 && largest > 2*all[len(all)-2] {
		return all[len(all)-2]
	}
	return largest
}
