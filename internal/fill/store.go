package fill

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"pagegate/internal/metrics"
	"pagegate/internal/origin"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/policy"
)

// job is a page to be written, and what follows when it is.
type job struct {
	key  string
	page *page.Page
	land func()
}

// storer writes pages to the cache beside the answering: fixed workers behind a bounded queue.
type storer struct {
	jobs    chan job
	workers sync.WaitGroup
	metrics *metrics.Metrics
}

func newStorer(workers, queue int, store func(job), m *metrics.Metrics) *storer {
	s := &storer{jobs: make(chan job, queue), metrics: m}
	for range workers {
		s.workers.Go(func() {
			for j := range s.jobs {
				m.StoreQueue.Dec()
				store(j)
			}
		})
	}
	return s
}

// put queues a job, or tells that there is no room.
func (s *storer) put(j job) bool {
	select {
	case s.jobs <- j:
		s.metrics.StoreQueue.Inc()
		return true
	default:
		return false
	}
}

// close waits until the queue is empty. No put may run or follow.
func (s *storer) close() {
	close(s.jobs)
	s.workers.Wait()
}

// enqueue hands a response whose body is whole to the workers. The flight lands when the page lies in the cache.
func (f *Filler) enqueue(fl *flight, resp *origin.Response, d policy.Decision, now time.Time, land func()) {
	p := &page.Page{
		Status:        resp.Status,
		Header:        page.AppendHeader(nil, storedHeader(resp.Header, now)),
		Body:          fl.buf, // whole, and not changed any more
		StoredAt:      now,
		InitialAge:    d.InitialAge,
		FreshUntil:    d.FreshUntil,
		StaleUntil:    d.StaleUntil,
		NginxReadable: d.NginxReadable,
	}
	if !f.storer.put(job{key: fl.key, page: p, land: land}) {
		f.o.Metrics.NotStored(metrics.NotStoredQueueFull)
		land()
	}
}

// storedHeader is what of a response's header is kept: all, with a Date, which the age of the page is counted from by
// whoever receives it (RFC 9110, section 6.6.1: a recipient adds a missing one).
func storedHeader(h http.Header, now time.Time) http.Header {
	if h.Get("Date") != "" {
		return h
	}
	h = h.Clone()
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	return h
}

// store writes one page. The cache bounds how long that takes; the Filler's end does not cut it short.
func (f *Filler) store(j job) {
	defer j.land()
	err := f.o.Cache.Set(context.Background(), []byte(j.key), j.page)
	switch {
	case err == nil:
		f.o.Metrics.Stored.Inc()
	case errors.Is(err, pagecache.ErrKey):
		f.o.Metrics.NotStored(metrics.NotStoredKey)
	case errors.Is(err, pagecache.ErrTooLarge), errors.Is(err, page.ErrHeaderTooLarge):
		f.o.Metrics.NotStored(metrics.NotStoredCacheSize)
	default:
		f.o.Metrics.NotStored(metrics.NotStoredCache)
		f.o.Metrics.CacheError(metrics.OpSet)
		f.o.Log.Warn().Err(err).Str("key", j.key).Msg("page not stored")
	}
}
