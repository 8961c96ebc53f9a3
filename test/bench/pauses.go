package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"pagegate/cacheserver/store"
)

// What a client sees as a slow answer may be the machine's doing. Here the store is measured from within: by the CPU time that
// a thread has spent, in which nobody else's is, and by what the runtime says of its own stops.

// pauses are the longest moments in which a store has kept others waiting.
type pauses struct {
	set  time.Duration // CPU time of one set
	step time.Duration // CPU time of one piece of background work
	// The garbage collector's stops of all goroutines, by the wall clock. The longest is one in which the system has let a thread wait
	// that was to stop, as it does where more threads want to run than there are processors; the median is the collector's own.
	stop, longestStop time.Duration
	collections       uint64
}

const (
	pausesMemory  = 1 << 30
	pausesReplace = 4 // one set in so many replaces an item
	collectEvery  = 10 * time.Millisecond
)

// benchPauses prints the longest pauses while a store grows to the items asked for.
func benchPauses(ctx context.Context, o cacheOptions, out io.Writer) error {
	p, err := measurePauses(ctx, o.threads, o.items)
	if err != nil {
		return err
	}
	t := newTable(out, "in the process, while the store grows", "longest set, CPU", "longest background step, CPU", "GC stop, median", "longest", "collections")
	t.row(fmt.Sprintf("0 to %d items", o.items), micros(p.set), micros(p.step), micros(p.stop), micros(p.longestStop), p.collections)
	return t.flush()
}

// measurePauses sets new items of 100 bytes, and replaces others, from several threads until there are so many, while the store is
// maintained as a server does it and the garbage collector runs again and again, though by itself it would not: no set allocates.
func measurePauses(ctx context.Context, threads, items int) (p pauses, err error) {
	s, err := store.New(store.Config{MemoryLimit: pausesMemory, LRU: store.LRU{Segmented: true}})
	if err != nil {
		return p, err
	}
	ctx, stop := context.WithCancel(ctx)
	var setters, others sync.WaitGroup
	var failed atomic.Pointer[error]
	sets := make([]time.Duration, threads)
	before := readStops()
	for i := range threads {
		setters.Go(func() {
			if err := setAll(ctx, s, i, items/threads, &sets[i]); err != nil {
				failed.Store(&err)
			}
		})
	}
	others.Go(func() { maintainStore(ctx, s, &p.step) })
	others.Go(func() {
		for ctx.Err() == nil {
			runtime.GC()
			time.Sleep(collectEvery)
		}
	})
	setters.Wait()
	stop()
	others.Wait()
	after := readStops()
	for _, longest := range sets {
		p.set = max(p.set, longest)
	}
	p.stop, p.longestStop = after.quantile(before, 0.5), after.quantile(before, 1)
	p.collections = after.collections - before.collections
	if err := failed.Load(); err != nil {
		return p, *err
	}
	return p, s.Close()
}

// setAll sets a thread's items and notes the longest set.
func setAll(ctx context.Context, s *store.Store, thread, items int, longest *time.Duration) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	random := rand.New(rand.NewPCG(1, uint64(thread)))
	key, value := make([]byte, 0, 32), make([]byte, 100)
	for next := 0; next < items && ctx.Err() == nil; {
		n := next
		if next > 0 && random.IntN(pausesReplace) == 0 {
			n = random.IntN(next)
		} else {
			next++
		}
		key = fmt.Appendf(key[:0], "/page/%d/%d", thread, n)
		began := threadTime()
		pending, err := s.Alloc(key, 0, 0, len(value))
		if err != nil {
			return err
		}
		pending.Write(value)
		pending.Commit(store.Set, 0)
		*longest = max(*longest, threadTime()-began)
	}
	return ctx.Err()
}

// maintainStore does a server's background work and notes the longest piece of it.
func maintainStore(ctx context.Context, s *store.Store, longest *time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	piece := func(work func()) {
		began := threadTime()
		work()
		*longest = max(*longest, threadTime()-began)
	}
	var crawl store.Crawl
	for ctx.Err() == nil {
		piece(func() { s.Maintain() })
		piece(func() { s.JuggleBumps() })
		for id := 1; id <= store.ClassesMax; id++ {
			piece(func() { s.JuggleClass(id) })
		}
		piece(func() {
			if !s.CrawlStep(&crawl) {
				crawl = store.Crawl{}
			}
		})
		piece(func() { s.Stats() })
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
}

// threadTime returns the CPU time of the thread that the goroutine is locked to.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // Linux has this clock
	}
	return time.Duration(t.Nano())
}

// stops are the runtime's figures about the garbage collector at a moment.
type stops struct {
	lasting     *metrics.Float64Histogram // seconds for which all goroutines were stopped
	collections uint64
}

func readStops() stops {
	samples := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(samples)
	return stops{samples[0].Value.Float64Histogram(), samples[1].Value.Uint64()}
}

// quantile returns how long so large a part of the stops since an earlier moment has lasted at most, as exact as the runtime's buckets;
// 0 if there was none.
func (now stops) quantile(before stops, part float64) time.Duration {
	counts, all := make([]uint64, len(now.lasting.Counts)), uint64(0)
	for i, n := range now.lasting.Counts {
		counts[i] = n - before.lasting.Counts[i]
		all += counts[i]
	}
	below := uint64(0)
	for i, n := range counts {
		if below += n; n > 0 && float64(below) >= part*float64(all) {
			upper := now.lasting.Buckets[i+1]
			if math.IsInf(upper, 1) {
				upper = now.lasting.Buckets[i]
			}
			return time.Duration(upper * float64(time.Second))
		}
	}
	return 0
}
