// Package config is what an operator may say to the filler and the gateway: a strict YAML file and flags over it.
//
// Nothing is guessed: an unknown field, a value that does not parse and a combination that makes no sense are errors
// that name the file, the line, the field and the remedy. A flag beats the file, the file beats the default.
package config

import (
	"fmt"
	"net/netip"
	"time"

	"pagegate/internal/page"
	"pagegate/internal/pagekey"
	"pagegate/nginx"
)

// Program tells which program a configuration is for; some fields make sense for one only.
type Program string

// The programs that this package configures.
const (
	Filler  Program = "filler"
	Gateway Program = "gateway"
)

// Config is the whole configuration. Each field's comment gives its meaning, unit and default; Default sets them.
type Config struct {
	// Listen is where clients, or nginx, connect: host:port or unix:/path. Default 127.0.0.1:8080 for the gateway,
	// 127.0.0.1:8082 for the filler.
	Listen string `yaml:"listen"`
	// EventLoop has hits answered by event loops instead of a goroutine for each connection, where pages are kept in the
	// process's own store; default true. The answers are the same. Not for a filler.
	EventLoop bool `yaml:"event_loop"`
	// IOUring lets the event loops serve their connections by Linux's io_uring where the kernel has it, and else by epoll; default
	// true. Not for a filler.
	IOUring bool `yaml:"io_uring"`
	// MaxConns is how many connections of clients there may be at once; a further one gets a 503 and is closed. Default 0,
	// which is 262144.
	MaxConns int `yaml:"max_conns"`
	// Admin is where health, metrics and profiles are served; empty for nowhere, the default.
	Admin string `yaml:"admin"`
	// Backend is where pages come from: http://host:port, https://host:port, http+unix:///path.sock, file:///dir, demo:.
	Backend string `yaml:"backend"`
	// Cache names the memcached servers that hold the pages. For the gateway none means a store of its own.
	Cache Cache `yaml:"cache"`
	// Memory bounds the gateway's own store, in bytes; default 64 MiB. Not for a filler.
	Memory Size `yaml:"memory"`

	// Key is the page key as a template of nginx variables; default $uri?$args. The nginx in front must set the same.
	Key string `yaml:"key"`
	// Args says what $pagegate_args is, for a key that has it.
	Args Args `yaml:"args"`
	// MergeSlashes is nginx's merge_slashes; default true.
	MergeSlashes bool `yaml:"merge_slashes"`
	// JoinFields reads a repeated field of $http_NAME as nginx does since 1.23: all values, joined. Default false, the
	// first value.
	JoinFields bool `yaml:"join_fields"`
	// Hosts are the site's names. Shared fills are sent with the first as Host, or, if the key holds $host, with the
	// request's own when it is one of them. Default: the backend's host.
	Hosts []string `yaml:"hosts"`
	// Scheme is what clients use, told to the backend as X-Forwarded-Proto: http, the default, or https.
	Scheme string `yaml:"scheme"`

	// TTL is how long plain anonymous HTML without freshness of its own is kept; default 60 s, 0 for not at all.
	TTL Duration `yaml:"ttl"`
	// StatusTTL is how long responses of other statuses than 200 are kept whose backend says nothing about freshness, by
	// status; none by default.
	StatusTTL map[int]Duration `yaml:"status_ttl"`
	// Stale is how long past its freshness a page may be served when the backend fails; default 1 h, 0 for never.
	Stale Duration `yaml:"stale"`
	// Refresh is how long past its freshness a page is still served while one fetch gets a newer one, where the backend
	// does not say (stale-while-revalidate); default 0, not at all.
	Refresh Duration `yaml:"refresh"`
	// ClientControl says whether a request's Cache-Control (no-cache, max-age, min-fresh, max-stale, stale-if-error) is
	// obeyed: auto, the default, does if ttl is 0, the pure RFC mode; obey; ignore.
	ClientControl string `yaml:"client_control"`
	// FillFields says which of a client's fields a shared fill carries: auto, the default, is all if ttl is 0; all, less
	// personal ones and those known to poison pages; safe, none that could shape a page unless the backend varies by it.
	FillFields string `yaml:"fill_fields"`
	// MaxBody is the largest page that is stored, in bytes; default 8 MiB (a memcached server takes 1 MiB unless -I says
	// more). A larger page is answered all the same.
	MaxBody Size `yaml:"max_body"`
	// Compress names the codings (br, zstd, gzip) that pages of text are kept in beside the plain body, made once when a
	// page is stored; default all three, which costs about as much memory again as half the text.
	Compress List `yaml:"compress"`
	// PassFor is how long the requests for a page that turned out not to be storable go to the backend each by itself;
	// default 10 s.
	PassFor Duration `yaml:"pass_for"`
	// Cookies says which cookies leave a request anonymous.
	Cookies Cookies `yaml:"cookies"`
	// Rules are what holds for some paths instead; the first that matches a path is taken, and only that.
	Rules []Rule `yaml:"rules"`
	// Purge says who may purge pages by the method PURGE; nobody by default.
	Purge Purge `yaml:"purge"`
	// DebugToken lets whoever sends it as X-Cache-Debug see how an answer came about; none by default.
	DebugToken string `yaml:"debug_token"`
	// Nginx says what the nginx in front adds to a hit by itself.
	Nginx Nginx `yaml:"nginx"`
	// Timeouts bound the waits for the backend.
	Timeouts Timeouts `yaml:"timeouts"`
	// Store bounds the writing of pages in the background.
	Store Store `yaml:"store"`
	// Log says what is logged.
	Log Log `yaml:"log"`
}

// Cache is the part about memcached servers.
type Cache struct {
	// Servers as in nginx's upstream block and in its order: host:port or unix:/path, then, if wanted, weight=N and down.
	Servers List `yaml:"servers"`
	// Hash is how nginx's upstream chooses a server: consistent, the default (hash $memcached_key consistent), or modulo
	// (hash $memcached_key).
	Hash string `yaml:"hash"`
	// Timeout bounds connecting to a server and each exchange with it; default 500 ms.
	Timeout Duration `yaml:"timeout"`
	// RetryAfter is how long a server that failed is left alone; default 1 s.
	RetryAfter Duration `yaml:"retry_after"`
}

// Cookies is the part about cookies. Each cookie that is not anonymous makes its request personal.
type Cookies struct {
	// Anonymous adds names to the list of analytics cookies that ships with pagegate; `*` at the end stands for any rest.
	Anonymous []string `yaml:"anonymous"`
	// Sessions names sets of nginx/session-cookies.txt: wordpress, django, laravel, rails, php. With any, or with
	// Personal, only the cookies of these sets and those of Personal make a request personal, and all others are anonymous.
	Sessions List `yaml:"sessions"`
	// Personal are patterns of further cookies' names; `*` stands for any characters.
	Personal []string `yaml:"personal"`
}

// Args is the part about query arguments in the key's $pagegate_args.
type Args struct {
	// Drop are the arguments that are left out: names, `*` standing for any characters. Default: those of
	// nginx/tracking-arguments.txt.
	Drop List `yaml:"drop"`
	// Sort orders the others by name, which no nginx can: for a gateway whose pages no nginx looks up.
	Sort bool `yaml:"sort"`
}

// Purge is the part about the method PURGE. (POST /purge on the admin listener needs no leave.)
type Purge struct {
	// Allow are the clients that may: addresses or networks (127.0.0.1, 10.0.0.0/8). Behind an nginx every client has
	// nginx's address: use Token there.
	Allow List `yaml:"allow"`
	// Token lets any client that sends it as X-Purge-Token.
	Token string `yaml:"token"`
}

// Networks returns what Allow names.
func (p *Purge) Networks() ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range p.Allow {
		if addr, err := netip.ParseAddr(text); err == nil {
			all = append(all, netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()))
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%q is no address or network; write 127.0.0.1 or 10.0.0.0/8", text)
		}
		all = append(all, network.Masked())
	}
	return all, nil
}

// Nginx is the part about what nginx gives to a hit by itself; it must say what the nginx configuration says.
type Nginx struct {
	// DefaultType is the location's default_type; default as nginx/types.conf says: "text/html; charset=utf-8".
	DefaultType string `yaml:"default_type"`
	// Types replaces the table that ships as nginx/types.conf: extension to content type.
	Types map[string]string `yaml:"types"`
	// Adds are the fields that the location adds to every answer (add_header NAME VALUE always).
	Adds map[string]string `yaml:"adds"`
	// Gzip stores the bodies of text that nginx reads as gzip, for a fraction of the memory and of the bytes on their way:
	// its location needs memcached_gzip_flag and gunzip, as the shipped one has (minimal.conf has not). Default false.
	Gzip bool `yaml:"gzip"`
	// Only are the media types whose pages may stand where nginx reads; none, the default, for all.
	Only List `yaml:"only"`
}

// Timeouts is the part about the waits for the backend.
type Timeouts struct {
	// Connect bounds connecting; default 2 s.
	Connect Duration `yaml:"connect"`
	// Header bounds the wait for the response's head; default 30 s.
	Header Duration `yaml:"header"`
	// Idle bounds the wait for more of a body; default 30 s.
	Idle Duration `yaml:"idle"`
	// Drain is how long requests under way may go on when the program is told to stop; default 10 s.
	Drain Duration `yaml:"drain"`
}

// Store is the part about writing pages in the background.
type Store struct {
	// Workers write pages; default 4.
	Workers int `yaml:"workers"`
	// Queue bounds the pages that wait for a worker; default 256. A page beyond it is answered and not stored.
	Queue int `yaml:"queue"`
}

// Log is the part about the log, which goes to standard error.
type Log struct {
	// Level is debug, info (the default), warn or error.
	Level string `yaml:"level"`
	// Access says which requests are logged, with the reason for what became of them: off, the default; misses, all that
	// were no plain hits; all.
	Access AccessLog `yaml:"access"`
	// OneIn samples the access log: one of so many requests is logged; default 1, each.
	OneIn int `yaml:"one_in"`
}

// Codings returns what Compress names.
func (c *Config) Codings() (codings []page.Coding, err error) {
	for _, name := range c.Compress {
		coding, err := page.ParseCoding(name)
		if err != nil {
			return nil, err
		}
		codings = append(codings, coding)
	}
	return codings, nil
}

// Auto leaves a choice to the mode: with ttl 0 the RFC alone decides, else the safer way is taken.
const Auto = "auto"

// ObeysClients tells whether requests' Cache-Control is obeyed.
func (c *Config) ObeysClients() bool {
	return c.ClientControl == "obey" || c.ClientControl == Auto && c.TTL == 0
}

// FillsWithAllFields tells whether shared fills carry the clients' fields.
func (c *Config) FillsWithAllFields() bool {
	return c.FillFields == "all" || c.FillFields == Auto && c.TTL == 0
}

// Default returns a program's configuration before anything is said.
func Default(p Program) *Config {
	c := &Config{
		Listen:        "127.0.0.1:8080",
		Cache:         Cache{Hash: "consistent", Timeout: Duration(500 * time.Millisecond), RetryAfter: Duration(time.Second)},
		Memory:        64 << 20,
		Key:           pagekey.Default,
		MergeSlashes:  true,
		Scheme:        "http",
		TTL:           Duration(time.Minute),
		Stale:         Duration(time.Hour),
		ClientControl: Auto,
		FillFields:    Auto,
		MaxBody:       8 << 20,
		Compress:      List{"br", "zstd", "gzip"},
		PassFor:       Duration(10 * time.Second),
		Nginx:         Nginx{DefaultType: nginx.DefaultType()},
		Timeouts:      Timeouts{Connect: seconds(2), Header: seconds(30), Idle: seconds(30), Drain: seconds(10)},
		Store:         Store{Workers: 4, Queue: 256},
		Log:           Log{Level: "info", Access: AccessOff, OneIn: 1},
	}
	c.EventLoop, c.IOUring = p == Gateway, p == Gateway
	if p == Filler {
		c.Listen = "127.0.0.1:8082"
		c.Memory = 0
	}
	return c
}

// Template returns the page key, ready to be evaluated.
func (c *Config) Template() (*pagekey.Template, error) {
	devices := make([]pagekey.Device, 0, 2)
	for _, class := range nginx.DeviceClasses() {
		devices = append(devices, pagekey.Device{Name: class.Name, Patterns: class.Patterns})
	}
	drop := []string(c.Args.Drop)
	if drop == nil {
		drop = nginx.TrackingArguments()
	}
	return pagekey.Parse(c.Key, pagekey.MergeSlashes(c.MergeSlashes), pagekey.JoinFields(c.JoinFields),
		pagekey.KeptArguments(pagekey.Arguments{Drop: drop, Sort: c.Args.Sort}), pagekey.Devices(devices))
}

func seconds(n int) Duration { return Duration(time.Duration(n) * time.Second) }
