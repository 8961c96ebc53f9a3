package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// contender is a way to answer pages: one or several servers.
type contender struct {
	name   string
	fronts map[int]string // addresses by the page's size; 0 for all other sizes
	procs  []*process
	admin  string // where a gateway with a store of its own tells its metrics, else empty
	// unfilled tells that it does not learn its pages from the origin.
	unfilled bool
}

func (c *contender) addr(size int) string {
	if addr, ok := c.fronts[size]; ok {
		return addr
	}
	return c.fronts[0]
}

// oneAddr is a contender whose first process answers.
func oneAddr(procs ...*process) *contender {
	if procs[0] == nil {
		return nil
	}
	return &contender{fronts: map[int]string{0: procs[0].addr}, procs: procs}
}

// cpu returns the CPU time of each of its servers.
func (c *contender) cpu() (each []time.Duration, err error) {
	for _, p := range c.procs {
		t, err := p.cpu()
		if err != nil {
			return nil, err
		}
		each = append(each, t)
	}
	return each, nil
}

// servers returns their names.
func (c *contender) servers() (names []string) {
	for _, p := range c.procs {
		names = append(names, p.name)
	}
	return names
}

// resident returns the memory of all its servers.
func (c *contender) resident() (sum int64, err error) {
	for _, p := range c.procs {
		r, err := p.resident()
		if err != nil {
			return 0, err
		}
		sum += r
	}
	return sum, nil
}

// The contenders' names, as tables and targets call them.
const (
	floorName     = "floor"
	gatewayName   = "gateway"
	overCacheName = "gateway over cacheserver"
	shippedName   = "nginx + cacheserver"
	fillerName    = "filler + cacheserver"
	tutorialName  = "nginx + memcached, tutorial"
	tunedName     = "nginx + memcached, tuned"
	proxyName     = "nginx proxy_cache"
	haproxyName   = "HAProxy cache"
	varnishName   = "Varnish"
	staticName    = "nginx static files"
	passName      = "nginx proxy_pass"
)

// entrant is a contender to be.
type entrant struct {
	name         string
	hits, misses bool // what it takes part in
	start        func(context.Context, *stage) (*contender, error)
}

// entrants in the order of the tables.
var entrants = []entrant{
	{floorName, true, false, startFloor},
	{gatewayName, true, true, startGateway},
	{overCacheName, true, true, startOverCache},
	{shippedName, true, true, startShipped},
	{fillerName, false, true, startFiller},
	{haproxyName, true, true, startHAProxy},
	{proxyName, true, true, startProxyCache},
	{staticName, true, false, startStatic},
	{varnishName, true, true, startVarnish},
	{tunedName, true, false, startTuned},
	{tutorialName, true, false, startTutorial},
	{passName, false, true, startProxyPass},
}

func (e entrant) String() string { return e.name }

// now is the entrant of which this one, if it is one from before a change, is the former state.
func (e entrant) now() entrant {
	e.name = strings.TrimSuffix(e.name, beforeMark)
	return e
}

// beforeMark stands behind the names of our own programs as they were before a change.
const beforeMark = ", before"

// entrants in the order of the tables: with those of before a change, if there are such.
func (s *stage) entrants() (all []entrant) {
	for _, e := range entrants {
		all = append(all, e)
		if s.before == "" || !isOurs(e.name) {
			continue
		}
		now := e.start
		e.name += beforeMark
		e.start = func(ctx context.Context, s *stage) (*contender, error) {
			then := *s
			then.bin = s.before
			if conf := filepath.Join(s.before, "nginx"); isFolder(conf) {
				then.nginxConf = conf
			}
			c, err := now(ctx, &then)
			s.folders, s.processes = then.folders, then.processes
			return c, err
		}
		all = append(all, e)
	}
	return all
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// cacheMiB is the memory that each cache gets: enough for all pages.
const cacheMiB = "768"

// stage is where the contenders stand.
type stage struct {
	pageOptions
	origin    *origin
	dir       string
	folders   int
	files     int // that each server may have open
	processes []*process
}

// stop ends all servers, the last one first: those in front of others were started later.
func (s *stage) stop() {
	for i := len(s.processes) - 1; i >= 0; i-- {
		s.processes[i].stop()
	}
}

// folder makes a folder for one server.
func (s *stage) folder() (string, error) {
	s.folders++
	dir := filepath.Join(s.dir, strconv.Itoa(s.folders))
	return dir, os.Mkdir(dir, 0o755)
}

// launch starts a server that ends with the stage.
func (s *stage) launch(ctx context.Context, name, addr, program string, args ...string) (*process, error) {
	p, err := launch(ctx, name, addr, program, args...)
	if p != nil {
		s.processes = append(s.processes, p)
	}
	return p, err
}

// ours starts a program of this project.
func (s *stage) ours(ctx context.Context, program, addr string, args ...string) (*process, error) {
	return s.launch(ctx, program, addr, filepath.Join(s.bin, program), args...)
}

func startFloor(ctx context.Context, s *stage) (*contender, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &contender{fronts: make(map[int]string), unfilled: true}
	for _, l := range s.stock() {
		addr, err := freeAddr()
		if err != nil {
			return nil, err
		}
		p, err := s.launch(ctx, "floor", addr, self, floorCommand, "--listen", addr, "--size", strconv.Itoa(l.size))
		if err != nil {
			return nil, err
		}
		c.fronts[l.size] = addr
		c.procs = append(c.procs, p)
	}
	return c, nil
}

// startDoor starts a gateway or filler before the origin, with its admin listener on a free port.
func (s *stage) startDoor(ctx context.Context, program string, args ...string) (p *process, admin string, err error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, "", err
	}
	if admin, err = freeAddr(); err != nil {
		return nil, "", err
	}
	p, err = s.ours(ctx, program, addr, append([]string{"--listen", addr, "--admin", admin, "--backend", "http://" + s.origin.addr}, args...)...)
	return p, admin, err
}

func startGateway(ctx context.Context, s *stage) (*contender, error) {
	p, admin, err := s.startDoor(ctx, "gateway", "--memory", cacheMiB+"MiB")
	if err != nil {
		return nil, err
	}
	c := oneAddr(p)
	c.admin = admin
	return c, nil
}

// startCacheserver starts our cache server on a unix socket of a folder.
func (s *stage) startCacheserver(ctx context.Context, dir string) (*process, error) {
	socket := filepath.Join(dir, "cacheserver.sock")
	return s.ours(ctx, "cacheserver", socket, "-s", socket, "-m", cacheMiB, "-c", "8192",
		"-t", strconv.Itoa(runtime.NumCPU()), "-o", "page_keys")
}

func startOverCache(ctx context.Context, s *stage) (*contender, error) {
	return s.startBeforeCacheserver(ctx, "gateway")
}

func startFiller(ctx context.Context, s *stage) (*contender, error) {
	return s.startBeforeCacheserver(ctx, "filler")
}

// startBeforeCacheserver starts a door whose pages are on a cache server of its own.
func (s *stage) startBeforeCacheserver(ctx context.Context, door string) (*contender, error) {
	dir, err := s.folder()
	if err != nil {
		return nil, err
	}
	cache, err := s.startCacheserver(ctx, dir)
	if err != nil {
		return nil, err
	}
	p, _, err := s.startDoor(ctx, door, "--cache", "unix:"+cache.addr)
	return oneAddr(p, cache), err
}

// startShipped starts nginx as it ships, for unix sockets.
func startShipped(ctx context.Context, s *stage) (*contender, error) {
	dir, err := s.folder()
	if err != nil {
		return nil, err
	}
	cache, err := s.startCacheserver(ctx, dir)
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "filler.sock")
	filler, err := s.ours(ctx, "filler", socket, "--listen", "unix:"+socket, "--backend", "http://"+s.origin.addr, "--cache", "unix:"+cache.addr)
	if err != nil {
		return nil, err
	}
	listen, err := freeAddr()
	if err != nil {
		return nil, err
	}
	if err := s.copyShipped(dir, strings.NewReplacer(
		"unix:/run/pagegate/cacheserver.sock", "unix:"+cache.addr,
		"unix:/run/pagegate/filler.sock", "unix:"+socket,
		"127.0.0.1:8081", listen,
		"include pagegate.conf;", "include pagegate-unix.conf;",
		"access_log /dev/stdout pagegate;", "access_log off;", // as everybody's
		"worker_connections 1024;", "worker_connections 4096;", // each client needs two
	)); err != nil {
		return nil, err
	}
	front, err := s.nginxIn(ctx, dir, listen)
	return oneAddr(front, filler, cache), err
}

// copyShipped writes the shipped nginx configuration to a folder, with other addresses.
func (s *stage) copyShipped(dir string, r *strings.Replacer) error {
	files, err := filepath.Glob(filepath.Join(s.nginxConf, "*.conf"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return fmt.Errorf("no nginx configuration in %s", s.nginxConf)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte(r.Replace(string(text))), 0o644); err != nil {
			return err
		}
	}
	return nil
}
