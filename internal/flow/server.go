package flow

import (
	"context"
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"pagegate/internal/door"
	"pagegate/internal/listen"
	"pagegate/internal/loop"
)

// server is what answers connections.
type server interface {
	Serve(net.Listener) error
	ShutdownWithContext(context.Context) error
}

// server makes what serves the listeners: event loops, where most requests are answered from this process's own store, else
// fasthttp's server, a goroutine for each connection.
func (h *house) server(listeners []net.Listener, log zerolog.Logger) (server, error) {
	c := h.current.Load().config
	s := door.NewServer(h.handle, log)
	s.Concurrency = c.MaxConns
	socket, ok := listeners[0].(loop.Listener)
	if !ok || len(listeners) > 1 || h.own == nil || h.program.Fast == nil || !c.EventLoop {
		return s, nil
	}
	workers := runtime.GOMAXPROCS(0)
	loops, err := loop.New(loop.Options{
		Fast: h.fast, Server: s, Patient: listen.Patient, IdleTimeout: s.IdleTimeout, Workers: workers,
		MaxConns: c.MaxConns, Linger: linger, NoUring: !c.IOUring,
	})
	if err != nil {
		return nil, err
	}
	moreProcessors(workers)
	return &looping{loops, socket}, nil
}

// linger is how long a connection waits where it was answered by the miss path: longer than a client's next request takes on
// its way, shorter than a visitor's next click.
const linger = 250 * time.Millisecond

// moreProcessors lets Go run that many goroutines more at once. A worker that has enough to do never leaves the processor
// that the scheduler gave it: with one for each of the machine's, nothing would be left for what is not a plain hit, and
// so the workers have theirs besides, and the kernel divides the machine between both.
var moreProcessors = func() func(int) {
	var once sync.Once
	return func(n int) { once.Do(func() { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n) }) }
}()

// looping is a loop with its listener.
type looping struct {
	*loop.Server
	socket loop.Listener
}

func (l *looping) Serve(net.Listener) error { return l.Server.Serve(l.socket) }
