// Command filler is the HTTP service that nginx falls back to when its memcached server has no page: it fetches the page
// from the backend, once for all who wait, answers, and stores it under the page key where nginx will find it.
package main

import (
	"context"
	"io"

	"pagegate/filler/program"
	"pagegate/internal/flow"
)

func main() { flow.Main(run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return flow.Run(ctx, program.Filler(), args, stdout, stderr)
}
