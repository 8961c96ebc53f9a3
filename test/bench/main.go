// Command bench measures pagegate's servers side by side with their peers and prints tables of ratios.
//
// All servers of a comparison run at the same time and get the same load in turns, a short one each, so that whatever
// else the machine does falls on all of them alike. The CPU time is the server's own, user and system.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o cacheOptions
	fs := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	fs.StringVar(&o.server, "cacheserver", "bin/cacheserver", "our cache server's program")
	fs.StringVar(&o.peer, "memcached", "memcached", "the peer's program")
	fs.IntVar(&o.threads, "threads", 4, "both servers' -t")
	fs.DurationVar(&o.slice, "slice", defaultSlice, "length of one turn of load")
	fs.IntVar(&o.rounds, "rounds", 5, "turns that each server gets per load")
	fs.IntVar(&o.items, "items", 2_000_000, "items that the full server holds in the section tail")
	fs.StringVar(&o.only, "only", "", "run the sections whose name contains this")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() != 1 || fs.Arg(0) != "cacheserver" {
		return errors.New("say what to measure: cacheserver")
	}
	return benchCacheserver(ctx, o, out)
}
