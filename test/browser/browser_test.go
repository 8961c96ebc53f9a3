// Package browser opens the demo site in a real browser, Debian's chromium without a window, through both doors: what it
// is given from a cache it has to understand.
package browser

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"pagegate/internal/realproc"
)

// bin is the folder with the programs, built once.
var bin string

func TestMain(m *testing.M) {
	os.Exit(realproc.WithPrograms(func(dir string) int {
		bin = dir
		return m.Run()
	}))
}

// startDoors starts both doors with the demo site behind them, and returns their addresses by name.
func startDoors(t *testing.T) map[string]string {
	run := func(addr, program string, args ...string) {
		realproc.StartCmd(t, exec.Command(filepath.Join(bin, program), args...)).WaitListen(t, addr)
	}
	gateway, filler, cache := realproc.FreeAddr(t), realproc.FreeAddr(t), realproc.FreeAddr(t)
	run(gateway, "gateway", "--listen", gateway, "--backend", "demo:")
	run(cache, "cacheserver", "-l", "127.0.0.1", "-p", strings.TrimPrefix(cache, "127.0.0.1:"), "-o", "page_keys")
	run(filler, "filler", "--listen", filler, "--backend", "demo:", "--cache", cache)
	nginx, _ := realproc.NginxShipped(t, "../../nginx", "server 127.0.0.1:11211", "server "+cache, "server 127.0.0.1:8082", "server "+filler)
	return map[string]string{"gateway": gateway, "nginx": nginx}
}

// startBrowser starts chromium with a profile of its own.
func startBrowser(t *testing.T) context.Context {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(realproc.Find(t, "chromium")),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-features", "BackForwardCache,Translate"), // back and forward load the page again, from whatever cache
	)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which chromium demands of root
	}
	allocated, release := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, end := chromedp.NewContext(allocated)
	t.Cleanup(func() {
		end()
		release()
	})
	if _, err := chromedp.Run(ctx, text); err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	return ctx
}

// tab is a page of the browser that remembers the answers that it got from the network, or from its own cache.
type tab struct {
	t    *testing.T
	ctx  context.Context
	base string
	mu   sync.Mutex
	got  map[string]*network.Response // the last by URL
}

// newTab opens a tab, in a profile apart from all others if alone, as another visitor's.
func newTab(t *testing.T, browser context.Context, addr string, alone bool) *tab {
	var options []chromedp.ContextOption
	if alone {
		options = append(options, chromedp.WithNewBrowserContext())
	}
	ctx, end := chromedp.NewContext(browser, options...)
	t.Cleanup(end)
	bounded, cancel := context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: bounded, base: "http://" + addr, got: make(map[string]*network.Response)}
	err := chromedp.Listen(bounded, func(event any) {
		if e, ok := event.(*network.EventResponseReceived); ok {
			b.mu.Lock()
			b.got[e.Response.URL] = e.Response
			b.mu.Unlock()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// do runs actions in the tab.
func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// open goes to a page and returns its text.
func (b *tab) open(path string) string {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + path))
	return get(b, text)
}

// text is what the page in a tab reads.
var text = chromedp.Evaluate[string]("document.body.innerText")

// get runs an action that has a result in a tab.
func get[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	result, err := chromedp.Run(b.ctx, action)
	if err != nil {
		b.t.Fatal(err)
	}
	return result
}

// script runs a script in a tab and waits for the promise that it makes.
func script[T any](b *tab, source string) T {
	b.t.Helper()
	return get(b, chromedp.Evaluate[T](source, chromedp.EvalAwaitPromise))
}

// answer is the last one that the tab got for a page.
func (b *tab) answer(path string) network.Response {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.got[b.base+path]; r != nil {
		return *r
	}
	return network.Response{}
}

// field is a field of the last answer for a page.
func (b *tab) field(path, name string) string {
	for n, v := range b.answer(path).Headers {
		if strings.EqualFold(n, name) {
			return fmt.Sprint(v)
		}
	}
	return ""
}

// stamp is the line in which a page of the demo tells which rendering it is.
func stamp(text string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "Rendered at ") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func TestBrowser(t *testing.T) {
	browser := startBrowser(t)
	for name, addr := range startDoors(t) {
		t.Run(name, func(t *testing.T) {
			t.Run("hits", func(t *testing.T) { hits(t, browser, addr) })
			t.Run("codings", func(t *testing.T) { codings(t, browser, addr) })
			t.Run("reload", func(t *testing.T) { reload(t, browser, addr, name == "gateway") })
			t.Run("account", func(t *testing.T) { account(t, browser, addr) })
		})
	}
}

// hits: what one visitor's browser has caused to be rendered is given to others, on the way there, back, forward and again.
func hits(t *testing.T, browser context.Context, addr string) {
	first, second := newTab(t, browser, addr, true), newTab(t, browser, addr, true)
	rendered := stamp(first.open("/shop"))
	if rendered == "" {
		t.Fatal("the shop does not say which rendering it is")
	}
	realproc.WaitFor(t, 20*time.Second, "a hit", func() bool {
		if got := stamp(second.open("/shop")); got != rendered {
			t.Fatalf("another rendering: %q, not %q", got, rendered)
		}
		return strings.Contains(second.field("/shop", "Cache-Status"), "; hit")
	})
	second.do(chromedp.Reload())
	if got := stamp(get(second, text)); got != rendered || !strings.Contains(second.field("/shop", "Cache-Status"), "; hit") {
		t.Errorf("reloaded: %q, %s", got, second.field("/shop", "Cache-Status"))
	}
	home := second.open("/")
	for _, step := range []struct {
		move chromedp.Action[chromedp.Void]
		want string
	}{{chromedp.NavigateBack(), rendered}, {chromedp.NavigateForward(), stamp(home)}, {chromedp.NavigateBack(), rendered}} {
		second.do(step.move)
		if got := stamp(get(second, text)); got != step.want {
			t.Errorf("back or forward: %q, not %q", got, step.want)
		}
	}
	second.open("/redirect")
	if at := get(second, chromedp.Location()); at != second.base+"/shop" {
		t.Errorf("the redirect led to %s", at)
	}
}

// codings: whatever coding a page comes in, the browser sees the page that a client without any is given.
func codings(t *testing.T, browser context.Context, addr string) {
	b := newTab(t, browser, addr, true)
	b.open("/size/16k") // scripts ask from here
	coded := false
	for _, path := range []string{"/size/16k", "/size/100k", "/gzip/always", "/style.css", "/feed.rss", "/api/products.json", "/picture.svg"} {
		realproc.WaitFor(t, 20*time.Second, path+" from the cache as a client without codings is given it", func() bool {
			text := script[string](b, fmt.Sprintf(`fetch(%q, {cache: "reload"}).then(r => r.text())`, path))
			coded = coded || b.field(path, "Content-Encoding") != ""
			return text == realproc.Get(t, "http://"+addr+path) && strings.Contains(b.field(path, "Cache-Status"), "; hit")
		})
	}
	if !coded && !strings.Contains(b.field("/size/16k", "Cache-Status"), "nginx") {
		t.Error("no page came in a coding")
	}
}

// reload: a page that the browser has is confirmed by its validator, where the door's hits have one (nginx's have none), and
// reads as before.
func reload(t *testing.T, browser context.Context, addr string, validators bool) {
	b := newTab(t, browser, addr, true)
	b.open("/style.css")
	if validators {
		again := `r => fetch("/style.css", {cache: "no-store", headers: {"If-None-Match": r.headers.get("ETag") || "none"}})`
		realproc.WaitFor(t, 20*time.Second, "a 304", func() bool {
			return script[int](b, `fetch("/style.css").then(`+again+`).then(r => r.status)`) == http.StatusNotModified
		})
	}
	before := b.open("/style.css")
	b.do(chromedp.Reload())
	if after := get(b, text); before == "" || before != after {
		t.Errorf("reloaded, the style sheet reads %.60q, before %.60q", after, before)
	}
}

// account: a visitor who has logged in sees his own name, and nobody else does; all other pages he shares.
func account(t *testing.T, browser context.Context, addr string) {
	ada, bob, stranger := newTab(t, browser, addr, true), newTab(t, browser, addr, true), newTab(t, browser, addr, true)
	for visitor, name := range map[*tab]string{ada: "Ada Lovelace", bob: "Bob"} {
		visitor.open("/account")
		visitor.do(
			chromedp.SendKeys(`input[name=name]`, name),
			chromedp.Submit(`form[action="/account/login"]`),
			chromedp.WaitVisible(`form[action="/account/logout"]`),
		)
		if got := get(visitor, text); !strings.Contains(got, name) {
			t.Fatalf("logged in, %s reads %q", name, got)
		}
	}
	for range 3 {
		for visitor, name := range map[*tab]string{ada: "Ada Lovelace", bob: "Bob", stranger: ""} {
			text := visitor.open("/account")
			for _, other := range []string{"Ada Lovelace", "Bob"} {
				if strings.Contains(text, other) != (other == name) {
					t.Errorf("%q reads %q", name, text)
				}
			}
			if strings.Contains(visitor.field("/account", "Cache-Status"), "; hit") {
				t.Error("the account came from a cache")
			}
		}
	}
	if text := realproc.Get(t, "http://"+addr+"/account"); strings.Contains(text, "Ada") || strings.Contains(text, "Bob") {
		t.Errorf("a client without cookies reads %q", text)
	}
	shared := stamp(stranger.open("/shop"))
	realproc.WaitFor(t, 20*time.Second, "the shop to be the same for all", func() bool { return stamp(ada.open("/shop")) == shared })
	ada.open("/account")
	ada.do(chromedp.Submit(`form[action="/account/logout"]`), chromedp.WaitVisible(`form[action="/account/login"]`))
	if got := get(ada, text); strings.Contains(got, "Ada") {
		t.Errorf("logged out, she reads %q", got)
	}
}
