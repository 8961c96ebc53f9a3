// Command cacheserver is a memcached server: memcached's flags, protocol and behaviour, over a store of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"pagegate/cacheserver/server"
	"pagegate/internal/service"
	"pagegate/internal/version"
)

func main() {
	ctx, stop := untilSignal()
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes, as in sysexits.h.
const (
	exitOK     = 0
	exitUsage  = 64
	exitFailed = 71
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseFlags(args)
	if err != nil {
		fmt.Fprintf(stderr, "cacheserver: %v\n", err)
		return exitUsage
	}
	switch {
	case o.help:
		fmt.Fprint(stdout, o.usage)
		return exitOK
	case o.version:
		fmt.Fprintf(stdout, "memcached %s (pagegate cacheserver %s)\n", server.Version, version.String())
		return exitOK
	case o.license:
		fmt.Fprintln(stdout, "cacheserver is part of pagegate, Copyright (c) 2026 the pagegate authors, under the MIT License: see the file LICENSE.")
		return exitOK
	case o.askHealth:
		if err := o.health(ctx); err != nil {
			fmt.Fprintf(stderr, "cacheserver: %v\n", err)
			return exitFailed
		}
		return exitOK
	case o.daemon && !isDaemon():
		return daemonize(args, o.verbose > 0, stderr)
	}
	if err := serve(ctx, o, stderr); err != nil {
		tellStarter(err)
		fmt.Fprintf(stderr, "cacheserver: %v\n", err)
		return exitFailed
	}
	return exitOK
}

// spareProcs is how many more threads than workers may run Go code.
const spareProcs = 4

// giveEachItsProc sees to it that a worker that wakes up finds a processor of the Go scheduler free at once. With fewer of them than
// workers each wake-up may cost a wait in line, which was 8% of the work. GOMAXPROCS in the environment goes first.
func giveEachItsProc(workers int) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), workers+spareProcs))
	}
}

// serve opens the listeners and the store, and answers until ctx ends.
func serve(ctx context.Context, o *options, stderr io.Writer) error {
	giveEachItsProc(o.threads)
	clock := server.NewClock(time.Now)
	defer clock.Stop()
	log, err := o.openDisk(stderr)
	if err != nil {
		return err
	}
	st, err := o.openStore(clock.Unix, log, stderr)
	if err != nil {
		return errors.Join(err, closeDisk(log))
	}
	defer st.Close()
	defer closeDisk(log) // before the store, whose memory it reads into
	if o.verbose >= 2 {
		for _, c := range st.SlabClasses() {
			fmt.Fprintf(stderr, "slab class %3d: chunk size %9d perslab %7d\n", c.ID, c.ChunkSize, c.PerPage)
		}
	}
	for _, note := range o.ext.notes {
		fmt.Fprintf(stderr, "cacheserver: %s\n", note)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	cfg := o.server(stderr)
	if o.shutdown {
		cfg.Shutdown = func(graceful bool) {
			if graceful {
				stop(errGraceful)
			}
			stop(nil)
		}
	}
	if o.ext.relaxed {
		cfg.TestClock = clock
	}
	if err := o.access(&cfg, stderr); err != nil {
		return err
	}
	listening, err := o.listen()
	if err != nil {
		return err
	}
	defer listening.Close()
	if o.verbose >= 2 {
		listening.log(stderr)
	}
	cfg.UDP = listening.udp
	if c := listening.certificates; c != nil {
		cfg.TLSRead, cfg.TLSResumes = c.read.Load, c.options.sessionCache
	}
	cfg.Reload = reloader(cfg.AuthFile, listening.certificates)
	o.process(stderr)
	if err := o.dropPrivileges(); err != nil {
		return err
	}
	srv, err := server.New(cfg, st, clock.Unix, listening.listeners...)
	if err != nil {
		return err
	}
	if o.pidFile != "" {
		if err := writePID(o.pidFile); err != nil { // as memcached, which runs all the same
			fmt.Fprintf(stderr, "cacheserver: %v\n", err)
		}
		defer os.Remove(o.pidFile)
	}
	defer context.AfterFunc(ctx, srv.Close)()
	defer onHangup(cfg.Reload, stderr)()
	tellStarter(nil)
	manager := service.Ready()
	defer manager.Close()
	defer context.AfterFunc(ctx, manager.Stopping)()
	srv.Serve()
	if errors.Is(context.Cause(ctx), errGraceful) {
		o.saveStore(st, stderr)
	}
	return nil
}
