// Command doors is the filler and the gateway in one file, and is either by the name that it is called by. Nearly all of
// their code is the same: an image that holds it once is 18 MB smaller.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	filler "pagegate/filler/program"
	gateway "pagegate/gateway/program"
	"pagegate/internal/flow"
)

const exitUsage = 2

func main() {
	flow.Main(func(ctx context.Context, args []string, stdout, stderr io.Writer) int {
		return run(ctx, os.Args[0], args, stdout, stderr)
	})
}

// run is the program that is called so.
func run(ctx context.Context, called string, args []string, stdout, stderr io.Writer) int {
	switch name := filepath.Base(called); name {
	case "filler":
		return flow.Run(ctx, filler.Filler(), args, stdout, stderr)
	case "gateway":
		return flow.Run(ctx, gateway.Gateway(), args, stdout, stderr)
	default:
		fmt.Fprintf(stderr, "%s: link this file to the names filler and gateway, and call it by one of them\n", name)
		return exitUsage
	}
}
