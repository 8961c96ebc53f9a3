package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// sslOptions are the -o options about TLS, as memcached names them.
type sslOptions struct {
	chainCert  string // file of the certificate and its chain, PEM
	key        string // file of its key
	keyFormat  int    // of that file: 1 PEM, 2 DER
	ciphers    string // up to TLS 1.2; empty is the TLS library's choice
	verifyMode int    // 0 and 3: ask for no client certificate, 1: take one, 2: demand one
	caCert     string // file of the certificates that sign clients', PEM
	minVersion int    // 0 TLS 1.0, 1 TLS 1.1, 2 TLS 1.2, 3 TLS 1.3

	sessionCache bool // sessions may be resumed
}

// keyDER is ssl_keyformat's number for DER (OpenSSL's SSL_FILETYPE_ASN1).
const keyDER = 2

// table are the options for extended.set.
func (o *sslOptions) table() []extendedOption {
	return []extendedOption{
		{name: "ssl_chain_cert", arg: "FILE", help: "for -Z: the certificate and its chain, PEM", text: &o.chainCert},
		{name: "ssl_key", arg: "FILE", help: "for -Z: the certificate's key", text: &o.key},
		{name: "ssl_keyformat", arg: "1-2", help: "for -Z: the key's file is PEM, 1, or DER, 2 (default 1)", number: &o.keyFormat, min: 1, max: 2},
		{name: "ssl_ca_cert", arg: "FILE", help: "for -Z: the certificates that sign clients', PEM (default the system's)", text: &o.caCert},
		{name: "ssl_verify_mode", arg: "0-3", help: "for -Z: 1 checks a client's certificate if there is one, 2 demands one, 0 and 3 ask for none (default 0)", number: &o.verifyMode, max: 3},
		{name: "ssl_min_version", arg: "0-3", help: "for -Z: 0 to 3 for TLS 1.0 to 1.3 (default 2)", number: &o.minVersion, max: 3},
		{name: "ssl_ciphers", arg: "LIST", help: "for -Z: OpenSSL's names of the ciphers up to TLS 1.2, with colons between them (default what is known to be safe)", text: &o.ciphers},
		{name: "ssl_wbuf_size", arg: "KIB", check: atLeast(0), idle: "a TLS record is written at once"},
		{name: "ssl_session_cache", help: "for -Z: clients may resume their sessions (default off)", flag: &o.sessionCache},
		{name: "ssl_kernel_tls", idle: "the TLS library has no kernel TLS"},
	}
}

// certificates is a TLS configuration whose files can be read again while it is in use.
type certificates struct {
	options sslOptions
	current atomic.Pointer[byMode]
	read    atomic.Int64 // unix time of the last reading
}

// byMode are the configurations for the modes of listenAddress. Each is one for all connections: it has the keys of the sessions that
// may be resumed.
type byMode struct{ plain, mtls, btls *tls.Config }

// newCertificates reads the files that -Z needs.
func newCertificates(o sslOptions) (*certificates, error) {
	if o.chainCert == "" || o.key == "" {
		return nil, errors.New("-Z: want -o ssl_chain_cert=FILE and -o ssl_key=FILE")
	}
	c := &certificates{options: o}
	return c, c.reload()
}

// reload reads the files again; on an error the former ones stay in use. New connections use what is read.
func (c *certificates) reload() error {
	pair, err := c.options.keyPair()
	if err != nil {
		return fmt.Errorf("-o ssl_chain_cert, ssl_key: %w", err)
	}
	cfg := &tls.Config{
		Certificates:           []tls.Certificate{pair},
		SessionTicketsDisabled: !c.options.sessionCache,
		MinVersion:             uint16(tls.VersionTLS10 + c.options.minVersion),
		ClientAuth:             [...]tls.ClientAuthType{tls.NoClientCert, tls.VerifyClientCertIfGiven, tls.RequireAndVerifyClientCert, tls.NoClientCert}[c.options.verifyMode],
	}
	if c.options.ciphers != "" {
		if cfg.CipherSuites, err = parseCiphers(c.options.ciphers); err != nil {
			return err
		}
	}
	if c.options.caCert != "" {
		ca, err := os.ReadFile(c.options.caCert)
		if err != nil {
			return fmt.Errorf("-o ssl_ca_cert: %w", err)
		}
		cfg.ClientCAs = x509.NewCertPool()
		if !cfg.ClientCAs.AppendCertsFromPEM(ca) {
			return fmt.Errorf("-o ssl_ca_cert: %s holds no certificate in PEM", c.options.caCert)
		}
	}
	modes := &byMode{plain: cfg, mtls: cfg.Clone(), btls: cfg.Clone()}
	modes.mtls.ClientAuth = tls.RequireAndVerifyClientCert
	modes.btls.ClientAuth = tls.NoClientCert
	c.current.Store(modes)
	c.read.Store(time.Now().Unix())
	return nil
}

// keyPair reads the certificate and its key.
func (o *sslOptions) keyPair() (tls.Certificate, error) {
	chain, err := os.ReadFile(o.chainCert)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := os.ReadFile(o.key)
	if err != nil {
		return tls.Certificate{}, err
	}
	if o.keyFormat == keyDER {
		key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}) // of any of the three forms that there are
	}
	return tls.X509KeyPair(chain, key)
}

// config is what a listener uses: it looks the current configuration up for each connection. mode is that of listenAddress.
func (c *certificates) config(mode string) *tls.Config {
	return &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		modes := c.current.Load()
		switch mode {
		case "mtls":
			return modes.mtls, nil
		case "btls":
			return modes.btls, nil
		}
		return modes.plain, nil
	}}
}
