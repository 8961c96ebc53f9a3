package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"pagegate/internal/listen"
	"pagegate/internal/origin"
	"pagegate/internal/ring"
)

// Validate tells everything that is wrong with a program's configuration, in one error of several lines.
func (c *Config) Validate(p Program, at Lines) error {
	v := validator{at: at}
	v.check("listen", listen.Check(c.Listen))
	v.between("max_conns", c.MaxConns, 0, 1<<24)
	if c.Admin != "" {
		v.check("admin", listen.Check(c.Admin))
	}
	v.check("backend", origin.Check(c.Backend))
	_, err := c.Cache.RingServers()
	v.check("cache.servers", err)
	if c.Cache.Hash != "consistent" && c.Cache.Hash != "modulo" {
		v.fail("cache.hash", "%q: want consistent or modulo", c.Cache.Hash)
	}
	c.validatePlace(p, &v)
	c.validateKey(p, &v)
	c.validateRules(&v)
	if c.Scheme != "http" && c.Scheme != "https" {
		v.fail("scheme", "%q: want http or https", c.Scheme)
	}
	switch {
	case len(c.Hosts) > 1 && !c.KeyHoldsHost():
		v.fail("hosts", "several hosts share one key: put $host into key, here and in nginx, or name one host")
	case len(c.Hosts) == 0 && c.KeyHoldsHost():
		v.fail("hosts", "the key holds the host, so say which hosts are yours (--host): any other is never stored")
	}
	for _, h := range c.Hosts {
		if h == "" || strings.ContainsAny(h, "/ \t\r\n") {
			v.fail("hosts", "%q is no host name", h)
		}
	}
	_, err = c.Codings()
	v.check("compress", err)
	_, err = c.Purge.Networks()
	v.check("purge.allow", err)
	v.oneOf("client_control", c.ClientControl, Auto, "obey", "ignore")
	v.oneOf("fill_fields", c.FillFields, Auto, "all", "safe")
	v.positive("timeouts.connect", c.Timeouts.Connect)
	v.positive("timeouts.header", c.Timeouts.Header)
	v.positive("timeouts.idle", c.Timeouts.Idle)
	v.positive("cache.timeout", c.Cache.Timeout)
	v.positive("cache.retry_after", c.Cache.RetryAfter)
	v.between("log.one_in", c.Log.OneIn, 1, 1<<31)
	v.between("store.workers", c.Store.Workers, 1, 1024)
	v.between("store.queue", c.Store.Queue, 1, 1<<20)
	if _, err := zerolog.ParseLevel(c.Log.Level); err != nil || c.Log.Level == "" {
		v.fail("log.level", "%q: want debug, info, warn or error", c.Log.Level)
	}
	return errors.Join(v.errs...)
}

// validateKey checks the page key and what it is made of.
func (c *Config) validateKey(p Program, v *validator) {
	key, err := c.Template()
	v.check("key", err)
	if err == nil && !key.UsesArguments() && (c.Args.Drop != nil || c.Args.Sort) {
		v.fail("args", "the key has all arguments: write key: \"$uri?$pagegate_args\", here and in nginx")
	}
	if p == Filler && c.Args.Sort {
		v.fail("args.sort", "the nginx in front cannot sort arguments, and would not find the pages")
	}
}

// validatePlace checks where pages are kept, which differs between the programs.
func (c *Config) validatePlace(p Program, v *validator) {
	if c.Nginx.Gzip && len(c.Cache.Servers) == 0 {
		v.fail("nginx.gzip", "no nginx reads a store of the gateway's own: remove it, or name cache.servers")
	}
	switch {
	case p == Filler && len(c.Cache.Servers) == 0:
		v.fail("cache.servers", "a filler needs the cache servers that nginx reads: --cache 127.0.0.1:11211")
	case p == Filler && c.Memory != 0:
		v.fail("memory", "a filler has no store of its own; give the memory to the cache server (-m)")
	case p == Gateway && len(c.Cache.Servers) == 0 && c.Memory < 1<<20:
		v.fail("memory", "%v is too little: the embedded store needs 1MiB at least", c.Memory)
	}
}

// KeyHoldsHost tells whether each host has pages of its own.
func (c *Config) KeyHoldsHost() bool {
	return hostVariable.MatchString(c.Key)
}

var hostVariable = regexp.MustCompile(`(?i)\$\{?(http_)?host\b`)

// RingServers returns the servers in the form that the ring takes.
func (c Cache) RingServers() ([]ring.Server, error) {
	servers := make([]ring.Server, 0, len(c.Servers))
	for _, text := range c.Servers {
		words := strings.Fields(text)
		if len(words) == 0 {
			return nil, errors.New("a server's address is empty")
		}
		srv := ring.Server{Addr: words[0], Weight: 1}
		for _, word := range words[1:] {
			weight, isWeight := strings.CutPrefix(word, "weight=")
			n, err := strconv.Atoi(weight)
			switch {
			case isWeight && err == nil && n > 0:
				srv.Weight = n
			case word == "down":
				srv.Down = true
			default:
				return nil, fmt.Errorf("%q: after the address only weight=N and down are understood", text)
			}
		}
		if err := listen.Check(srv.Addr); err != nil {
			return nil, err
		}
		servers = append(servers, srv)
	}
	return servers, nil
}

type validator struct {
	at   Lines
	errs []error
}

func (v *validator) check(field string, err error) {
	if err != nil {
		v.fail(field, "%v", err)
	}
}

func (v *validator) fail(field, format string, args ...any) {
	v.errs = append(v.errs, fmt.Errorf("%s: %s", v.at.where(field), fmt.Sprintf(format, args...)))
}

func (v *validator) positive(field string, d Duration) {
	if d <= 0 {
		v.fail(field, "must be more than 0")
	}
}

func (v *validator) between(field string, n, low, high int) {
	if n < low || n > high {
		v.fail(field, "%d: want %d to %d", n, low, high)
	}
}

func (v *validator) oneOf(field, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		v.fail(field, "%q: want %s", value, strings.Join(allowed, ", "))
	}
}
