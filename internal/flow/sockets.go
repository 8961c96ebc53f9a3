package flow

import (
	"errors"
	"net"
	"slices"
	"strings"

	"pagegate/internal/config"
	"pagegate/internal/listen"
	"pagegate/internal/service"
)

// sockets are what a door listens on: what the service manager hands over, and for what it does not, the configured addresses.
type sockets struct {
	clients []net.Listener // at least one
	admin   net.Listener   // nil for none
}

func openSockets(c *config.Config) (*sockets, error) {
	inherited, err := service.Inherited()
	if err != nil {
		return nil, err
	}
	s, err := choose(c, inherited)
	if err != nil {
		inherited.Close()
		if s != nil {
			s.close()
		}
		return nil, err
	}
	return s, nil
}

// choose puts the sockets together. After an error, what it returns is to be closed.
func choose(c *config.Config, inherited *service.Sockets) (s *sockets, err error) {
	switch {
	case len(inherited.UDP) > 0:
		return nil, errors.New("an inherited datagram socket is of no use here: use ListenStream= in the .socket unit")
	case len(inherited.Admin) > 1:
		return nil, errors.New("only one inherited socket can be the admin listener (FileDescriptorName=admin)")
	}
	s = new(sockets)
	for _, l := range inherited.Clients {
		s.clients = append(s.clients, listen.Bounded(l))
	}
	if len(s.clients) == 0 {
		l, err := listen.Listen(c.Listen)
		if err != nil {
			return s, err
		}
		s.clients = []net.Listener{l}
	}
	switch {
	case len(inherited.Admin) == 1:
		s.admin = listen.Bounded(inherited.Admin[0])
	case c.Admin != "":
		s.admin, err = listen.Listen(c.Admin)
	}
	return s, err
}

// addresses is what the log says of where clients connect.
func (s *sockets) addresses() string {
	var all []string
	for _, l := range s.clients {
		all = append(all, l.Addr().String())
	}
	return strings.Join(all, ", ")
}

func (s *sockets) close() {
	for _, l := range append(slices.Clone(s.clients), s.admin) {
		if l != nil {
			l.Close()
		}
	}
}
