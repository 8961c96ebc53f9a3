package main

import (
	"fmt"
	"io"
	"os"

	"pagegate/cacheserver/server"
)

// pwdbEnv names the file of users and passwords for -S: lines `user:password`, which a colon and anything may follow.
const pwdbEnv = "MEMCACHED_SASL_PWDB"

// protocols are the values of -B, with what `stats settings` calls them.
var protocols = map[string]struct {
	protocol server.Protocol
	name     string
}{
	"auto":   {server.Auto, "auto-negotiate"},
	"ascii":  {server.ASCII, "ascii"},
	"binary": {server.Binary, "binary"},
}

// settleAccess decides what -B, -S, -Y and -U say together. given tells whether a flag is on the command line.
func (o *options) settleAccess(given func(flag string) bool) error {
	if _, ok := protocols[o.binding]; !ok {
		return fmt.Errorf("-B %s: want auto, ascii or binary", o.binding)
	}
	if o.udpPort < -1 || o.udpPort > 65535 {
		return fmt.Errorf("-U %d: want a port, 0 for none, -1 for any", o.udpPort)
	}
	if o.udpPort != 0 && !given("port") {
		o.port = o.udpPort
	}
	only, flag := "", ""
	switch {
	case o.sasl && o.authFile != "":
		return fmt.Errorf("-S and -Y: the one is for the binary protocol only, the other for the text protocol; choose one")
	case o.sasl:
		only, flag = "binary", "-S"
	case o.authFile != "":
		only, flag = "ascii", "-Y"
	default:
		return nil
	}
	if given("protocol") && o.binding != only {
		return fmt.Errorf("%s with -B %s: clients authenticate themselves in the %s protocol only", flag, o.binding, only)
	}
	if o.udpPort != 0 {
		return fmt.Errorf("%s with -U %d: nobody can authenticate himself over UDP", flag, o.udpPort)
	}
	o.binding = only
	return nil
}

// access fills in who may speak to the server. It reads the file of -Y, and so comes before the program gives up root.
func (o *options) access(cfg *server.Config, stderr io.Writer) (err error) {
	cfg.Protocol = protocols[o.binding].protocol
	if o.sasl {
		file := os.Getenv(pwdbEnv)
		if file == "" {
			fmt.Fprintf(stderr, "cacheserver: -S without %s in the environment: nobody can authenticate himself\n", pwdbEnv)
		}
		cfg.SASL = server.PasswordFile(file)
	}
	if o.authFile != "" {
		if cfg.AuthFile, err = server.LoadAuthFile(o.authFile); err != nil {
			return fmt.Errorf("-Y: %w", err)
		}
		if n := cfg.AuthFile.Ignored(); n > 0 {
			fmt.Fprintf(stderr, "cacheserver: -Y %s: only the first lines count, as in memcached: %d more are ignored\n", o.authFile, n)
		}
	}
	return nil
}
