package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"pagegate/internal/service"
)

// portFileEnv names a file that gets the ports that were chosen, for whoever starts the server with -p -1.
const portFileEnv = "MEMCACHED_PORT_FILENAME"

// sockets are what the server listens on.
type sockets struct {
	listeners    []net.Listener
	addresses    []net.Addr    // of the TCP listeners
	certificates *certificates // nil if TLS is spoken nowhere
	udp          []*net.UDPConn
}

// Close closes them all; those that are closed already too.
func (s *sockets) Close() {
	for _, l := range s.listeners {
		l.Close()
	}
	for _, c := range s.udp {
		c.Close()
	}
}

// log tells what is listened on.
func (s *sockets) log(w io.Writer) {
	for _, l := range s.listeners {
		fmt.Fprintf(w, "<%s server listening\n", l.Addr())
	}
	for _, c := range s.udp {
		fmt.Fprintf(w, "<%s server listening (udp)\n", c.LocalAddr())
	}
}

// listen takes the sockets that the service manager hands over, or else opens what -s, -p, -U and -l say: a unix socket, or TCP
// and UDP on each address.
func (o *options) listen() (*sockets, error) {
	switch inherited, err := service.Inherited(); {
	case err != nil:
		return nil, err
	case len(inherited.Clients)+len(inherited.Admin)+len(inherited.UDP) > 0:
		return o.take(inherited)
	}
	if o.socket != "" {
		l, err := o.listenUnix()
		if err != nil {
			return nil, err
		}
		return &sockets{listeners: []net.Listener{l}}, nil
	}
	s := new(sockets)
	if o.wantsTLS() {
		var err error
		if s.certificates, err = newCertificates(o.ext.ssl); err != nil {
			return nil, err
		}
	}
	err := errors.Join(o.listenTCP(s), o.listenUDP(s))
	if err == nil {
		err = writePorts(s)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// take makes use of inherited sockets, which go before all that the flags say about addresses. With -Z TCP ones speak TLS.
func (o *options) take(inherited *service.Sockets) (s *sockets, err error) {
	s = &sockets{udp: inherited.UDP}
	if o.tls {
		if s.certificates, err = newCertificates(o.ext.ssl); err != nil {
			inherited.Close()
			return nil, err
		}
	}
	for _, l := range append(inherited.Clients, inherited.Admin...) { // there is no admin listener here: a name means nothing
		if _, tcp := l.(*net.TCPListener); tcp {
			s.addresses = append(s.addresses, l.Addr())
			if o.tls {
				l = secureListener{l.(*net.TCPListener), s.certificates.config("")}
			}
		}
		s.listeners = append(s.listeners, l)
	}
	return s, writePorts(s)
}

// secureListener speaks TLS. Unlike crypto/tls's listener it lets others see its socket.
type secureListener struct {
	*net.TCPListener
	config *tls.Config
}

// Accept waits for a connection; its handshake is made when it is first used.
func (l secureListener) Accept() (net.Conn, error) {
	c, err := l.TCPListener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(c, l.config), nil
}

func (o *options) listenTCP(s *sockets) error {
	if o.port == 0 {
		return nil
	}
	port := 0
	for _, a := range o.listenAddresses(o.port) {
		l, err := a.listen(port)
		if err != nil {
			return listenError(a.address, "-p", err)
		}
		if l == nil {
			continue
		}
		if err := setBacklog(l, o.backlog); err != nil {
			return errors.Join(fmt.Errorf("-b %d: %w", o.backlog, err), l.Close())
		}
		port = l.Addr().(*net.TCPAddr).Port
		s.addresses = append(s.addresses, l.Addr())
		if a.secured(o.tls) {
			s.listeners = append(s.listeners, secureListener{l.(*net.TCPListener), s.certificates.config(a.mode)})
		} else {
			s.listeners = append(s.listeners, l)
		}
	}
	return nil
}

// listen opens a TCP socket. Without -l the second one takes the port of the first if any port will
// do; there need not be an IPv6, and nil is what comes of that.
func (a listenAddress) listen(port int) (net.Listener, error) {
	l, err := net.Listen("tcp"+a.family, a.with(port))
	if a.anyway && err != nil && !errors.Is(err, syscall.EADDRINUSE) {
		return nil, nil
	}
	return l, err
}

// with returns the address with a port in the place of any.
func (a listenAddress) with(port int) string {
	if host, any, ok := strings.Cut(a.address, "]:"); a.anyway && ok && any == "0" {
		return host + "]:" + strconv.Itoa(port)
	}
	return a.address
}

func (o *options) listenUDP(s *sockets) error {
	if o.udpPort == 0 {
		return nil
	}
	port := 0
	for _, a := range o.listenAddresses(o.udpPort) {
		c, err := net.ListenPacket("udp"+a.family, a.with(port))
		if a.anyway && err != nil && !errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return listenError(a.address, "-U", err)
		}
		port = c.LocalAddr().(*net.UDPAddr).Port
		s.udp = append(s.udp, c.(*net.UDPConn))
	}
	return nil
}

// setBacklog sets how many connections may wait to be accepted, up to the system's limit (net.core.somaxconn), which is what the
// runtime takes by itself. To listen again on the same socket changes nothing else.
func setBacklog(l net.Listener, n int) error {
	c, err := l.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	controlled := c.Control(func(fd uintptr) { err = syscall.Listen(int(fd), n) })
	return errors.Join(controlled, err)
}

func listenError(address, flag string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("failed to listen on %s: the port is in use; stop who has it or choose another with %s", address, flag)
	}
	return fmt.Errorf("failed to listen on %s: %w (see -l and %s)", address, err, flag)
}

// listenAddress is one of -l's, with what is said about TLS before it: tls, mtls (clients show a certificate), btls (they need
// not), notls, or nothing, which leaves it to -Z. family is 4 or 6, or empty for a name: without -l memcached has a socket for each family,
// and 0.0.0.0 is IPv4 only. anyway says that there need not be such a family.
type listenAddress struct {
	mode, address, family string
	anyway                bool
}

// secured tells whether TLS is spoken there.
func (a listenAddress) secured(byDefault bool) bool {
	return a.mode != "notls" && (byDefault || a.mode != "")
}

// listenAddresses is -l, with a port where an address has none of its own.
func (o *options) listenAddresses(number int) []listenAddress {
	port := strconv.Itoa(max(number, 0)) // the system chooses for 0
	if o.addresses == "" {
		return []listenAddress{{address: "0.0.0.0:" + port, family: "4"}, {address: "[::]:" + port, family: "6", anyway: true}}
	}
	var all []listenAddress
	for text := range strings.SplitSeq(o.addresses, ",") {
		a := listenAddress{address: strings.TrimSpace(text)}
		if mode, rest, ok := strings.Cut(a.address, ":"); ok && slices.Contains([]string{"tls", "mtls", "btls", "notls"}, mode) {
			a = listenAddress{mode: mode, address: rest}
		}
		if _, _, err := net.SplitHostPort(a.address); err != nil {
			a.address = net.JoinHostPort(strings.Trim(a.address, "[]"), port)
		}
		a.family = familyOf(a.address)
		all = append(all, a)
	}
	return all
}

// familyOf returns 4 or 6 for an address of that family, and nothing for a name, which may have both.
func familyOf(address string) string {
	switch a, err := netip.ParseAddrPort(address); {
	case err != nil:
		return ""
	case a.Addr().Is4():
		return "4"
	}
	return "6"
}

// wantsTLS tells whether TLS is spoken anywhere.
func (o *options) wantsTLS() bool {
	return o.socket == "" && slices.ContainsFunc(o.listenAddresses(o.port), func(a listenAddress) bool { return a.secured(o.tls) })
}

func (o *options) listenUnix() (net.Listener, error) {
	if st, err := os.Lstat(o.socket); err == nil && st.Mode()&os.ModeSocket != 0 {
		if c, err := net.DialTimeout("unix", o.socket, time.Second); err == nil {
			c.Close()
			return nil, fmt.Errorf("-s %s: another program listens there", o.socket)
		}
		if err := os.Remove(o.socket); err != nil {
			return nil, fmt.Errorf("-s %s: a socket is left there and cannot be removed: %w", o.socket, err)
		}
	}
	l, err := net.Listen("unix", o.socket)
	if err != nil {
		return nil, fmt.Errorf("-s %s: %w", o.socket, err)
	}
	if err := setBacklog(l, o.backlog); err != nil {
		return nil, errors.Join(fmt.Errorf("-b %d: %w", o.backlog, err), l.Close())
	}
	mode, _ := strconv.ParseUint(o.socketMode, 8, 9) // checked with the flags
	if err := os.Chmod(o.socket, os.FileMode(mode)); err != nil {
		l.Close()
		return nil, fmt.Errorf("-a %s: %w", o.socketMode, err)
	}
	return l, nil
}

// writePorts tells who asked for it which ports there are.
func writePorts(s *sockets) error {
	file := os.Getenv(portFileEnv)
	if file == "" {
		return nil
	}
	var b strings.Builder
	line := func(network string, a netip.AddrPort) {
		family := "INET"
		if !a.Addr().Unmap().Is4() {
			family = "INET6"
		}
		fmt.Fprintf(&b, "%s %s: %d\n", network, family, a.Port())
	}
	for _, a := range s.addresses {
		line("TCP", a.(*net.TCPAddr).AddrPort())
	}
	for _, c := range s.udp {
		line("UDP", c.LocalAddr().(*net.UDPAddr).AddrPort())
	}
	// Whoever waits for the file must not find half of it.
	if err := os.WriteFile(file+".lck", []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("%s: %w", portFileEnv, err)
	}
	return os.Rename(file+".lck", file)
}

// dropPrivileges becomes the user of -u if root started the program. Without -u root stays root, unlike memcached, which
// refuses: whoever tries it out in a container is root, and -u is there for those who are not trying.
func (o *options) dropPrivileges() error {
	if o.user == "" || os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(o.user)
	if err != nil {
		return fmt.Errorf("-u %s: %w", o.user, err)
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("-u %s: %w", o.user, err)
	}
	if o.socket != "" {
		if err := os.Chown(o.socket, uid, gid); err != nil {
			return fmt.Errorf("-u %s: the socket: %w", o.user, err)
		}
	}
	if err := errors.Join(syscall.Setgroups([]int{gid}), syscall.Setgid(gid), syscall.Setuid(uid)); err != nil {
		return fmt.Errorf("-u %s: %w", o.user, err)
	}
	return nil
}
