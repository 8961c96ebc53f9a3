package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"pagegate/cacheserver/server"
	"pagegate/cacheserver/store"
)

// Bounds of what the flags may say.
const (
	pageKeyMax  = 8000 // bytes of a key with -o page_keys
	plainKeyMax = 250
	minItemMax  = 1 << 10
	maxItemMax  = 1 << 30
	leastMemory = 2 // MiB; less is taken for it
)

// options are the command line.
type options struct {
	help, version, license bool
	usage                  string
	askHealth              bool

	port        int
	udpPort     int
	binding     string
	sasl        bool
	authFile    string
	socket      string
	socketMode  string
	listed      []string // each -l
	addresses   string   // all of them
	user        string
	memory      int64 // MiB
	noEvict     bool
	maxConns    int
	verbose     int
	factor      float64
	minSpace    int
	largePages  bool
	threads     int
	maxRequests int
	noCAS       bool
	backlog     int
	itemMax     string
	noFlush     bool
	noDump      bool
	noWatch     bool
	shutdown    bool
	daemon      bool
	pidFile     string
	lockMemory  bool
	coreDumps   bool
	tls         bool
	delimiter   string
	memoryFile  string
	extended    []string

	itemSizeMax int
	ext         extended
}

// flags defines memcached's flags, those that are there.
func (o *options) flags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("cacheserver", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.Usage = func() {}
	fs.IntVarP(&o.port, "port", "p", 11211, "TCP port; 0 for none, -1 for any free one")
	fs.IntVarP(&o.udpPort, "udp-port", "U", 0, "UDP port; 0 for none, -1 for any free one")
	fs.StringVarP(&o.socket, "unix-socket", "s", "", "path of a unix socket to listen on instead of TCP")
	fs.StringVarP(&o.socketMode, "unix-mask", "a", "700", "access mode of the unix socket, in octal")
	fs.StringSliceVarP(&o.listed, "listen", "l", nil, "addresses to listen on, separated by commas, each with a :port if it is not -p's (default all)")
	fs.StringVarP(&o.user, "user", "u", "", "become this user, when root starts it")
	fs.Int64VarP(&o.memory, "memory-limit", "m", 64, "memory for items, in MiB")
	fs.BoolVarP(&o.noEvict, "disable-evictions", "M", false, "answer an error when memory is full, instead of evicting")
	fs.IntVarP(&o.maxConns, "conn-limit", "c", 1024, "connections at once")
	fs.CountVarP(&o.verbose, "verbose", "v", "log more: -v errors and connections, -vv the slab classes too")
	fs.BoolVarP(&o.help, "help", "h", false, "print this and exit")
	fs.BoolVarP(&o.version, "version", "V", false, "print the version and exit")
	fs.BoolVarP(&o.license, "license", "i", false, "print the licence and exit")
	fs.BoolVar(&o.askHealth, "health", false, "ask whether the server that has these flags answers, and exit with 0 if it does; for a container's health check")
	fs.BoolVarP(&o.daemon, "daemon", "d", false, "run in the background; the start succeeds when the server listens")
	fs.StringVarP(&o.pidFile, "pidfile", "P", "", "write the process's number to this file, and remove it at the end")
	fs.BoolVarP(&o.lockMemory, "lock-memory", "k", false, "keep the memory from being swapped out")
	fs.BoolVarP(&o.coreDumps, "enable-coredumps", "r", false, "leave a core file after a crash")
	fs.BoolVarP(&o.shutdown, "enable-shutdown", "A", false, "allow the command shutdown")
	fs.BoolVarP(&o.tls, "enable-ssl", "Z", false, "speak TLS; see -o ssl_...")
	fs.Float64VarP(&o.factor, "slab-growth-factor", "f", 1.25, "between the chunk sizes of neighbouring slab classes")
	fs.IntVarP(&o.minSpace, "slab-min-size", "n", 48, "bytes that key, value and flags take at least")
	fs.BoolVarP(&o.largePages, "enable-largepages", "L", false, "ask the system for huge pages")
	fs.IntVarP(&o.threads, "threads", "t", 4, "threads that serve connections")
	fs.IntVarP(&o.maxRequests, "max-reqs-per-event", "R", 20, "requests of one connection before others have their turn")
	fs.BoolVarP(&o.noCAS, "disable-cas", "C", false, "keep no CAS ids")
	fs.IntVarP(&o.backlog, "listen-backlog", "b", 1024, "connections that may wait to be accepted, as far as the system allows (net.core.somaxconn)")
	fs.StringVarP(&o.binding, "protocol", "B", "auto", "the protocol that clients may speak: auto, ascii or binary")
	fs.StringVarP(&o.itemMax, "max-item-size", "I", "1m", "bytes of the largest item, 1k to 1024m")
	fs.BoolVarP(&o.sasl, "enable-sasl", "S", false, "clients authenticate themselves by SASL's PLAIN, in the binary protocol; "+
		pwdbEnv+" in the environment names the file of lines user:password")
	fs.BoolVarP(&o.noFlush, "disable-flush-all", "F", false, "refuse flush_all")
	fs.BoolVarP(&o.noDump, "disable-dumping", "X", false, "refuse stats detail and dumps")
	fs.BoolVarP(&o.noWatch, "disable-watch", "W", false, "refuse watch")
	fs.StringVarP(&o.delimiter, "delimiter", "D", "", "what ends the prefixes of keys in stats detail, which this switches on (default a colon, off)")
	fs.StringVarP(&o.memoryFile, "memory-file", "e", "", "keep the items in this file, best one in memory (/dev/shm), and over a restart: SIGUSR1 ends the program so that the next start has them")
	fs.IntVarP(new(int), "napi_ids", "N", 0, "accepted, without effect: connections go round the threads")
	fs.StringVarP(&o.authFile, "auth-file", "Y", "", "clients authenticate themselves in the text protocol, by a set with the data \"user password\"; "+
		"the file has lines user:password")
	fs.StringSliceVarP(&o.extended, "extended", "o", nil, extendedHelp())
	return fs
}

// parseFlags reads the command line. An error names the flag and what it wants.
func parseFlags(args []string) (*options, error) {
	o := &options{ext: defaultExtended()}
	fs := o.flags()
	if err := fs.Parse(args); err != nil {
		return nil, fmt.Errorf("%w; -h lists the flags", err)
	}
	o.usage = "cacheserver is a memcached server.\n\nUsage: cacheserver [flags]\n\n" + fs.FlagUsages()
	if o.help || o.version || o.license {
		return o, nil
	}
	if fs.NArg() > 0 {
		o.ext.notes = append(o.ext.notes, fmt.Sprintf("%q is ignored: it is no flag, nor a flag's value", fs.Args()))
	}
	if fs.Changed("delimiter") && o.delimiter == "" {
		return nil, errors.New("-D: want the byte that ends a prefix")
	}
	o.addresses = strings.Join(o.listed, ",")
	for _, text := range o.extended {
		if err := o.ext.set(text); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(o.ext.settle(), o.settleAccess(fs.Changed)); err != nil {
		return nil, err
	}
	return o, errors.Join(o.validate(), o.validateDisk())
}

func (o *options) validate() (err error) {
	if o.itemSizeMax, err = parseSize(o.itemMax); err != nil || o.itemSizeMax < minItemMax || o.itemSizeMax > maxItemMax {
		return fmt.Errorf("-I %s: want bytes, or a number with k or m, from 1k to 1024m", o.itemMax)
	}
	switch {
	case o.memory < 1:
		return fmt.Errorf("-m %d: want MiB, at least 1", o.memory)
	case int64(o.itemSizeMax) > o.memory<<20/2:
		return fmt.Errorf("-I %s: more than half of the memory, %d MiB; see -m", o.itemMax, o.memory)
	case o.ext.chunkMax<<10 > o.itemSizeMax:
		return fmt.Errorf("-o slab_chunk_max=%d: more than -I, which is %s", o.ext.chunkMax, o.itemMax)
	case o.itemSizeMax%(o.ext.chunkMax<<10) != 0:
		return fmt.Errorf("-I %s: want a multiple of slab_chunk_max, which is %d KiB", o.itemMax, o.ext.chunkMax)
	case 1024%o.ext.chunkMax != 0:
		return fmt.Errorf("-o slab_chunk_max=%d: want a power of two: pages of 1 MiB are cut to it", o.ext.chunkMax)
	case o.port < -1 || o.port > 65535:
		return fmt.Errorf("-p %d: want a port, 0 for none, -1 for any", o.port)
	case o.maxConns < 1:
		return fmt.Errorf("-c %d: want at least 1", o.maxConns)
	case o.threads < 1 || o.threads > 1024:
		return fmt.Errorf("-t %d: want 1 to 1024", o.threads)
	case o.factor <= 1:
		return fmt.Errorf("-f %v: want more than 1", o.factor)
	case o.minSpace < 1:
		return fmt.Errorf("-n %d: want at least 1", o.minSpace)
	case o.maxRequests < 1:
		return fmt.Errorf("-R %d: want at least 1", o.maxRequests)
	}
	if _, err := strconv.ParseUint(o.socketMode, 8, 9); err != nil {
		return fmt.Errorf("-a %s: want an octal mode such as 700", o.socketMode)
	}
	return nil
}

// parseSize reads bytes, with k or m for KiB and MiB.
func parseSize(text string) (int, error) {
	if text == "" {
		return 0, errors.New("empty")
	}
	unit := 1
	switch text[len(text)-1] {
	case 'k', 'K':
		unit = 1 << 10
	case 'm', 'M':
		unit = 1 << 20
	}
	if unit > 1 {
		text = text[:len(text)-1]
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > maxItemMax/unit {
		return 0, fmt.Errorf("%q is no size", text)
	}
	return n * unit, nil
}

func (o *options) keyMax() int {
	if o.ext.pageKeys {
		return pageKeyMax
	}
	return plainKeyMax
}

// takenEnv is what memcached's debug build looks at for how much memory counts as used from the start.
const takenEnv = "T_MEMD_INITIAL_MALLOC"

func (o *options) taken() int64 {
	n, err := strconv.ParseInt(os.Getenv(takenEnv), 10, 64)
	if !o.ext.relaxed || err != nil {
		return 0
	}
	return max(n, 0)
}

// store is the store's part of the options.
func (o *options) store(now func() int64) store.Config {
	return store.Config{
		MemoryLimit:  max(o.memory, leastMemory) << 20,
		ItemSizeMax:  o.itemSizeMax,
		KeyMax:       o.keyMax(),
		ChunkMin:     o.minSpace,
		GrowthFactor: o.factor,
		SlabChunkMax: min(o.ext.chunkMax<<10, o.itemSizeMax),
		StaleWindow:  uint32(o.ext.staleWindow),
		StaleRetry:   uint32(o.ext.staleRetry),
		Taken:        o.taken(),
		HashPower:    o.ext.hashPower,
		HugePages:    o.largePages,
		NoEvict:      o.noEvict,
		NoCAS:        o.noCAS,
		File:         o.memoryFile,
		LRU:          o.ext.lru,
		Now:          now,
	}
}

// server is the server's part of the options.
func (o *options) server(log io.Writer) server.Config {
	return server.Config{
		Workers:     o.threads,
		MaxConns:    o.maxConns,
		Reserved:    1 + 2*o.threads,
		KeyMax:      o.keyMax(),
		PageKeys:    o.ext.pageKeys,
		NoFlush:     o.noFlush,
		RefuseFast:  o.ext.maxConnsFast,
		IdleTimeout: int64(o.ext.idleTimeout),
		MaxRequests: o.maxRequests,
		ReplyMemory: o.ext.replyMemory << 20,
		Verbose:     o.verbose,
		Log:         log,
		Settings:    o.settings(),

		NoDump:        o.noDump,
		NoWatch:       o.noWatch,
		Detail:        o.delimiter != "",
		Delimiter:     (o.delimiter + ":")[0],
		WatcherBuffer: o.ext.watcherBuf << 10,
		NoUring:       o.ext.noUring,
		StaleWindow:   o.ext.staleWindow > 0,
		Sizes:         o.ext.trackSizes,
		Maintainer:    !o.ext.noMaintainer,
		NoReassign:    o.ext.noReassign,
		DiskSleep:     uint32(o.ext.disk.maxSleep),
		Crawler: server.Crawler{
			On: !o.ext.noCrawler, Sleep: time.Duration(o.ext.crawlerSleep) * time.Microsecond, Most: uint64(o.ext.crawlerCrawl),
		},
	}
}
