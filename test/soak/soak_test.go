// Package soak lets visitors loose on all doors at once, while the site behind them and the cache server are killed and
// started again at random, and looks at every answer: `make soak` for ten minutes, `make test` for some seconds.
package soak

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pagegate/internal/realproc"
)

var (
	soakFor  = flag.Duration("soak.for", 6*time.Second, "how long the visitors stay")
	visitors = flag.Int("soak.visitors", 6, "at each door")
	think    = flag.Duration("soak.think", 10*time.Millisecond, "pause of a visitor between two requests")
)

// bin is the folder with the programs, built once.
var bin string

func TestMain(m *testing.M) {
	if addr := os.Getenv(siteEnv); addr != "" {
		fmt.Fprintln(os.Stderr, serveSite(addr))
		os.Exit(1)
	}
	flag.Parse()
	os.Exit(realproc.WithPrograms(func(dir string) int {
		bin = dir
		return m.Run()
	}))
}

func TestSoak(t *testing.T) {
	goleak.VerifyNone(t)
	s := startStack(t)
	var count tally
	before := make(map[string]usage)
	cookies := new(sync.Map)
	s.warm(&count, cookies)
	for name, admin := range s.processes {
		before[name] = measure(t, admin)
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	until := time.Now().Add(*soakFor)
	var all sync.WaitGroup
	for _, d := range s.doors {
		for range *visitors {
			all.Go(func() { newVisitor(s, d, &count, cookies).visit(ctx, *think) })
		}
		all.Go(func() { s.herd(ctx, d, &count, cookies) })
		all.Go(func() { s.purge(ctx, d, &count) })
	}
	all.Go(func() {
		defer cancel()
		s.rage(until, min(4*time.Second, *soakFor/8))
		time.Sleep(max(time.Until(until), outOfSight))
	})
	all.Wait()

	t.Logf("%v; the site was killed %d times, the cache server %d times", *soakFor, s.site.kills(), s.cache.kills())
	t.Log(count.String())
	for _, w := range count.wrong {
		t.Error(w)
	}
	if count.more > 0 {
		t.Errorf("and %d more", count.more)
	}
	if s.site.kills() == 0 || s.cache.kills() == 0 || count.hits.Load() == 0 || count.herds.Load() == 0 {
		t.Error("nothing was put to the test")
	}
	// Without the site and nginx no connection to either is left, and everything is as in the beginning.
	s.site.proc.Kill()
	s.nginx.Stop()
	for name, admin := range s.processes {
		s.returned(t, name, admin, before[name])
	}
}

// warm has every process do some of everything, so that what it keeps for later is there.
func (s *stack) warm(count *tally, cookies *sync.Map) {
	var all sync.WaitGroup
	for _, d := range s.doors {
		for range *visitors {
			all.Go(func() {
				v := newVisitor(s, d, count, cookies)
				defer v.client.CloseIdleConnections()
				for range 50 {
					v.one()
				}
			})
		}
	}
	all.Wait()
}

// herd sends many visitors at once to a page that nobody has asked for before.
func (s *stack) herd(ctx context.Context, d door, count *tally, cookies *sync.Map) {
	for n := 0; ctx.Err() == nil; n++ {
		target := fmt.Sprintf("/herd/%s/%d", url.PathEscape(d.name), n)
		from := time.Now()
		var mu sync.Mutex
		versions := make(map[int64]int)
		var all sync.WaitGroup
		for range 25 {
			all.Go(func() {
				v := newVisitor(s, d, count, cookies)
				defer v.client.CloseIdleConnections()
				page := v.ask("GET", target)
				mu.Lock()
				versions[page.version]++
				mu.Unlock()
			})
		}
		all.Wait()
		count.herds.Add(1)
		if to := time.Now(); len(versions) > 1 && !s.site.missing(from, to) && !s.cache.missing(from, to) {
			count.fail("%s: %s was rendered %d times for one herd: %v", d.name, target, len(versions), versions)
		}
		time.Sleep(time.Second)
	}
}

// purge removes pages now and then.
func (s *stack) purge(ctx context.Context, d door, count *tally) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for ctx.Err() == nil {
		time.Sleep(200*time.Millisecond + rand.N(time.Second))
		target := fmt.Sprintf("/p/%d", rand.IntN(pages/10))
		at := time.Now()
		d.shared.begin(target, at)
		resp, err := client.PostForm("http://"+d.admin+"/purge", url.Values{"url": {target}})
		if err != nil {
			count.fail("purging %s: %v", target, err)
			continue
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch {
		case resp.StatusCode == http.StatusOK:
			count.purged.Add(1)
			d.shared.end(target, at)
		case !s.cache.missing(at, time.Now()):
			count.fail("purging %s: %d %s", target, resp.StatusCode, text)
		}
	}
}

// usage is what a process takes.
type usage struct{ goroutines, heap int64 }

// measure asks a process for its goroutines and, after a collection, the bytes on its heap.
func measure(t *testing.T, admin string) usage {
	t.Helper()
	realproc.Get(t, "http://"+admin+"/debug/pprof/heap?gc=1")
	metrics := realproc.Get(t, "http://"+admin+"/metrics")
	return usage{metric(t, metrics, "go_goroutines"), metric(t, metrics, "go_memstats_heap_inuse_bytes")}
}

// returned waits until a process takes no more than it did.
func (s *stack) returned(t *testing.T, name, admin string, before usage) {
	t.Helper()
	const fewGoroutines, someHeap = 4, 24 << 20
	begun, now := time.Now(), measure(t, admin)
	for deadline := begun.Add(2 * time.Minute); now.goroutines > before.goroutines+fewGoroutines || now.heap > before.heap+someHeap; now = measure(t, admin) {
		if time.Now().After(deadline) {
			t.Errorf("%s: %+v, before the load %+v:\n%s", name, now, before, realproc.Get(t, "http://"+admin+"/debug/pprof/goroutine?debug=1"))
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("%s: %d goroutines and %d KiB of heap before, %d and %d after %v", name, before.goroutines, before.heap>>10, now.goroutines, now.heap>>10, time.Since(begun).Round(time.Second))
}

func metric(t *testing.T, metrics, name string) int64 {
	t.Helper()
	for line := range strings.Lines(metrics) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return int64(n)
		}
	}
	t.Fatalf("no %s among the metrics", name)
	return 0
}
