// Command gateway answers pages from a cache and, on a miss, from the backend: what nginx, a memcached server and the
// filler do together, in one process. Without --cache it keeps the pages in its own memory; with it, it shares them with
// every nginx and filler on the same servers.
package main

import (
	"context"
	"io"

	"pagegate/gateway/program"
	"pagegate/internal/flow"
)

func main() { flow.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return flow.Run(ctx, program.Gateway(), args, stdout, stderr)
}
