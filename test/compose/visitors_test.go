//go:build compose

package compose

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// answer is what a visitor gets.
type answer struct {
	status      int
	cacheStatus string
	body        string
}

func (a answer) isHit() bool { return strings.Contains(a.cacheStatus, "; hit") }

// get asks for a page over a client's connections.
func get(client *http.Client, addr, target string) (answer, error) {
	resp, err := client.Get("http://" + addr + target)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header.Get("Cache-Status"), string(body)}, err
}

// newClient makes a client for many visitors at once.
func newClient(t *testing.T) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 300}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// mustGet is get of a page that is there.
func mustGet(t *testing.T, client *http.Client, addr, target string) answer {
	t.Helper()
	a, err := get(client, addr, target)
	if err != nil || a.status != http.StatusOK || !strings.Contains(a.body, "</html>") {
		t.Fatalf("%s: %v, %+v", target, err, a)
	}
	return a
}

// load is visitors who ask without a pause, until they are told to end.
type load struct {
	t        *testing.T
	end      chan struct{}
	visitors sync.WaitGroup
	answers  atomic.Int64
	hits     atomic.Int64
	mu       sync.Mutex
	failures []string // bounded
}

const (
	visitorsPerDoor = 4
	maxFailures     = 20
)

// startLoad sends visitors to each door. Every fourth request of a visitor's is for a page that nobody has asked for, the others
// are for pages that are soon in the cache.
func startLoad(t *testing.T, client *http.Client, name string, doors ...string) *load {
	l := &load{t: t, end: make(chan struct{})}
	for _, door := range doors {
		for v := range visitorsPerDoor {
			l.visitors.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-l.end:
						return
					default:
					}
					target := fmt.Sprintf("/fresh/none?%s=%d", name, n%50)
					if n%4 == 0 {
						target = fmt.Sprintf("/fresh/none?%s=%s-%d-%d", name, door, v, n)
					}
					l.visit(client, door, target)
				}
			})
		}
	}
	return l
}

func (l *load) visit(client *http.Client, door, target string) {
	started := time.Now()
	a, err := get(client, door, target)
	l.answers.Add(1)
	if a.isHit() {
		l.hits.Add(1)
	}
	if err == nil && a.status == http.StatusOK && strings.Contains(a.body, "</html>") {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) < maxFailures {
		l.failures = append(l.failures, fmt.Sprintf("%s%s: %v, status %d, after %v: %.100q", door, target, err, a.status, time.Since(started), a.body))
	}
}

// goOn waits for so many further answers, some of which must be hits.
func (l *load) goOn(n int64) {
	l.t.Helper()
	answers, hits := l.answers.Load()+n, l.hits.Load()
	realproc.WaitFor(l.t, patience, fmt.Sprintf("%d answers more", n), func() bool { return l.answers.Load() >= answers && l.hits.Load() > hits })
}

// stop ends the visitors and fails the test if one of them was not served.
func (l *load) stop() {
	l.t.Helper()
	close(l.end)
	l.visitors.Wait()
	l.t.Logf("%d requests, %d of them hits", l.answers.Load(), l.hits.Load())
	for _, f := range l.failures {
		l.t.Error(f)
	}
}
