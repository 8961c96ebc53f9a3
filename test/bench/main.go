// Command bench measures pagegate's servers side by side with their peers and prints tables of ratios.
//
// All servers of a comparison run at the same time and get the same load in turns, a short one each, so that whatever
// else the machine does falls on all of them alike. The CPU time is the server's own, user and system, of all its
// processes.
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

// commands are what this program can be asked for.
var commands = map[string]func(ctx context.Context, args []string, out io.Writer) error{
	"cacheserver": runCacheserver,
	"pages":       runPages,
	floorCommand:  runFloor,
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 {
		if command, ok := commands[args[0]]; ok {
			return command(ctx, args[1:], out)
		}
	}
	return errors.New("say what to measure: cacheserver or pages")
}

func runCacheserver(ctx context.Context, args []string, out io.Writer) error {
	var o cacheOptions
	fs := pflag.NewFlagSet("bench cacheserver", pflag.ContinueOnError)
	fs.StringVar(&o.server, "cacheserver", "bin/cacheserver", "our cache server's program")
	fs.StringVar(&o.peer, "memcached", "memcached", "the peer's program")
	fs.IntVar(&o.threads, "threads", 4, "both servers' -t")
	fs.DurationVar(&o.slice, "slice", defaultSlice, "length of one turn of load")
	fs.IntVar(&o.rounds, "rounds", 5, "turns that each server gets per load")
	fs.IntVar(&o.items, "items", 2_000_000, "items that the full server holds in the section tail")
	fs.StringVar(&o.only, "only", "", "run the sections whose name contains this")
	fs.StringVar(&o.loads, "loads", "", "give the loads whose name contains this, in the section load")
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	return benchCacheserver(ctx, o, out)
}

func runPages(ctx context.Context, args []string, out io.Writer) error {
	var o pageOptions
	fs := pflag.NewFlagSet("bench pages", pflag.ContinueOnError)
	fs.StringVar(&o.bin, "bin", "bin", "where our programs are")
	fs.StringVar(&o.nginxConf, "nginx-conf", "nginx", "where the shipped nginx configuration is")
	fs.StringVar(&o.out, "out", "", "folder for benchmarks.md and its pictures; empty: only print")
	fs.DurationVar(&o.slice, "slice", defaultSlice, "length of one turn of load")
	fs.IntVar(&o.rounds, "rounds", 3, "turns that each server gets per load")
	fs.IntVar(&o.pages, "pages", 10_000, "pages of the loads that ask for many")
	fs.StringArrayVar(&o.onlyLoads, "load", nil, "give only this load, or each whose name contains this; may be repeated")
	fs.StringArrayVar(&o.onlyServers, "server", nil, "start only this server, or each whose name contains this; may be repeated")
	fs.StringVar(&o.before, "before", "", "where our programs from before a change are, and perhaps nginx/ with the configuration of then: they take part too")
	if err := parseFlags(fs, args); err != nil {
		return err
	}
	return benchPages(ctx, o, out)
}

func parseFlags(fs *pflag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", fs.Arg(0))
	}
	return nil
}
