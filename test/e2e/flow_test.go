package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bradfitz/gomemcache/memcache"

	"pagegate/internal/realproc"
)

// A door is a way from a visitor to the backend; layouts are all that ship.
type layout struct {
	name string
	open func(t *testing.T, backend string) (doors []string)
}

var layouts = []layout{
	{"nginx, one filler, cacheserver", func(t *testing.T, backend string) []string {
		cache, _ := startCache(t, "cacheserver")
		filler, _ := startFiller(t, backend, cache)
		return []string{startNginx(t, cache, filler)}
	}},
	{"nginx, one filler, memcached", func(t *testing.T, backend string) []string {
		cache, _ := startCache(t, "memcached")
		filler, _ := startFiller(t, backend, cache)
		return []string{startNginx(t, cache, filler)}
	}},
	{"nginx, two fillers, cacheserver", func(t *testing.T, backend string) []string {
		cache, _ := startCache(t, "cacheserver")
		one, _ := startFiller(t, backend, cache)
		two, _ := startFiller(t, backend, cache)
		return []string{startNginx(t, cache, one, two)}
	}},
	{"gateway, embedded", func(t *testing.T, backend string) []string {
		gateway, _ := startGateway(t, backend)
		return []string{gateway}
	}},
	{"nginx with a filler and a gateway on one cacheserver", func(t *testing.T, backend string) []string {
		cache, _ := startCache(t, "cacheserver")
		filler, _ := startFiller(t, backend, cache)
		gateway, _ := startGateway(t, backend, "--cache", cache)
		return []string{startNginx(t, cache, filler), gateway}
	}},
}

func TestTwoHundredVisitorsOneFetch(t *testing.T) {
	for _, l := range layouts {
		t.Run(l.name, func(t *testing.T) {
			b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(300 * time.Millisecond) // the slow database
				htmlPage(w, r)
			})
			doors := l.open(t, b.URL)
			var wg sync.WaitGroup
			for i := range 200 {
				wg.Go(func() {
					a, err := tryFetch(doors[i%len(doors)], "/shop?id=1")
					if err != nil || a.status != 200 || a.body != "<p>page /shop?id=1" || a.header.Get("Content-Type") != "text/html; charset=utf-8" {
						t.Errorf("%v %+v", err, a)
					}
				})
			}
			wg.Wait()
			for _, door := range doors {
				if a := fetchHit(t, door, "/shop?id=1"); a.body != "<p>page /shop?id=1" {
					t.Errorf("%+v", a)
				}
			}
			if n := b.total.Load(); n != 1 {
				t.Errorf("the backend was asked %d times", n)
			}
		})
	}
}

// What one door stored, the other serves.
func TestDoorsSharePages(t *testing.T) {
	b := newBackend(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/guarded") {
			w.Header().Set("Content-Security-Policy", "default-src 'self'")
		}
		htmlPage(w, r)
	})
	cache, _ := startCache(t, "cacheserver")
	filler, _ := startFiller(t, b.URL, cache)
	nginx := startNginx(t, cache, filler)
	gateway, _ := startGateway(t, b.URL, "--cache", cache)

	fetch(t, nginx, "/a%20b?x=%20")
	// The body is there a moment before the record that tells its age.
	realproc.WaitFor(t, 10*time.Second, "the page with its age", func() bool {
		a := fetchHit(t, gateway, "/a%20b?x=%20")
		if a.body != "<p>page /a%20b?x=%20" {
			t.Fatalf("%+v", a)
		}
		return a.header.Get("Age") != ""
	})
	fetch(t, gateway, "/%62/d")
	fetchNginxHit(t, nginx, "/b/d")
	// A field that nginx would lose keeps the page from its sight, and is never lost.
	for _, door := range []string{nginx, gateway} {
		a := fetchHit(t, door, "/guarded")
		if a.header.Get("Content-Security-Policy") != "default-src 'self'" || !strings.HasPrefix(a.header.Get("Cache-Status"), "pagegate; hit") {
			t.Errorf("%+v", a)
		}
	}
	if n := b.total.Load(); n != 3 {
		t.Errorf("the backend was asked %d times", n)
	}
}

func TestAnAppsOwnPage(t *testing.T) {
	for _, which := range []string{"cacheserver", "memcached"} {
		t.Run(which, func(t *testing.T) {
			b := newBackend(t, htmlPage)
			cache, _ := startCache(t, which)
			filler, _ := startFiller(t, b.URL, cache)
			doors := []string{startNginx(t, cache, filler)}
			gateway, _ := startGateway(t, b.URL, "--cache", cache)
			doors = append(doors, gateway)

			client := memcache.New(cache)
			defer client.Close()
			if err := client.Set(&memcache.Item{Key: "/from-go.json?", Value: []byte(`{"by":"go"}`)}); err != nil {
				t.Fatal(err)
			}
			runPHP(t, cache)
			for _, door := range doors {
				if a := fetch(t, door, "/from-go.json"); !a.isHit() || a.body != `{"by":"go"}` || a.header.Get("Content-Type") != "application/json" {
					t.Errorf("%+v", a)
				}
				for target, body := range map[string]string{"/news": "<h1>News</h1>", "/coffee%20au%20lait?size=%20l": "<h1>Coffee</h1>"} {
					if a := fetch(t, door, target); !a.isHit() || a.status != 200 || a.body != body || a.header.Get("Content-Type") != "text/html; charset=utf-8" {
						t.Errorf("%s: %+v", target, a)
					}
				}
				zipped := fetch(t, door, "/zipped")
				if zipped.body != "<h1>Zipped</h1>" || zipped.header.Get("Content-Encoding") != "" {
					t.Errorf("%+v", zipped)
				}
				if a := fetch(t, door, "/zipped", "Accept-Encoding", "gzip"); a.header.Get("Content-Encoding") != "gzip" || len(a.body) == 0 {
					t.Errorf("%+v", a)
				}
			}
			if n := b.total.Load(); n != 0 {
				t.Errorf("the backend was asked %d times", n)
			}
		})
	}
}

// runPHP stores pages as testdata/store.php, the README's example grown up, does.
func runPHP(t *testing.T, cache string) {
	t.Helper()
	host, port, _ := strings.Cut(cache, ":")
	out, err := exec.Command(realproc.Find(t, "php"), "testdata/store.php", host, port).CombinedOutput()
	if err != nil {
		t.Fatalf("php: %v\n%s", err, out)
	}
}

// A site that this project did not write: PHP pages behind PHP's own server.
func TestPHPSite(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"index.php":   `<?php echo "<p>home of ", $_GET["who"] ?? "nobody";`,
		"session.php": `<?php session_start(); $_SESSION["n"] = ($_SESSION["n"] ?? 0) + 1; echo "visit ", $_SESSION["n"];`,
		"feed.php":    `<?php header("Content-Type: application/rss+xml"); header("Cache-Control: max-age=60"); echo "<rss/>";`,
		"gone.php":    `<?php http_response_code(410); header("Cache-Control: max-age=60"); echo "gone";`,
		"post.php":    `<?php echo strlen(file_get_contents("php://input")), " bytes";`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	addr := realproc.FreeAddr(t)
	php := realproc.Start(t, "php", "-S", addr, "-t", dir)
	php.WaitListen(t, addr)
	for _, l := range layouts {
		t.Run(l.name, func(t *testing.T) {
			for _, door := range l.open(t, "http://"+addr) {
				for _, target := range []string{"/", "/index.php?who=a%20b&x", "/feed.php", "/gone.php"} {
					direct, first := fetch(t, addr, target), fetch(t, door, target)
					second := fetchHit(t, door, target)
					for _, a := range []answer{first, second} {
						if a.status != direct.status || a.body != direct.body || !strings.EqualFold(a.header.Get("Content-Type"), direct.header.Get("Content-Type")) {
							t.Errorf("%s: %+v\nthe site itself: %+v", target, a, direct)
						}
					}
				}
				for range 2 { // each visitor has a session of his own
					a := fetch(t, door, "/session.php")
					if a.body != "visit 1" || a.header.Get("Set-Cookie") == "" || a.isHit() {
						t.Errorf("%+v", a)
					}
					cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
					if a := fetch(t, door, "/session.php", "Cookie", cookie); a.body != "visit 2" {
						t.Errorf("%+v", a)
					}
				}
				resp, err := client.Post("http://"+door+"/post.php", "text/plain", strings.NewReader(strings.Repeat("x", 200_000)))
				if err != nil {
					t.Fatal(err)
				}
				body := make([]byte, 100)
				n, _ := resp.Body.Read(body)
				resp.Body.Close()
				if string(body[:n]) != "200000 bytes" {
					t.Errorf("POST: %q", body[:n])
				}
			}
		})
	}
}

func TestLongKeyCostsNoUpstream(t *testing.T) {
	b := newBackend(t, htmlPage)
	cache, _ := startCache(t, "cacheserver")
	filler, _ := startFiller(t, b.URL, cache)
	nginx := startNginx(t, cache, filler)
	gateway, _ := startGateway(t, b.URL)
	for _, n := range []int{245, 250, 251, 2000, 7900} {
		target := "/" + strings.Repeat("k", n-2)
		for _, door := range []string{nginx, gateway} {
			if a := fetch(t, door, target); a.status != 200 || a.body != "<p>page "+target {
				t.Errorf("%d bytes: %d", n, a.status)
			}
		}
		fetchHit(t, gateway, target)
	}
	for _, odd := range []string{"/%7F", "/%0D%0Aset%20x", "/%FF%FE"} {
		if a := fetch(t, nginx, odd); a.status != 200 {
			t.Errorf("%s: %d", odd, a.status)
		}
	}
	// And the others never noticed.
	fetch(t, nginx, "/short")
	fetchNginxHit(t, nginx, "/short")
	// A client that can write such keys stores pages under them.
	long := "/" + strings.Repeat("k", 5000) + "?"
	reply := raw(t, cache, fmt.Sprintf("set %s 0 0 4\r\nlong\r\nquit\r\n", long), 5*time.Second)
	if reply != "STORED\r\n" {
		t.Fatalf("%q", reply)
	}
	if a := fetch(t, nginx, strings.TrimSuffix(long, "?")); a.body != "long" {
		t.Errorf("%.80q", a.body)
	}
}
