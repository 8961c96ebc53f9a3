package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pagegate/internal/realproc"
)

// victim is a process that is killed and started again, and remembers when it was not there.
type victim struct {
	name  string
	start func() *realproc.Proc

	mu   sync.Mutex
	proc *realproc.Proc
	gone []outage
}

// outage is a time without the process; to is zero while it lasts.
type outage struct{ from, to time.Time }

// outOfSight is how long after its return a process may still be taken for gone: by a breaker that tries once a second, or a
// client of the cache server that does.
const outOfSight = 3 * time.Second

// missing tells whether the process was away, or not yet back for all, at some time between two.
func (v *victim) missing(from, to time.Time) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, o := range v.gone {
		if to.After(o.from) && (o.to.IsZero() || from.Before(o.to.Add(outOfSight))) {
			return true
		}
	}
	return false
}

// kill ends the process as a crash would, and starts it again after a while.
func (v *victim) kill(away time.Duration) {
	v.mu.Lock()
	v.gone = append(v.gone, outage{from: time.Now()})
	v.mu.Unlock()
	v.proc.Kill()
	time.Sleep(away)
	v.proc = v.start()
	v.mu.Lock()
	v.gone[len(v.gone)-1].to = time.Now()
	v.mu.Unlock()
}

func (v *victim) kills() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.gone)
}

// door is a way to the site.
type door struct {
	name string
	addr string
	// admin is where its pages are purged, and shared what it shares the pages with.
	admin  string
	shared *purges
	own    bool // the pages are in its own memory
}

// stack is all that runs.
type stack struct {
	site, cache *victim
	nginx       *realproc.Proc
	doors       []door
	processes   map[string]string // the long-lived ones' admin addresses, by name
}

func startStack(t *testing.T) *stack {
	siteAddr, cacheAddr := realproc.FreeAddr(t), realproc.FreeAddr(t)
	var cachePort string
	_, _ = fmt.Sscanf(cacheAddr, "127.0.0.1:%s", &cachePort)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := &stack{processes: make(map[string]string)}
	s.site = &victim{name: "site", start: func() *realproc.Proc {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), siteEnv+"="+siteAddr)
		return started(t, cmd, siteAddr)
	}}
	s.cache = &victim{name: "cacheserver", start: func() *realproc.Proc {
		return started(t, exec.Command(filepath.Join(bin, "cacheserver"), "-p", cachePort, "-l", "127.0.0.1", "-m", "64", "-o", "page_keys"), cacheAddr)
	}}
	s.site.proc, s.cache.proc = s.site.start(), s.cache.start()

	run := func(program, name string, args ...string) (addr, admin string) {
		addr, admin = realproc.FreeAddr(t), realproc.FreeAddr(t)
		args = append([]string{"--listen", addr, "--admin", admin, "--backend", "http://" + siteAddr, "--stale", staleFor.String()}, args...)
		started(t, exec.Command(filepath.Join(bin, program), args...), addr)
		s.processes[name] = admin
		return addr, admin
	}
	together, apart := new(purges), new(purges)
	filler, fillerAdmin := run("filler", "filler", "--cache", cacheAddr)
	nginx, nginxProc := realproc.NginxShipped(t, "../../nginx", "server 127.0.0.1:11211", "server "+cacheAddr, "server 127.0.0.1:8082", "server "+filler)
	remote, remoteAdmin := run("gateway", "gateway over the cacheserver", "--cache", cacheAddr)
	embedded, embeddedAdmin := run("gateway", "gateway", "--memory", "64MiB")
	s.nginx = nginxProc
	s.doors = []door{
		{"nginx", nginx, fillerAdmin, together, false},
		{"gateway over the cacheserver", remote, remoteAdmin, together, false},
		{"gateway", embedded, embeddedAdmin, apart, true},
	}
	return s
}

func started(t *testing.T, cmd *exec.Cmd, addr string) *realproc.Proc {
	p := realproc.StartCmd(t, cmd)
	p.WaitListen(t, addr)
	return p
}

// rage kills one and the other process, and then now and then one of them until the time is up, and leaves both running.
func (s *stack) rage(until time.Time, pause time.Duration) {
	victims := []*victim{s.site, s.cache}
	for n := 0; ; n++ {
		time.Sleep(pause/2 + rand.N(pause))
		away := 50*time.Millisecond + rand.N(pause)
		switch {
		case n < len(victims):
			victims[n].kill(away)
		case time.Now().Add(away + outOfSight).After(until):
			return
		default:
			victims[rand.IntN(len(victims))].kill(away)
		}
	}
}
