// Package program is what the gateway is made of, for the mains that run it.
package program

import (
	"fmt"
	"io"
	"net"

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

// Gateway returns the gateway.
func Gateway() flow.Program {
	return flow.Program{
		Name:      config.Gateway,
		OpenCache: openCache,
		Handler: func(d *door.Door, c pagecache.Cache) fasthttp.RequestHandler {
			return (&edge.Edge{Door: d, Cache: c}).Handle
		},
		Fast: func(d *door.Door, c pagecache.Cache) loop.Fast {
			return (&edge.Edge{Door: d, Cache: c}).Fast
		},
		Welcome: welcome,
	}
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
