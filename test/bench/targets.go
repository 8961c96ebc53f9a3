package main

import "fmt"

// target is a ratio that was to be reached.
type target struct {
	what string
	most float64
	got  func(*report) (float64, bool)
}

// cost compares the CPU time of a request: a's under one load with b's under another.
func cost(a string, la pageLoad, b string, lb pageLoad) func(*report) (float64, bool) {
	return func(r *report) (float64, bool) {
		ta, ok1 := r.find(la, a)
		tb, ok2 := r.find(lb, b)
		return float64(ta.cpuPerRequest()) / float64(max(tb.cpuPerRequest(), 1)), ok1 && ok2
	}
}

// worstP99 compares our p99 with the best peer's.
func worstP99(l pageLoad) func(*report) (float64, bool) {
	return func(r *report) (float64, bool) {
		ours, ok := r.find(l, gatewayName)
		worst := 0.0
		for _, peer := range []string{tutorialName, tunedName, proxyName, haproxyName, varnishName, staticName} {
			if t, there := r.find(l, peer); there {
				worst = max(worst, float64(ours.p99)/float64(max(t.p99, 1)))
			}
		}
		return worst, ok && worst > 0
	}
}

func (r *report) find(l pageLoad, name string) (turn, bool) {
	for _, m := range r.loads {
		if m.pageLoad == l {
			return m.of(name)
		}
	}
	return turn{}, false
}

// targets are the project's, all of them ratios within one run.
func targets() (all []target) {
	add := func(most float64, got func(*report) (float64, bool), what string, args ...any) {
		all = append(all, target{fmt.Sprintf(what, args...), most, got})
	}
	for _, size := range []int{1 << 10, 16 << 10} {
		l, many, paced := pageLoad{onePage, size, 50, 0}, pageLoad{onePage, size, 1000, 0}, pageLoad{onePage, size, 50, pageRate}
		miss := pageLoad{newPages, size, 50, 0}
		for _, t := range []struct {
			peer string
			most float64
		}{{floorName, 1.5}, {haproxyName, 0.8}, {proxyName, 0.5}, {varnishName, 0.33}, {tunedName, 0.3}} {
			add(t.most, cost(gatewayName, l, t.peer, l), "%s: a hit of the gateway / of %s", sizeName(size), t.peer)
			if t.peer == tunedName {
				add(0.25, cost(shippedName, l, tutorialName, l), "%s: a hit of %s / of %s", sizeName(size), shippedName, tutorialName)
				add(1, cost(shippedName, l, tunedName, l), "%s: a hit of %s / of %s", sizeName(size), shippedName, tunedName)
			}
		}
		add(1.3, cost(gatewayName, many, gatewayName, l), "%s: a hit of the gateway, 1,000 connections / 50", sizeName(size))
		add(1, worstP99(paced), "%s: the gateway's p99 / the best peer's at %d requests/s", sizeName(size), pageRate)
		add(1.3, cost(gatewayName, miss, passName, miss), "%s: a miss of the gateway / nginx proxy_pass", sizeName(size))
		add(1.3, cost(fillerName, miss, passName, miss), "%s: a miss of the filler, with cacheserver / nginx proxy_pass", sizeName(size))
	}
	add(1.1, memoryRatio, "memory of the gateway for many pages of 16 KiB / their bytes")
	add(0.02, collectorShare, "GC's share of the gateway's CPU time under full load, many pages of 16 KiB")
	return all
}

func memoryRatio(r *report) (float64, bool) {
	for _, m := range r.held {
		if m.name == gatewayName {
			return float64(m.taken) / float64(m.pages), true
		}
	}
	return 0, false
}

// figure writes a ratio with as many places as the target's is told by.
func (t target) figure(ratio float64) string {
	if t.most < 0.1 {
		return fmt.Sprintf("%.4f", ratio)
	}
	return fmt.Sprintf("%.2f", ratio)
}

// targetTable says which targets are reached.
func (r *report) targetTable() string {
	var rows [][]string
	for _, t := range targets() {
		got, ok := t.got(r)
		verdict := "reached"
		switch {
		case !ok:
			continue // not measured in this run
		case got > t.most:
			verdict = fmt.Sprintf("**missed** by %.0f%%", 100*(got/t.most-1))
		}
		rows = append(rows, []string{t.what, t.figure(t.most), t.figure(got), verdict})
	}
	return markdownTable([]string{"ratio", "at most", "now", ""}, rows)
}
