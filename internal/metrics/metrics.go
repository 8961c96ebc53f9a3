// Package metrics holds every metric of the flow: its name, help and labels. A Metrics is made once by a main and given
// to whoever counts; every series that can ever exist is there from the start, so that a rate over it is never absent.
// Nothing is registered globally: the set has a registry of its own, which internal/admin serves.
package metrics

import (
	"maps"
	"regexp"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"pagegate/internal/policy"
)

// Outcomes of a request; the values of the label "outcome".
const (
	Hit         = "hit"         // answered from the cache, fresh
	Stale       = "stale"       // answered from the cache past its freshness, since the backend failed
	Miss        = "miss"        // answered by a fill that this request started
	Revalidated = "revalidated" // answered from the cache after the backend confirmed the page
	Collapsed   = "collapsed"   // answered by a fill that another request had started
	Pass        = "pass"        // the client's own exchange with the backend
	Failed      = "error"       // no answer to be had: 502 or 504
	Refused     = "refused"     // a bad request: 400
)

// Operations on the cache; the values of the label "op".
const (
	OpGet    = "get"
	OpSet    = "set"
	OpLock   = "lock"
	OpDelete = "delete"
)

// Reasons of the flow itself why a page was not stored, besides the policy's.
const (
	NotStoredQueueFull = policy.Reason("queue-full")
	NotStoredKey       = policy.Reason("key")
	NotStoredCacheSize = policy.Reason("cache-too-large")
	NotStoredCache     = policy.Reason("cache-error")
	NotStoredCut       = policy.Reason("body-cut")
	NotStoredPurged    = policy.Reason("purged")
)

// Metrics counts what the flow does. Its fields are safe for concurrent use.
type Metrics struct {
	Registry *prometheus.Registry

	requestVec *prometheus.CounterVec
	requests   atomic.Pointer[map[request]prometheus.Counter]

	notStored   map[policy.Reason]prometheus.Counter
	passes      map[policy.Reason]prometheus.Counter
	cacheErrors map[string]prometheus.Counter

	Fills          prometheus.Counter   // fetches made for more than one client
	Stored         prometheus.Counter   // pages written to the cache
	Purged         prometheus.Counter   // pages removed or made stale by purges
	BackendErrors  prometheus.Counter   // fetches that failed or were answered with a 5xx
	BackendSeconds prometheus.Histogram // until a fetch's head was there
	StoreQueue     prometheus.Gauge     // pages waiting to be written
	PageBytes      prometheus.Histogram // bodies of the pages written to the cache
}

// New makes a set of its own for one program.
func New() *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		Fills: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pagegate_fills_total", Help: "Shared fetches from the backend."}),
		Stored: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pagegate_stored_total", Help: "Pages written to the cache."}),
		Purged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pagegate_purged_total", Help: "Pages that purges removed or made stale."}),
		BackendErrors: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pagegate_backend_errors_total", Help: "Fetches that failed, or that the backend answered with a 5xx."}),
		BackendSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pagegate_backend_seconds", Help: "Time until the backend's response head was there.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}),
		StoreQueue: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pagegate_store_queue", Help: "Pages waiting to be written to the cache."}),
		PageBytes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pagegate_page_bytes", Help: "Size of the bodies of pages written to the cache.",
			Buckets: prometheus.ExponentialBuckets(1<<10, 4, 8)}), // 1 KiB to 16 MiB
	}
	m.requestVec = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "pagegate_requests_total", Help: "Requests by route, which is the path rule that held for them, and by what became of them."},
		[]string{"route", "outcome"})
	m.Registry.MustRegister(m.requestVec)
	m.Rules(policy.DefaultRule)
	m.notStored = series(m, "pagegate_not_stored_total", "Fetched pages that were not stored, by the reason.", "reason",
		policy.ReasonStatus, policy.ReasonNoStore, policy.ReasonPrivate, policy.ReasonNoCache, policy.ReasonSetCookie,
		policy.ReasonVary, policy.ReasonEncoding, policy.ReasonNoFreshness, policy.ReasonExpired, policy.ReasonTooLarge,
		policy.ReasonInvalid, NotStoredQueueFull, NotStoredKey, NotStoredCacheSize, NotStoredCache, NotStoredCut,
		NotStoredPurged)
	m.passes = series(m, "pagegate_passes_total", "Requests that could not share a page, by the reason.", "reason",
		policy.ReasonRule, policy.ReasonMethod, policy.ReasonRequestBody, policy.ReasonAuthorization, policy.ReasonCookie,
		policy.ReasonRequestStore, policy.ReasonConditional, policy.ReasonUnstorable, policy.ReasonSpelling, policy.ReasonHost)
	m.cacheErrors = series(m, "pagegate_cache_errors_total", "Operations on the cache that failed.", "op",
		OpGet, OpSet, OpLock, OpDelete)
	m.Registry.MustRegister(m.Fills, m.Stored, m.Purged, m.BackendErrors, m.BackendSeconds, m.StoreQueue, m.PageBytes,
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectorTime)),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// collectorTime is the garbage collector's CPU time, which Go's own metrics lack unless asked for:
// go_cpu_classes_gc_total_cpu_seconds_total.
var collectorTime = collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/cpu/classes/gc/total:`)}

// Store adds the figures of a store in this process, which are read whenever the metrics are.
func (m *Metrics) Store(pages, bytes, limit, evictions func() float64) {
	gauge := func(name, help string, value func() float64) {
		m.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("pagegate_store_pages", "Pages in the process's own store, expired ones that nobody has asked for included.", pages)
	gauge("pagegate_store_bytes", "Bytes of keys, records and bodies in the process's own store.", bytes)
	gauge("pagegate_store_limit_bytes", "Bytes of memory that the process's own store may use.", limit)
	m.Registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "pagegate_store_evictions_total", Help: "Pages that went out of the process's own store for others."}, evictions))
}

// Backend adds whether the backend is taken to be down, which is read whenever the metrics are.
func (m *Metrics) Backend(down func() bool) {
	m.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "pagegate_backend_down", Help: "1 while the backend is taken to be down and asked once a second."}, func() float64 {
		if down() {
			return 1
		}
		return 0
	}))
}

// series registers a counter for each value of a label and returns them by value, so that counting is one look-up in a
// map that never changes.
func series[V ~string](m *Metrics, name, help, label string, values ...V) map[V]prometheus.Counter {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	m.Registry.MustRegister(vec)
	out := make(map[V]prometheus.Counter, len(values))
	for _, v := range values {
		out[v] = vec.WithLabelValues(string(v))
	}
	return out
}

// request is what requests are counted by.
type request struct{ route, outcome string }

// Rules makes the series of requests for the path rules of those names, besides those that there are. It is not called by
// two at once; requests may be counted meanwhile.
func (m *Metrics) Rules(names ...string) {
	all := make(map[request]prometheus.Counter)
	if old := m.requests.Load(); old != nil {
		maps.Copy(all, *old)
	}
	for _, rule := range names {
		for _, outcome := range []string{Hit, Stale, Miss, Revalidated, Collapsed, Pass, Failed, Refused} {
			all[request{rule, outcome}] = m.requestVec.WithLabelValues(rule, outcome)
		}
	}
	m.requests.Store(&all)
}

// Request counts a request by the path rule that held for it and by its outcome, one of the constants above. A rule whose
// series have not been made counts as the default.
func (m *Metrics) Request(rule, outcome string) {
	all := *m.requests.Load()
	c, ok := all[request{rule, outcome}]
	if !ok {
		c = all[request{policy.DefaultRule, outcome}]
	}
	c.Inc()
}

// NotStored counts a fetched page that was not stored.
func (m *Metrics) NotStored(why policy.Reason) { count(m.notStored, why) }

// NotStoredCounter returns the counter of one of those reasons.
func (m *Metrics) NotStoredCounter(why policy.Reason) prometheus.Counter { return m.notStored[why] }

// Passed counts a request that could not share a page.
func (m *Metrics) Passed(why policy.Reason) { count(m.passes, why) }

// CacheError counts an operation that failed, one of the Op constants.
func (m *Metrics) CacheError(op string) { count(m.cacheErrors, op) }

func count[V ~string](of map[V]prometheus.Counter, v V) {
	if c, ok := of[v]; ok {
		c.Inc()
	}
}
