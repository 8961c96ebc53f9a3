package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// healthTimeout bounds the question of --health.
const healthTimeout = 5 * time.Second

// A question that each server answers, in either protocol; one that wants a user answers an error, which will do.
const (
	textQuestion   = "version\r\n"
	binaryQuestion = "\x80\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // noop
)

// health asks whether a server answers where one with these flags would listen, for a container without a shell whose
// engine runs a command now and then.
func (o *options) health(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	network, address, secured, err := o.ownAddress()
	if err != nil {
		return err
	}
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return fmt.Errorf("no server answers: %w", err)
	}
	defer c.Close()
	if secured {
		// Whoever could put another server there has this machine; what is asked and answered is no secret.
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	deadline, _ := ctx.Deadline()
	if err := c.SetDeadline(deadline); err != nil {
		return err
	}
	question := textQuestion
	if o.binding == "binary" {
		question = binaryQuestion
	}
	if _, err := io.WriteString(c, question); err != nil {
		return fmt.Errorf("%s does not answer: %w", address, err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		return fmt.Errorf("%s does not answer: %w", address, err)
	}
	return nil
}

// ownAddress is where a server with these flags can be reached from its own machine: the socket of -s, or the first address.
func (o *options) ownAddress() (network, address string, secured bool, err error) {
	if o.socket != "" {
		return "unix", o.socket, false, nil
	}
	if o.port <= 0 {
		return "", "", false, errors.New("--health needs -s or -p: there is no other address to ask")
	}
	a := o.listenAddresses(o.port)[0]
	host, port, err := net.SplitHostPort(a.address)
	if err != nil {
		return "", "", false, fmt.Errorf("-l %s: %w", a.address, err)
	}
	if ip := net.ParseIP(host); ip.IsUnspecified() {
		host = "" // dialled as this machine
	}
	return "tcp", net.JoinHostPort(host, port), a.secured(o.tls), nil
}
