package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// portFileEnv names a file that gets the ports that were chosen, for whoever starts the server with -p -1.
const portFileEnv = "MEMCACHED_PORT_FILENAME"

// listen opens what -s, -p and -l say: a unix socket, or TCP on each address.
func (o *options) listen() (listeners []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			listeners = nil
		}
	}()
	if o.socket != "" {
		l, err := o.listenUnix()
		if err != nil {
			return nil, err
		}
		return []net.Listener{l}, nil
	}
	if o.port == 0 {
		return nil, errors.New("-p 0 and no -s: there is nothing to listen on")
	}
	for _, address := range o.tcpAddresses() {
		l, err := net.Listen("tcp", address)
		if errors.Is(err, syscall.EADDRINUSE) {
			return listeners, fmt.Errorf("failed to listen on %s: the port is in use; stop who has it or choose another with -p", address)
		}
		if err != nil {
			return listeners, fmt.Errorf("failed to listen on %s: %w (see -l and -p)", address, err)
		}
		listeners = append(listeners, l)
	}
	return listeners, writePorts(listeners)
}

// tcpAddresses is -l with -p where an address has no port of its own.
func (o *options) tcpAddresses() []string {
	port := strconv.Itoa(max(o.port, 0)) // the system chooses for 0
	if o.addresses == "" {
		return []string{":" + port}
	}
	var all []string
	for _, a := range strings.Split(o.addresses, ",") {
		a = strings.TrimSpace(a)
		if _, _, err := net.SplitHostPort(a); err != nil {
			a = net.JoinHostPort(strings.Trim(a, "[]"), port)
		}
		all = append(all, a)
	}
	return all
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
	mode, _ := strconv.ParseUint(o.socketMode, 8, 9) // checked with the flags
	if err := os.Chmod(o.socket, os.FileMode(mode)); err != nil {
		l.Close()
		return nil, fmt.Errorf("-a %s: %w", o.socketMode, err)
	}
	return l, nil
}

// writePorts tells who asked for it which ports there are.
func writePorts(listeners []net.Listener) error {
	file := os.Getenv(portFileEnv)
	if file == "" {
		return nil
	}
	var b strings.Builder
	for _, l := range listeners {
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			family := "INET"
			if a.IP.To4() == nil {
				family = "INET6"
			}
			fmt.Fprintf(&b, "TCP %s: %d\n", family, a.Port)
		}
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
