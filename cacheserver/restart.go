package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"pagegate/cacheserver/extstore"
	"pagegate/cacheserver/store"
)

// errGraceful is why a program ends that is to leave its items to the next one (-e).
var errGraceful = errors.New("graceful shutdown")

// untilSignal returns a context that a signal ends: SIGUSR1 gracefully, SIGINT and SIGTERM as fast as may be.
func untilSignal() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		switch sig, ok := <-signals; {
		case ok && sig == syscall.SIGUSR1:
			cancel(errGraceful)
		case ok:
			cancel(nil)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		<-done
		cancel(nil)
	}
}

// openStore makes the store, with -e from what the last program has left, and tells what came of that.
func (o *options) openStore(now func() int64, log *extstore.Log, stderr io.Writer) (*store.Store, error) {
	begun := time.Now()
	cfg := o.store(now)
	cfg.Disk = log
	st, err := store.New(cfg)
	if err != nil {
		if o.memoryFile != "" {
			return nil, fmt.Errorf("-e: %w", err)
		}
		return nil, err
	}
	st.SetAutomove(o.ext.automove)
	if log != nil {
		st.SetDiskPolicy(o.diskPolicy(log))
	}
	switch got := st.Restored(); {
	case got.Cold != nil:
		fmt.Fprintf(stderr, "cacheserver: -e %s: starting without items: %v\n", o.memoryFile, got.Cold)
	case got.Saved != 0:
		fmt.Fprintf(stderr, "cacheserver: -e %s: %d items are there again, saved %d seconds ago (took %v)\n",
			o.memoryFile, got.Items, now()-got.Saved, time.Since(begun).Round(time.Millisecond))
	}
	return st, nil
}

// saveStore leaves the items of -e to the next start. If that fails the next start is without them, as after a crash.
func (o *options) saveStore(st *store.Store, stderr io.Writer) {
	if o.memoryFile == "" {
		return
	}
	begun, count := time.Now(), st.Stats().CurrItems
	if err := st.Save(); err != nil {
		fmt.Fprintf(stderr, "cacheserver: -e %s: the items cannot be saved: %v\n", o.memoryFile, err)
		return
	}
	fmt.Fprintf(stderr, "cacheserver: -e %s: %d items saved (took %v)\n", o.memoryFile, count, time.Since(begun).Round(time.Millisecond))
}
