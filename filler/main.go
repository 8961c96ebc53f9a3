// Command filler is the HTTP service that nginx falls back to when its memcached server has no page: it fetches the page
// from the backend, once for all who wait, answers, and stores it under the page key where nginx will find it.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/valyala/fasthttp"

	"pagegate/filler/handler"
	"pagegate/internal/config"
	"pagegate/internal/door"
	"pagegate/internal/flow"
	"pagegate/internal/pagecache"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return flow.Run(ctx, flow.Program{
		Name:      config.Filler,
		OpenCache: flow.OpenRemote,
		Handler: func(d *door.Door, _ pagecache.Cache) fasthttp.RequestHandler {
			return (&handler.Handler{Door: d}).Handle
		},
	}, args, stdout, stderr)
}
