package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// Who waits for a page of 50 MB reads it while it arrives, whether its length is known or not: the backend goes on only when
// everybody has what it has sent, but for what a server collects before it writes where the length is known.
func TestALargePageReachesAllWhileItArrives(t *testing.T) {
	const size, readers = 50 << 20, 4
	piece := make([]byte, 4<<20)
	config := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(config, []byte("memory: 256MiB\nmax_body: 64MiB\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for length, collected := range map[string]int64{strconv.Itoa(size): 32 << 10, "": 0} {
		var asked atomic.Int64
		joined := make(chan struct{})
		var got [readers]atomic.Int64
		b := newBackend(t, func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Cache-Control", "max-age=60")
			if length != "" {
				w.Header().Set("Content-Length", length)
			}
			<-joined
			for sent := int64(0); sent < size; {
				n := min(int64(len(piece)), size-sent)
				if sent == 0 {
					n = collected + 10
				}
				_, _ = w.Write(piece[:n])
				w.(http.Flusher).Flush()
				sent += n
				for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && least(got[:]) < sent-collected; {
					time.Sleep(100 * time.Microsecond)
				}
				if least(got[:]) < sent-collected {
					t.Errorf("%d bytes are sent, and somebody has %d", sent, least(got[:]))
					return
				}
			}
		})
		gateway, _ := startGateway(t, b.URL, "--config", config)
		var all sync.WaitGroup
		for i := range readers {
			all.Go(func() {
				resp, err := client.Get("http://" + gateway + "/large")
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				buf := make([]byte, 256<<10)
				for err == nil {
					var n int
					n, err = resp.Body.Read(buf)
					got[i].Add(int64(n))
				}
				if err != io.EOF || got[i].Load() != size {
					t.Errorf("reader %d: %d bytes, %v", i, got[i].Load(), err)
				}
			})
		}
		realproc.WaitFor(t, 20*time.Second, "the fetch", func() bool { return asked.Load() == 1 })
		close(joined) // who comes later than that joins all the same
		all.Wait()
		if n := asked.Load(); n != 1 {
			t.Errorf("the backend was asked %d times", n)
		}
	}
}

func least(of []atomic.Int64) int64 {
	n := of[0].Load()
	for i := range of {
		n = min(n, of[i].Load())
	}
	return n
}

// A process that dies in the middle of a fill hands over to one that waits, as soon as its lock has run out.
func TestAFillerThatDiesHandsOver(t *testing.T) {
	first := make(chan struct{})
	var asked atomic.Int64
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			<-first
		}
		htmlPage(w, r)
	})
	t.Cleanup(func() { close(first) })
	cache, _ := startCache(t, "cacheserver")
	dying, p := startFiller(t, b.URL, cache)
	living, _ := startFiller(t, b.URL, cache)
	go func() {
		if resp, err := client.Get("http://" + dying + "/a"); err == nil {
			resp.Body.Close()
		}
	}()
	realproc.WaitFor(t, 10*time.Second, "the fetch", func() bool { return asked.Load() == 1 })
	var waiting sync.WaitGroup
	for range 20 {
		waiting.Go(func() {
			if a := fetch(t, living, "/a"); a.status != 200 || a.body != "<p>page /a" {
				t.Errorf("%+v", a)
			}
		})
	}
	p.Kill()
	waiting.Wait()
	if n := asked.Load(); n != 2 {
		t.Errorf("the backend was asked %d times, want once by each process", n)
	}
}

// A cache server that has stopped answering costs requests its timeout once, and not each.
func TestASilentCacheCostsItsTimeoutOnce(t *testing.T) {
	b := newBackend(t, htmlPage)
	for _, door := range []string{"filler", "gateway"} {
		t.Run(door, func(t *testing.T) {
			cache, server := startCache(t, "memcached")
			var addr string
			if door == "filler" {
				addr, _ = startFiller(t, b.URL, cache)
			} else {
				addr, _ = startGateway(t, b.URL, "--cache", cache)
			}
			fetch(t, addr, "/warm")
			if err := server.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = server.Signal(syscall.SIGCONT) }()
			const requests = 60
			begun, slow := time.Now(), 0
			for i := range requests {
				one := time.Now()
				if a := fetch(t, addr, "/"+strconv.Itoa(i)); a.status != 200 {
					t.Errorf("%+v", a)
				}
				if time.Since(one) > 400*time.Millisecond {
					slow++
				}
			}
			t.Logf("%d requests in %v, %d of them slow", requests, time.Since(begun), slow)
			// One trial an interval (1 s) may find it silent: no more requests are slow than intervals have passed, and one.
			if most := int(time.Since(begun)/time.Second) + 2; slow > most {
				t.Errorf("%d of %d requests waited for the cache, want %d at most", slow, requests, most)
			}
		})
	}
}
