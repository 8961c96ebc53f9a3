package ring_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pagegate/internal/pagekey"
	"pagegate/internal/pagekey/pagekeytest"
	"pagegate/internal/realproc"
	"pagegate/internal/ring"
)

// upstream is one upstream block of the nginx under test, and the ring that has to agree with it.
type upstream struct {
	servers []ring.Server
	option  string // what follows the key in the `hash` directive
	ring    *ring.Ring
	client  *pagekeytest.Client
}

func (u *upstream) String() string { return fmt.Sprintf("hash%s %+v", u.option, u.servers) }

// block writes the upstream and the server in front of it.
func (u *upstream) block(conf *strings.Builder, name, socket, more string) {
	fmt.Fprintf(conf, "upstream %s { hash $memcached_key%s;\n", name, u.option)
	for _, s := range u.servers {
		fmt.Fprintf(conf, "server %s max_fails=0", s.Addr)
		if s.Weight > 0 {
			fmt.Fprintf(conf, " weight=%d", s.Weight)
		}
		if s.Down {
			conf.WriteString(" down")
		}
		conf.WriteString(";\n")
	}
	fmt.Fprintf(conf, "keepalive 8; }\nserver { listen unix:%s; location / { %s\n", socket, more)
	fmt.Fprintf(conf, "set $memcached_key $uri?$args; memcached_pass %s; } }\n", name)
}

// startUpstreams starts nginx with every set of servers under both schemes. more is put into each location.
func startUpstreams(t *testing.T, sets [][]ring.Server, more string) []*upstream {
	t.Helper()
	var upstreams []*upstream
	var conf strings.Builder
	conf.WriteString("lingering_close always; keepalive_requests 100000000;\n")
	sockets := realproc.SocketPath(t, "nginx")
	for _, servers := range sets {
		for _, scheme := range schemes {
			u := &upstream{servers: servers, option: scheme.option}
			var err error
			if u.ring, err = scheme.build(servers); err != nil {
				t.Fatal(err)
			}
			path := fmt.Sprint(sockets, len(upstreams))
			u.block(&conf, fmt.Sprintf("cache%d", len(upstreams)), path, more)
			u.client = pagekeytest.NewClient(t, path)
			upstreams = append(upstreams, u)
		}
	}
	realproc.Nginx(t, realproc.NginxHTTP(t.TempDir(), conf.String()), "unix:"+sockets+"0")
	return upstreams
}

// serverSets returns chosen and generated sets of two to five servers whose addresses are those of the recorders.
// localhost has no port and is down: a server that nothing can be sent to still takes part by its text.
func serverSets(addrs []string) [][]ring.Server {
	down := ring.Server{Addr: "localhost", Down: true, Weight: 2}
	sets := [][]ring.Server{
		{{Addr: addrs[0]}, {Addr: addrs[1]}},
		{{Addr: addrs[0], Weight: 1}, {Addr: addrs[1], Weight: 2}, {Addr: addrs[2], Weight: 3}},
		{{Addr: addrs[3], Weight: 5}, down, {Addr: addrs[1]}, {Addr: addrs[0], Weight: 2}},
		{{Addr: addrs[0], Down: true}, {Addr: addrs[1]}, {Addr: addrs[2], Down: true}},
		{{Addr: addrs[0]}, {Addr: addrs[1], Weight: 19, Down: true}},                   // often 20 steps and more
		{{Addr: addrs[0]}, {Addr: addrs[1]}, {Addr: addrs[2], Weight: 40, Down: true}}, // round robin among two
		{{Addr: addrs[0], Down: true}, {Addr: addrs[1], Down: true}},
	}
	for seed := range 7 {
		servers := genServers().Example(seed)
		for i := range servers {
			servers[i].Addr = addrs[(i+seed)%len(addrs)]
		}
		sets = append(sets, servers)
	}
	return sets
}

// startRecorders starts five recording cache servers; the address of each is as a `server` line has it.
func startRecorders(t *testing.T, record *pagekeytest.Record) (addrs []string) {
	t.Helper()
	for i := range 5 {
		path := ""
		if i == 2 {
			path = realproc.SocketPath(t, "cache.sock")
		}
		l := pagekeytest.Listen(t, path)
		record.Serve(t, i, l)
		addr := l.Addr().String()
		if path != "" {
			addr = "unix:" + path
		}
		addrs = append(addrs, addr)
	}
	return addrs
}

// targets returns n targets of different keys, with bytes that the raw and the wire key differ in.
func targets(n int) []string {
	words := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "%20", "%25", "%0a", "\xc3\xa9", "%7F", "/", "x"}), 0, 6)
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("/%d%s?p=%%20%d", i, strings.Join(words.Example(i), ""), i)
	}
	return all
}

// judge compares what nginx asked with the order of the ring, and counts the steps.
type judge struct {
	addrs            []string // of the recorders
	byHash, byChance int
}

// check compares the recorders that one key was sent to with the walk of the ring; complete means that nginx goes on
// until nobody is left. Where nginx has given the hash up, the order is up to its round robin, so what it asks from
// there on must be among what the walk has left.
func (j *judge) check(t *testing.T, u *upstream, key []byte, asked []int, complete bool) {
	t.Helper()
	w := u.ring.Walk(key)
	here := w.Next()
	for len(asked) > 0 && w.Hashed() {
		if u.servers[here].Addr != j.addrs[asked[0]] {
			t.Fatalf("%v: key %q: nginx asks %s, here it is server %d", u, key, j.addrs[asked[0]], here)
		}
		j.byHash++
		asked = asked[1:]
		if len(asked) == 0 && !complete {
			return
		}
		here = w.Next()
	}
	left := make(map[string]bool)
	for ; here >= 0; here = w.Next() {
		left[u.servers[here].Addr] = true
	}
	if len(left) > 1 {
		j.byChance++
	}
	for _, recorder := range asked {
		if !left[j.addrs[recorder]] {
			t.Fatalf("%v: key %q: nginx asks %s, which is down or was asked before", u, key, j.addrs[recorder])
		}
		delete(left, j.addrs[recorder])
	}
	if len(left) > 0 && (complete || len(asked) == 0) {
		t.Fatalf("%v: key %q: nginx never asks %v", u, key, left)
	}
}

// compare sends n keys through every upstream of an nginx and judges each.
func compare(t *testing.T, n int, more string, complete bool) {
	t.Helper()
	var record pagekeytest.Record
	j := &judge{addrs: startRecorders(t, &record)}
	all := targets(n)
	requests := make([]string, n)
	for i, target := range all {
		requests[i] = "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n"
	}
	for _, u := range startUpstreams(t, serverSets(j.addrs), more) {
		u.client.Do(t, requests)
		asked := make(map[string][]int)
		for _, look := range record.Take() {
			asked[look.Key] = append(asked[look.Key], look.Server)
		}
		for _, target := range all {
			key, err := pagekey.Append(nil, []byte(target))
			if err != nil {
				t.Fatal(err)
			}
			wire := string(pagekey.AppendWire(nil, key))
			j.check(t, u, key, asked[wire], complete)
			delete(asked, wire)
		}
		if len(asked) > 0 {
			t.Fatalf("%v: nginx asks for keys that no request has: %v", u, asked)
		}
	}
	t.Logf("%d servers were decided by the hash, %d keys by round robin among several", j.byHash, j.byChance)
	if j.byHash < n {
		t.Fatal("the comparison has compared next to nothing")
	}
}

// TestPicksEqualNginx compares which server gets each key.
func TestPicksEqualNginx(t *testing.T) { compare(t, 400, "", false) }

// TestWalksEqualNginx compares the whole order: an nginx that goes on after a miss asks every server in turn.
func TestWalksEqualNginx(t *testing.T) {
	compare(t, 150, "memcached_next_upstream not_found error timeout;", true)
}
