package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// collected is what the garbage collector of a contender's server had taken of the CPU time up to a moment.
type collected struct{ collector, all time.Duration }

// collectorMetric is in seconds. The runtime brings it up to date when a collection ends, and counts what the collector does in
// otherwise idle time too, by the wall clock: on a busy machine it says rather too much.
const collectorMetric = "go_cpu_classes_gc_total_cpu_seconds_total"

// collected reads both from a contender that tells its metrics. The whole CPU time is the kernel's figure, since the runtime's
// would count the wait for clients.
func (c *contender) collected(ctx context.Context) (now collected, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.admin+"/metrics", nil)
	if err != nil {
		return now, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return now, err
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), collectorMetric+" "); ok {
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return now, err
			}
			now.collector = time.Duration(seconds * float64(time.Second))
			each, err := c.cpu()
			for _, t := range each {
				now.all += t
			}
			return now, err
		}
	}
	return now, fmt.Errorf("%s does not tell %s: %s", c.name, collectorMetric, resp.Status)
}

// collectedOf asks those who tell it, by the contenders' names.
func collectedOf(ctx context.Context, all []hand) (map[string]collected, error) {
	of := make(map[string]collected)
	for _, h := range all {
		if h.admin == "" {
			continue
		}
		now, err := h.collected(ctx)
		if err != nil {
			return nil, err
		}
		of[h.entrant.name] = now
	}
	return of, nil
}

// share is the collector's part of the CPU time since an earlier moment.
func (now collected) share(since collected) float64 {
	return float64(now.collector-since.collector) / float64(max(now.all-since.all, 1))
}

// collectorShare is the part that the garbage collector has in the gateway's work under full load, all pages of 16 KiB being
// asked for.
func collectorShare(r *report) (float64, bool) {
	for _, m := range r.loads {
		if m.pageLoad == (pageLoad{manyPages, 16 << 10, 50, 0}) {
			share, ok := m.collector[gatewayName]
			return share, ok
		}
	}
	return 0, false
}
