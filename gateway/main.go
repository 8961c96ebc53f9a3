// Command gateway answers pages from a cache and, on a miss, from the backend: what nginx, a memcached server and the
// filler do together, in one process. Without --cache it keeps the pages in its own memory; with it, it shares them with
// every nginx and filler on the same servers.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/valyala/fasthttp"

	"pagegate/gateway/edge"
	"pagegate/internal/config"
	"pagegate/internal/door"
	"pagegate/internal/flow"
	"pagegate/internal/loop"
	"pagegate/internal/pagecache"
	"pagegate/internal/pagecache/embedded"
	"pagegate/internal/policy"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return flow.Run(ctx, flow.Program{
		Name:      config.Gateway,
		OpenCache: openCache,
		Handler: func(d *door.Door, c pagecache.Cache) fasthttp.RequestHandler {
			return (&edge.Edge{Door: d, Cache: c}).Handle
		},
		Fast: func(d *door.Door, c pagecache.Cache) loop.Fast {
			return (&edge.Edge{Door: d, Cache: c}).Fast
		},
		Welcome: welcome,
	}, args, stdout, stderr)
}

// openCache chooses between the process's own store and the cache servers.
func openCache(c *config.Config, pol *policy.Policy) (pagecache.Cache, error) {
	if len(c.Cache.Servers) > 0 {
		return flow.OpenRemote(c, pol)
	}
	return embedded.New(embedded.Options{Memory: int64(c.Memory), MaxBody: int64(c.MaxBody)})
}

// welcome tells whoever tries the gateway with the built-in site where to look.
func welcome(w io.Writer, c *config.Config, addr net.Addr) {
	if c.Backend != "demo:" || addr.Network() != "tcp" {
		return
	}
	fmt.Fprintf(w, `
The gateway answers on http://%[1]s/ with the built-in demo site behind it. Try:

  curl -i http://%[1]s/shop/1      a page from the slow "database": about 200 ms, Cache-Status: fwd=uri-miss
  curl -i http://%[1]s/shop/1      again: well under a millisecond, Cache-Status: hit
  curl -i http://%[1]s/account     one visitor's own page: never stored

Stop with Ctrl-C. To put it before a site of yours: go run ./gateway --backend http://127.0.0.1:9000

`, addr)
}
