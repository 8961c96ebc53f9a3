package nginxconf_test

import (
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"

	"pagegate/internal/realproc"
)

// shippedDir is the folder of the files under test.
const shippedDir = "../../nginx"

// layout is one configuration that ships: its entry file and the addresses in it.
type layout struct {
	entry   string
	listen  string
	caches  []string
	fillers []string
	// tuned layouts run inside the shipped nginx.conf and have all of pagegate-server.conf.
	tuned bool
}

var (
	minimal = layout{
		entry:   "minimal.conf",
		listen:  "127.0.0.1:8081",
		caches:  []string{"127.0.0.1:11211"},
		fillers: []string{"127.0.0.1:8082"},
	}
	overTCP = layout{
		entry:   "pagegate.conf",
		listen:  "127.0.0.1:8081",
		caches:  []string{"127.0.0.1:11211"},
		fillers: []string{"127.0.0.1:8082"},
		tuned:   true,
	}
	overUnix = layout{
		entry:   "pagegate-unix.conf",
		listen:  "127.0.0.1:8081",
		caches:  []string{"unix:/run/pagegate/cacheserver.sock"},
		fillers: []string{"unix:/run/pagegate/filler.sock"},
		tuned:   true,
	}
	several = layout{
		entry:   "several-servers.conf",
		listen:  "127.0.0.1:8081",
		caches:  []string{"127.0.0.1:11211", "127.0.0.1:11212", "127.0.0.1:11213"},
		fillers: []string{"127.0.0.1:8082", "127.0.0.1:8083"},
		tuned:   true,
	}

	// inContainers is only checked here: its fillers are found by Docker's name server. test/compose runs it.
	inContainers = layout{
		entry:   "compose.conf",
		listen:  "0.0.0.0:8081",
		caches:  []string{"unix:/run/pagegate/cacheserver1.sock", "unix:/run/pagegate/cacheserver2.sock"},
		fillers: []string{"filler:8082"},
		tuned:   true,
	}

	tunedLayouts = []layout{overTCP, overUnix, several}
	allLayouts   = append([]layout{minimal}, tunedLayouts...)
)

// forEach runs a test for several layouts.
func forEach(t *testing.T, layouts []layout, fn func(t *testing.T, l layout)) {
	for _, l := range layouts {
		t.Run(l.entry, func(t *testing.T) { fn(t, l) })
	}
}

// isUnix tells whether an address of a layout is a unix socket.
func isUnix(addr string) bool { return strings.HasPrefix(addr, "unix:") }

// door is a running nginx with everything behind it.
type door struct {
	addr    string
	nginx   *realproc.Proc
	caches  []cacheServer
	fillers []*filler
}

// open starts a layout with a memcached for each of its cache servers and a recording filler for each of its fillers.
func open(t *testing.T, l layout) *door {
	t.Helper()
	return openWith(t, l, nil, nil)
}

// openWith is open before cache servers that are somewhere else, if caches is not nil, and before fillers that answer
// by handle, if that is not nil.
func openWith(t *testing.T, l layout, caches []string, handle http.HandlerFunc) *door {
	t.Helper()
	d := new(door)
	if caches == nil {
		for _, addr := range l.caches {
			c := startCache(t, isUnix(addr))
			d.caches, caches = append(d.caches, c), append(caches, c.addr)
		}
	}
	var fillers []string
	for _, addr := range l.fillers {
		f := startFiller(t, isUnix(addr), handle)
		d.fillers, fillers = append(d.fillers, f), append(fillers, f.addr)
	}
	d.addr, d.nginx = startNginx(t, l, caches, fillers)
	return d
}

// startNginx starts nginx with a layout whose addresses are replaced by caches and fillers, in order.
func startNginx(t *testing.T, l layout, caches, fillers []string) (addr string, p *realproc.Proc) {
	t.Helper()
	addr = realproc.FreeAddr(t)
	run := runDir(t)
	return addr, realproc.NginxFile(t, mainFile(t, l, run, addr, caches, fillers), run, addr)
}

// mainFile copies the shipped folder, with a layout's addresses replaced, and returns the main configuration file.
func mainFile(t *testing.T, l layout, run, listen string, caches, fillers []string) string {
	t.Helper()
	dir := runDir(t)
	if err := os.CopyFS(dir, os.DirFS(shippedDir)); err != nil {
		t.Fatal(err)
	}
	old := append(append([]string{l.listen}, l.caches...), l.fillers...)
	now := append(append([]string{listen}, caches...), fillers...)
	replaceOnce(t, filepath.Join(dir, l.entry), old, now)
	file := filepath.Join(dir, "nginx.conf")
	if !l.tuned {
		text := realproc.NginxHTTP(run, "include "+filepath.Join(dir, l.entry)+";")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	replaceOnce(t, file,
		[]string{"include " + overTCP.entry + ";", "error_log        stderr;"},
		[]string{"include " + l.entry + ";", "error_log stderr warn;"})
	return file
}

// replaceOnce replaces strings in a file, each of which must stand in it exactly once.
func replaceOnce(t *testing.T, file string, old, now []string) {
	t.Helper()
	if len(old) != len(now) {
		t.Fatalf("%d strings to replace in %s, %d to put in", len(old), file, len(now))
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for i := range old {
		if n := strings.Count(string(b), old[i]); n != 1 {
			t.Fatalf("%s holds %q %d times, want once", filepath.Base(file), old[i], n)
		}
		pairs = append(pairs, old[i], now[i])
	}
	text := strings.NewReplacer(pairs...).Replace(string(b))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// runDir returns a folder that nginx's workers may use even where root runs the test and they are nobody.
func runDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// socketPath is realproc.SocketPath in a folder that others may enter.
func socketPath(t *testing.T, name string) string {
	t.Helper()
	path := realproc.SocketPath(t, name)
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// chmodSocket lets everybody connect to a unix socket.
func chmodSocket(t *testing.T, path string) {
	t.Helper()
	if err := os.Chmod(path, 0o777); err != nil {
		t.Fatal(err)
	}
}

// cacheServer is a running memcached.
type cacheServer struct {
	addr string // as in an nginx upstream
	proc *realproc.Proc
}

func startCache(t *testing.T, unix bool) cacheServer {
	t.Helper()
	if !unix {
		addr, p := realproc.Memcached(t)
		t.Cleanup(p.Kill) // asked to end, memcached takes a second
		return cacheServer{addr, p}
	}
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	path := socketPath(t, "cache.sock")
	p := realproc.Start(t, "memcached", "-s", path, "-a", "0777", "-u", me.Username)
	t.Cleanup(p.Kill)
	p.WaitListen(t, path)
	return cacheServer{"unix:" + path, p}
}

// set stores an item as an application would.
func (c cacheServer) set(t *testing.T, wireKey, value string, flags uint32) {
	t.Helper()
	client := memcache.New(strings.TrimPrefix(c.addr, "unix:"))
	client.Timeout = patience
	defer client.Close()
	if err := client.Set(&memcache.Item{Key: wireKey, Value: []byte(value), Flags: flags}); err != nil {
		t.Fatalf("set %q: %v", wireKey, err)
	}
}

// store puts a page where nginx finds it, whichever of the cache servers it asks.
func (d *door) store(t *testing.T, wireKey, value string, flags uint32) {
	t.Helper()
	for _, c := range d.caches {
		c.set(t, wireKey, value, flags)
	}
}

// arrivals returns what has reached the fillers since the last call.
func (d *door) arrivals() []arrival {
	var all []arrival
	for _, f := range d.fillers {
		all = append(all, f.take()...)
	}
	return all
}

// dialPiece connects to an address in the form of an nginx upstream.
func dialPiece(t *testing.T, addr string) net.Conn {
	t.Helper()
	network, target := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, target = "unix", path
	}
	c, err := net.DialTimeout(network, target, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
