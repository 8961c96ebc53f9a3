package config

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"
)

// Command is what a command line asks for.
type Command struct {
	Config *Config
	Check  bool // validate the configuration and exit
	Help   bool // the help has been printed
	// Version asks which build the program is. Nothing else has been looked at.
	Version bool
}

// Parse reads a program's arguments (without its name) and the file that they name, and validates the whole. Help goes
// to stdout. An error is meant for the operator as it is.
func Parse(p Program, args []string, stdout io.Writer) (*Command, error) {
	cmd := &Command{Config: Default(p)}
	file := ""
	fs := cmd.flags(p, &file)
	if err := fs.Parse(args); errors.Is(err, pflag.ErrHelp) {
		cmd.Help = true
		fmt.Fprint(stdout, usage(p, fs))
		return cmd, nil
	} else if err != nil {
		return nil, fmt.Errorf("%w; %s --help lists the flags", err, p)
	}
	if cmd.Version {
		return cmd, nil
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q; %s --help lists the flags", fs.Arg(0), p)
	}
	var at Lines
	if file != "" {
		var err error
		if at, err = cmd.Config.Load(file); err != nil {
			return nil, err
		}
		// Once more over the file, since a flag beats it.
		if err := cmd.flags(p, &file).Parse(args); err != nil {
			return nil, err
		}
		fs.Visit(func(f *pflag.Flag) { delete(at.at, fieldOf[f.Name]) })
	}
	return cmd, cmd.Config.Validate(p, at)
}

// fieldOf names the field that a flag sets.
var fieldOf = map[string]string{
	"listen": "listen", "max-conns": "max_conns", "backend": "backend", "cache": "cache.servers", "cache-hash": "cache.hash", "memory": "memory",
	"ttl": "ttl", "stale": "stale", "refresh": "refresh", "key": "key", "host": "hosts", "scheme": "scheme", "admin": "admin",
	"log-level": "log.level", "access-log": "log.access",
}

// flags defines the flags over the command's configuration, whose present values become the defaults that help shows.
func (cmd *Command) flags(p Program, file *string) *pflag.FlagSet {
	c := cmd.Config
	fs := pflag.NewFlagSet(string(p), pflag.ContinueOnError)
	fs.SortFlags = false
	fs.Usage = func() {}
	fs.StringVar(&c.Listen, "listen", c.Listen, "where to listen: host:port or unix:/path")
	fs.IntVar(&c.MaxConns, "max-conns", c.MaxConns, "connections at once, further ones get a 503; 0 for 262144")
	fs.StringVar(&c.Backend, "backend", c.Backend, "where pages come from: http://host:port, https://host:port, http+unix:///path.sock, file:///dir (files and *.tmpl pages) or demo: (the built-in site)")
	fs.Var(&c.Cache.Servers, "cache", "memcached servers, host:port or unix:/path, in the order of nginx's upstream block"+map[Program]string{Gateway: "; without it the gateway keeps pages in its own memory"}[p])
	fs.StringVar(&c.Cache.Hash, "cache-hash", c.Cache.Hash, "how nginx's upstream chooses among several servers: consistent (hash $memcached_key consistent) or modulo (hash $memcached_key)")
	if p == Gateway {
		fs.Var(&c.Memory, "memory", "memory for pages when there is no --cache, in bytes or with a unit")
	}
	fs.Var(&c.TTL, "ttl", "how long plain anonymous HTML is kept whose backend says nothing about freshness; 0 is the pure RFC 9111 mode: only what the backend allows is kept, Vary is relied on, and requests' Cache-Control is obeyed")
	fs.Var(&c.Stale, "stale", "how long past its freshness a page may be served when the backend fails")
	fs.Var(&c.Refresh, "refresh", "how long past its freshness a page is served while one fetch gets a newer one, where the backend does not say")
	fs.StringVar(&c.Key, "key", c.Key, "the page key in nginx's variables; the nginx in front must set the same")
	fs.Var((*List)(&c.Hosts), "host", "the site's names; fetches that many clients share are sent with the first as Host (default the backend's host)")
	fs.StringVar(&c.Scheme, "scheme", c.Scheme, "what clients use, http or https; told to the backend as X-Forwarded-Proto")
	fs.StringVar(&c.Admin, "admin", c.Admin, "where to serve health, metrics and profiles: host:port or unix:/path (default nowhere)")
	fs.StringVar(&c.Log.Level, "log-level", c.Log.Level, "debug, info, warn or error")
	fs.Var(&c.Log.Access, "access-log", "log requests, and why they were answered as they were: misses (the same as no value), all but plain hits, or all")
	fs.Lookup("access-log").NoOptDefVal = string(AccessMisses)
	fs.StringVar(file, "config", *file, "YAML file with the same fields and more; a flag beats it")
	fs.BoolVar(&cmd.Check, "check", false, "check the configuration and exit")
	fs.BoolVar(&cmd.Version, "version", false, "print the version and exit")
	return fs
}

func usage(p Program, fs *pflag.FlagSet) string {
	what := map[Program]string{
		Filler:  "filler answers what nginx did not find in its memcached server, and stores it there.",
		Gateway: "gateway answers pages from a cache and, on a miss, from the backend: once for all who wait.",
	}[p]
	return fmt.Sprintf("%[1]s\n\nUsage: %[2]s [flags]\n       %[2]s purge|explain|warm|health|demo [flags]   (each with a --help of its own)\n\n%[3]s", what, p, fs.FlagUsagesWrapped(100))
}
