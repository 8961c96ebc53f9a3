package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bradfitz/gomemcache/memcache"

	"pagegate/internal/pagecache/remote"
	"pagegate/internal/realproc"
	"pagegate/internal/ring"
)

// Three cache servers behind the shipped configuration for several: the filler stores each page where nginx looks, the
// gateway finds it there, and a Go application with the Selector puts its own pages there too.
func TestSeveralCacheServers(t *testing.T) {
	b := newBackend(t, htmlPage)
	var caches []string
	var procs []*realproc.Proc
	var servers []ring.Server
	for range 3 {
		addr, p := startCache(t, "cacheserver")
		caches, procs = append(caches, addr), append(procs, p)
		servers = append(servers, ring.Server{Addr: addr})
	}
	list := strings.Join(caches, ",")
	one, _ := startFiller(t, b.URL, list)
	two, _ := startFiller(t, b.URL, list)
	gateway, _ := startGateway(t, b.URL, "--cache", list)
	nginx := startNginxWith(t,
		"include pagegate.conf", "include several-servers.conf",
		"server 127.0.0.1:11211", "server "+caches[0],
		"server 127.0.0.1:11212", "server "+caches[1],
		"server 127.0.0.1:11213", "server "+caches[2],
		"server 127.0.0.1:8082", "server "+one,
		"server 127.0.0.1:8083", "server "+two)

	const pages = 90
	for i := range pages {
		target := fmt.Sprintf("/p%d?x=%%20%d", i, i)
		fetch(t, nginx, target)
		fetchNginxHit(t, nginx, target)
		if a := fetch(t, gateway, target); !a.isHit() {
			t.Errorf("the gateway: %s: %+v", target, a)
		}
	}
	if n := b.total.Load(); n != pages {
		t.Errorf("the backend was asked %d times for %d pages", n, pages)
	}

	r, err := ring.NewConsistent(servers)
	if err != nil {
		t.Fatal(err)
	}
	app := memcache.NewFromSelector(remote.NewSelector(r, servers, 0))
	defer app.Close()
	for i := range 30 {
		if err := app.Set(&memcache.Item{Key: fmt.Sprintf("/app%%20%d?", i), Value: fmt.Append(nil, "app ", i)}); err != nil {
			t.Fatal(err)
		}
		if a := fetch(t, nginx, fmt.Sprintf("/app%%20%d", i)); a.body != fmt.Sprint("app ", i) {
			t.Errorf("%d: %+v", i, a)
		}
	}

	// One of three gone: its pages are fetched and stored anew, elsewhere, and found there.
	procs[1].Kill()
	for i := range pages {
		target := fmt.Sprintf("/p%d?x=%%20%d", i, i)
		if a := fetch(t, nginx, target); a.status != 200 || a.body != "<p>page "+target {
			t.Errorf("%s: %+v", target, a)
		}
		fetchHit(t, nginx, target)
	}
}

// The PHP of the README is what it says.
func TestReadmeExample(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```php\n<\\?php\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("no PHP in the README")
	}
	b := newBackend(t, htmlPage)
	cache, _ := startCache(t, "cacheserver")
	filler, _ := startFiller(t, b.URL, cache)
	gateway, _ := startGateway(t, b.URL, "--cache", cache)
	doors := []string{startNginx(t, cache, filler), gateway}

	code := strings.Replace(string(block[1]), "'127.0.0.1', 11211", "'127.0.0.1', "+strings.TrimPrefix(cache, "127.0.0.1:"), 1)
	file := filepath.Join(t.TempDir(), "readme.php")
	if err := os.WriteFile(file, []byte("<?php $html = '<h1>fresh news</h1>';\n"+code), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(realproc.Find(t, "php"), file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, door := range doors {
		if a := fetch(t, door, "/news"); !a.isHit() || a.body != "<h1>fresh news</h1>" {
			t.Errorf("%+v", a)
		}
	}
}
