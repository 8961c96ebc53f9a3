package main

import (
	"context"
	"embed"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"text/template"
)

//go:embed peers
var peerConfs embed.FS

// peerConf is what the peers' configuration files are told.
type peerConf struct {
	Listen, Origin, OriginHost, OriginPort, Cache, Files string
	CPUs                                                 int
	KeptFiles                                            int    // that nginx may keep open besides its connections
	Inside                                               string // of nginx's http block
}

// connections is what each worker of a peer's nginx may have.
const connections = 4096

func (s *stage) conf() peerConf {
	host, port, _ := net.SplitHostPort(s.origin.addr)
	return peerConf{Origin: s.origin.addr, OriginHost: host, OriginPort: port, CPUs: runtime.NumCPU(), KeptFiles: s.files - connections}
}

// expand returns the text of a file of peers.
func (c peerConf) expand(name string) (string, error) {
	t, err := template.ParseFS(peerConfs, "peers/"+name)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, c)
	return b.String(), err
}

// nginx starts nginx with one of the peers' server blocks.
func (s *stage) nginx(ctx context.Context, name string, c peerConf) (*process, error) {
	dir, err := s.folder()
	if err != nil {
		return nil, err
	}
	if c.Listen, err = freeAddr(); err != nil {
		return nil, err
	}
	if c.Inside, err = c.expand(name + ".conf"); err != nil {
		return nil, err
	}
	text, err := c.expand("nginx.conf")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(text), 0o644); err != nil {
		return nil, err
	}
	return s.nginxIn(ctx, dir, c.Listen)
}

// nginxIn starts nginx with the nginx.conf of a folder.
func (s *stage) nginxIn(ctx context.Context, dir, addr string) (*process, error) {
	directives := "daemon off;"
	if os.Geteuid() == 0 {
		directives += " user root;" // the run's folders are nobody else's
	}
	return s.launch(ctx, "nginx", addr, "nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr", "-g", directives)
}

func startStatic(ctx context.Context, s *stage) (*contender, error) {
	c := s.conf()
	dir, err := s.folder()
	if err != nil {
		return nil, err
	}
	c.Files = dir
	for _, l := range s.stock() {
		if err := os.MkdirAll(filepath.Join(dir, strconv.Itoa(l.size)), 0o755); err != nil {
			return nil, err
		}
		for n := 1; n <= l.pages; n++ {
			path := pagePath(l.size, n)
			if err := os.WriteFile(filepath.Join(dir, path), pageBody(path, l.size), 0o644); err != nil {
				return nil, err
			}
		}
	}
	p, err := s.nginx(ctx, "static", c)
	return oneAddr(p), err
}

func startProxyCache(ctx context.Context, s *stage) (*contender, error) {
	p, err := s.nginx(ctx, "proxy-cache", s.conf())
	return oneAddr(p), err
}

func startProxyPass(ctx context.Context, s *stage) (*contender, error) {
	p, err := s.nginx(ctx, "proxy-pass", s.conf())
	return oneAddr(p), err
}

func startTutorial(ctx context.Context, s *stage) (*contender, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(addr)
	return s.nginxMemcached(ctx, "memcached-tutorial", addr, "-l", host, "-p", port)
}

func startTuned(ctx context.Context, s *stage) (*contender, error) {
	dir, err := s.folder()
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "memcached.sock")
	return s.nginxMemcached(ctx, "memcached-tuned", socket, "-s", socket, "-t", strconv.Itoa(runtime.NumCPU()))
}

// nginxMemcached starts both, and stores the pages as an application would.
func (s *stage) nginxMemcached(ctx context.Context, conf, addr string, flags ...string) (*contender, error) {
	cache, err := s.launch(ctx, "memcached", addr, "memcached", asRoot(append(flags, "-m", cacheMiB, "-c", "8192"))...)
	if err != nil {
		return nil, err
	}
	if err := storePages(cache, s.stock()); err != nil {
		return nil, err
	}
	c := s.conf()
	c.Cache = addr
	front, err := s.nginx(ctx, conf, c)
	return oneAddr(front, cache), err
}

// storePages stores the pages under nginx's keys.
func storePages(cache *process, stock []stocked) error {
	c, err := dialControl(cache)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, l := range stock {
		for n := 1; n <= l.pages; n++ {
			path := pagePath(l.size, n)
			fmt.Fprintf(c.w, "set %s? 0 0 %d noreply\r\n%s\r\n", path, l.size, pageBody(path, l.size))
		}
	}
	if reply, err := c.ask("version"); err != nil {
		return fmt.Errorf("%q: %w", reply, err)
	}
	return nil
}

func startHAProxy(ctx context.Context, s *stage) (*contender, error) {
	file, addr, err := s.listening("haproxy.cfg")
	if err != nil {
		return nil, err
	}
	p, err := s.launch(ctx, "haproxy", addr, "haproxy", "-db", "-q", "-f", file)
	return oneAddr(p), err
}

// unloggedTags keeps what a request would write out of Varnish's log in shared memory: it, too, is an access log.
const unloggedTags = "-Begin,-End,-Link,-SessOpen,-SessClose,-ReqStart,-ReqMethod,-ReqURL,-ReqProtocol,-ReqHeader,-ReqUnset," +
	"-ReqAcct,-VCL_call,-VCL_return,-Hit,-RespProtocol,-RespStatus,-RespReason,-RespHeader,-RespUnset,-Timestamp,-Filters"

func startVarnish(ctx context.Context, s *stage) (*contender, error) {
	file, addr, err := s.listening("varnish.vcl")
	if err != nil {
		return nil, err
	}
	p, err := s.launch(ctx, "varnish", addr, "varnishd", "-F", "-j", "none", "-n", filepath.Join(filepath.Dir(file), "work"),
		"-a", addr, "-T", "none", "-f", file, "-s", "malloc,"+cacheMiB+"m",
		"-p", "thread_pools="+strconv.Itoa(runtime.NumCPU()), "-p", "thread_pool_min=100", "-p", "thread_pool_max=1000",
		"-p", "vsl_mask="+unloggedTags)
	return oneAddr(p), err
}

// listening expands a file of peers, with an address of its own to listen on, into a folder of its own.
func (s *stage) listening(name string) (file, addr string, err error) {
	c := s.conf()
	dir, err := s.folder()
	if err != nil {
		return "", "", err
	}
	if c.Listen, err = freeAddr(); err != nil {
		return "", "", err
	}
	text, err := c.expand(name)
	if err != nil {
		return "", "", err
	}
	file = filepath.Join(dir, name)
	return file, c.Listen, os.WriteFile(file, []byte(text), 0o644)
}
