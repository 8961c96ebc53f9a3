package fill

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"pagegate/internal/metrics"
	"pagegate/internal/page"
	"pagegate/internal/pagecache"
	"pagegate/internal/policy"
	"pagegate/internal/purge"
)

// job is a page to be written, and what follows when it is.
type job struct {
	key     string
	page    *page.Page // nil for a mark alone
	primary string     // the page key, where the mark goes
	mark    *page.Page // written before the page, which is one of its variants; nil for none
	flight  *flight    // that brought it
	land    func()
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

// newPage makes the page of a response that is to be stored with the fields h, without its body.
func newPage(status int, h http.Header, d *policy.Decision, now time.Time, took time.Duration) *page.Page {
	return &page.Page{
		Status:        status,
		Header:        page.AppendHeader(nil, h),
		StoredAt:      now,
		InitialAge:    d.InitialAge,
		FreshUntil:    d.FreshUntil,
		StaleUntil:    d.StaleUntil,
		RefreshUntil:  d.RefreshUntil,
		Took:          took,
		NoStale:       d.NoStale,
		Immutable:     d.Immutable,
		NginxReadable: d.NginxReadable,
	}
}

// enqueue hands a page whose body is whole to the workers, where storing it may take a while. The flight lands when the page
// lies in the cache.
func (f *Filler) enqueue(fl *flight, j job) {
	j.flight = fl
	if f.local && !f.o.GzipForNginx {
		f.store(j)
		return
	}
	if !f.storer.put(j) {
		f.o.Metrics.NotStored(metrics.NotStoredQueueFull)
		j.land()
	}
}

// store writes one page. The cache bounds how long that takes; the Filler's end does not cut it short.
func (f *Filler) store(j job) {
	defer j.land()
	notes := f.notes(j.flight.primary)
	if j.purged(f, notes) {
		f.o.Metrics.NotStored(metrics.NotStoredPurged)
		return
	}
	if j.mark != nil && !f.set(j.primary, j.mark) {
		return
	}
	if j.page != nil && !j.page.GzippedHere {
		j.page.Tag()
	}
	switch {
	case j.page == nil:
	case j.page.NginxReadable && f.o.GzipForNginx:
		j.page.GzipBody()
	case f.codable(j.page.NginxReadable) && !j.page.IsCoded():
		j.page.MayCode()
	}
	if batcher, ok := f.batcher(j.flight); ok && j.flight.held != nil && j.mark == nil {
		entries, err := batcher.Finish(context.Background(), []byte(j.key), j.page)
		notes = func() (purge.Entries, error) { return entries, err }
		if f.written(j.key, err) {
			j.flight.held.forget()
			f.o.Metrics.Stored.Inc()
		}
	} else if j.page != nil && f.set(j.key, j.page) {
		f.o.Metrics.Stored.Inc()
		f.o.Metrics.PageBytes.Observe(float64(len(j.page.Body)))
	}
	// A purge that came after the look above has either seen the page, or is seen here.
	if j.purged(f, notes) {
		f.drop(j.primaryKey())
	}
}

// purged tells whether what the job brings was purged after its flight had begun. notes reads other processes' purges.
func (j *job) purged(f *Filler, notes func() (purge.Entries, error)) bool {
	p := j.page
	if p == nil {
		p = j.mark
	}
	return f.purgedSince(j.flight.since, j.flight.primary, p, notes)
}

// primaryKey is the key whose deletion takes the page away.
func (j *job) primaryKey() string {
	if j.mark != nil {
		return j.primary
	}
	return j.key
}

// set writes one item and tells whether it is there now.
func (f *Filler) set(key string, p *page.Page) bool {
	return f.written(key, f.o.Cache.Set(context.Background(), []byte(key), p))
}

// written tells whether an item is there now that was written with that error, and counts why not.
func (f *Filler) written(key string, err error) bool {
	switch {
	case err == nil:
		return true
	case errors.Is(err, pagecache.ErrKey):
		f.o.Metrics.NotStored(metrics.NotStoredKey)
	case errors.Is(err, pagecache.ErrTooLarge), errors.Is(err, page.ErrHeaderTooLarge):
		f.o.Metrics.NotStored(metrics.NotStoredCacheSize)
	default:
		f.o.Metrics.NotStored(metrics.NotStoredCache)
		f.o.Metrics.CacheError(metrics.OpSet)
		f.o.Log.Warn().Err(err).Str("key", key).Msg("page not stored")
	}
	return false
}
