// Package service is what a program and the service manager that started it tell each other, in systemd's words: which
// sockets the program inherits (socket activation), and that it is ready, ends, or is still alive. Started by anything
// else, a program inherits nothing and what it tells goes nowhere.
package service

import (
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// AdminName is the FileDescriptorName= of a socket that is the admin listener. Any other socket is for the clients.
const AdminName = "admin"

// Sockets are what a program inherits, open and bound. They are the caller's, who closes them.
type Sockets struct {
	Clients []net.Listener // stream sockets for clients
	Admin   []net.Listener // stream sockets named admin
	UDP     []*net.UDPConn // datagram sockets
}

// Close closes them all.
func (s *Sockets) Close() {
	for _, l := range append(s.Clients, s.Admin...) {
		l.Close()
	}
	for _, c := range s.UDP {
		c.Close()
	}
}

// Inherited takes what sockets the service manager has opened for this process. It is for one call in a process: the
// sockets are taken out of the environment, so that no child takes them for its own.
func Inherited() (*Sockets, error) { return take(activation.Files(true)) }

// take makes listeners and packet connections of files, which it closes.
func take(files []*os.File) (*Sockets, error) {
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	s := new(Sockets)
	for _, f := range files {
		if err := s.add(f); err != nil {
			s.Close()
			return nil, fmt.Errorf("inherited socket %s: %w", f.Name(), err)
		}
	}
	return s, nil
}

func (s *Sockets) add(f *os.File) error {
	if l, err := net.FileListener(f); err == nil {
		if f.Name() == AdminName {
			s.Admin = append(s.Admin, l)
		} else {
			s.Clients = append(s.Clients, l)
		}
		return nil
	}
	c, err := net.FilePacketConn(f)
	if err != nil {
		return fmt.Errorf("neither a listening stream socket nor a datagram socket: %w", err)
	}
	udp, ok := c.(*net.UDPConn)
	if !ok {
		c.Close()
		return fmt.Errorf("a %s socket is of no use here", c.LocalAddr().Network())
	}
	s.UDP = append(s.UDP, udp)
	return nil
}

// Running is a program that has told the service manager that it is ready.
type Running struct {
	end  chan struct{}
	beat sync.WaitGroup
}

// Ready tells the service manager that the program serves, and, if it wants to know (WatchdogSec=), from then on that it
// is alive, twice in each of its intervals. A manager that cannot be reached is none.
func Ready() *Running {
	r := &Running{end: make(chan struct{})}
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval <= 0 {
		return r
	}
	r.beat.Go(func() {
		tick := time.NewTicker(interval / 2)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog)
			case <-r.end:
				return
			}
		}
	})
	return r
}

// Stopping tells that the program is about to end. It is for one call. The watchdog is still told that the program is
// alive until Close, since what is under way may take its time.
func (r *Running) Stopping() { _, _ = daemon.SdNotify(false, daemon.SdNotifyStopping) }

// Close ends what Ready began.
func (r *Running) Close() {
	close(r.end)
	r.beat.Wait()
}
