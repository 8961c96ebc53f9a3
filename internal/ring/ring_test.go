package ring_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"pagegate/internal/ring"
)

// schemes are the two constructors, by the text after the key in nginx's `hash` directive.
var schemes = []struct {
	option string
	build  func([]ring.Server) (*ring.Ring, error)
}{
	{" consistent", ring.NewConsistent},
	{"", ring.NewModulo},
}

// TestFixedPicks pins a few results, so that a change of the rule shows without nginx too.
func TestFixedPicks(t *testing.T) {
	servers := []ring.Server{
		{Addr: "127.0.0.1:11211"}, {Addr: "localhost", Weight: 2}, {Addr: "unix:/run/cache.sock", Weight: 3},
		{Addr: "[::1]:11211", Down: true},
	}
	want := map[string]string{" consistent": "200102120122111020220121", "": "022210211221212210222122"}
	for _, scheme := range schemes {
		r, err := scheme.build(servers)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for i := range 24 {
			fmt.Fprint(&got, r.Pick(fmt.Appendf(nil, "/page/%d?", i)))
		}
		if got.String() != want[scheme.option] {
			t.Errorf("hash%s: %s, want %s", scheme.option, got.String(), want[scheme.option])
		}
	}
}

// TestAddrCountsAsWritten holds that spelling matters, but for the prefix of a unix socket.
func TestAddrCountsAsWritten(t *testing.T) {
	picks := func(addr string) string {
		r, err := ring.NewConsistent([]ring.Server{{Addr: addr}, {Addr: "other:1"}})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for i := range 100 {
			fmt.Fprint(&b, r.Pick(fmt.Appendf(nil, "/%d?", i)))
		}
		return b.String()
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"127.0.0.1:11211", "localhost:11211", false},
		{"cache1", "cache1:80", false},
		{"cache1", "Cache1", false},
		{"unix:/s", "UNIX:/s", true},
		{"unix:/s", "/s", true},
		{"unix:/s:1", "/s:1", false}, // no port after a socket's path
	} {
		if same := picks(c.a) == picks(c.b); same != c.same {
			t.Errorf("%s and %s: the same picks: %v", c.a, c.b, same)
		}
	}
}

func TestErrors(t *testing.T) {
	many := make([]ring.Server, ring.MaxServers+1)
	for i := range many {
		many[i].Addr = fmt.Sprintf("s%d", i)
	}
	for _, c := range []struct {
		servers []ring.Server
		want    string
	}{
		{nil, "ring: no servers"},
		{many, "ring: 257 servers, at most 256 are possible"},
		{[]ring.Server{{Addr: "a"}, {}}, "ring: server 2 has no address"},
		{[]ring.Server{{Addr: "a"}, {Addr: "a"}}, "ring: server a is listed twice"},
		{[]ring.Server{{Addr: "a", Weight: -1}}, "ring: server a: weight -1 is negative"},
		{
			[]ring.Server{{Addr: "a", Weight: 9_999}, {Addr: "b", Weight: 1<<63 - 1}},
			"ring: server b: the weights sum up to more than 10000",
		},
	} {
		for _, scheme := range schemes {
			if r, err := scheme.build(c.servers); err == nil || err.Error() != c.want || r != nil {
				t.Errorf("%v, want %s", err, c.want)
			}
		}
	}
	for _, scheme := range schemes {
		if r, err := scheme.build(many[:ring.MaxServers]); err != nil || r.Servers() != ring.MaxServers {
			t.Errorf("%d servers: %v", ring.MaxServers, err)
		}
	}
}

func genServers() *rapid.Generator[[]ring.Server] {
	return rapid.Custom(func(t *rapid.T) []ring.Server {
		servers := make([]ring.Server, rapid.IntRange(2, 5).Draw(t, "servers"))
		for i := range servers {
			servers[i] = ring.Server{
				Addr:   fmt.Sprintf("10.0.0.%d:11211", i),
				Weight: rapid.IntRange(0, 6).Draw(t, "weight"),
				Down:   rapid.IntRange(0, 4).Draw(t, "down") == 0,
			}
		}
		return servers
	})
}

// TestWalkVisitsEachOnce holds that a walk gives each server that is neither down nor excluded exactly once, and that
// Pick is its first step.
func TestWalkVisitsEachOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		servers := genServers().Draw(t, "servers")
		key := []byte(rapid.StringN(0, 12, -1).Draw(t, "key"))
		excluded := rapid.IntRange(-1, len(servers)-1).Draw(t, "excluded")
		for _, scheme := range schemes {
			r, err := scheme.build(servers)
			if err != nil {
				t.Fatal(err)
			}
			whole := r.Walk(key)
			if first := whole.Next(); first != r.Pick(key) {
				t.Fatalf("Pick gives %d, a walk starts with %d", r.Pick(key), first)
			}
			left := make(map[int]bool)
			for i, s := range servers {
				left[i] = !s.Down && i != excluded
			}
			w := r.Walk(key)
			if excluded >= 0 {
				w.Exclude(excluded)
			}
			for i := w.Next(); i >= 0; i = w.Next() {
				if !left[i] {
					t.Fatalf("server %d is down, excluded or here again", i)
				}
				delete(left, i)
			}
			for i, usable := range left {
				if usable {
					t.Fatalf("server %d was never tried", i)
				}
			}
		}
	})
}

// TestDownMovesOnlyItsKeys holds what the consistent scheme is for.
func TestDownMovesOnlyItsKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		servers := genServers().Draw(t, "servers")
		down := rapid.IntRange(0, len(servers)-1).Draw(t, "down")
		before, err := ring.NewConsistent(servers)
		if err != nil {
			t.Fatal(err)
		}
		servers[down].Down = true
		after, err := ring.NewConsistent(servers)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			key := fmt.Appendf(nil, "/%d?", i)
			w := before.Walk(key)
			if was := w.Next(); w.Hashed() && was != down && after.Pick(key) != was {
				t.Fatalf("%s moved from %d to %d as %d went down", key, was, after.Pick(key), down)
			}
		}
	})
}

// TestWithoutHash holds the choices that nginx leaves to round robin: the heaviest server, the first of equals.
func TestWithoutHash(t *testing.T) {
	for _, scheme := range schemes {
		r, err := scheme.build([]ring.Server{
			{Addr: "a"}, {Addr: "b", Weight: 3}, {Addr: "c", Weight: 3}, {Addr: "d", Weight: 9, Down: true},
		})
		if err != nil {
			t.Fatal(err)
		}
		w := r.Walk(nil)
		for _, want := range []int{1, 2, 0, -1, -1} {
			if got := w.Next(); got != want || w.Hashed() {
				t.Errorf("an empty key goes to %d, want %d", got, want)
			}
		}
		single, err := scheme.build([]ring.Server{{Addr: "a", Down: true}})
		if err != nil || single.Pick([]byte("/?")) != -1 {
			t.Errorf("a single server that is down is picked (%v)", err)
		}
	}
}

func FuzzWalk(f *testing.F) {
	f.Add([]byte("/a?"), uint8(1), uint8(2), false)
	f.Add([]byte(""), uint8(0), uint8(0), true)
	f.Add([]byte("\x00\xff"), uint8(255), uint8(1), true)
	f.Fuzz(func(t *testing.T, key []byte, w0, w1 uint8, down bool) {
		for _, scheme := range schemes {
			r, err := scheme.build([]ring.Server{
				{Addr: "a:1", Weight: int(w0), Down: down}, {Addr: "unix:b", Weight: int(w1)}, {Addr: "c"},
			})
			if err != nil {
				t.Fatal(err)
			}
			w := r.Walk(key)
			steps := 0
			for w.Next() >= 0 {
				steps++
			}
			want := 3
			if down {
				want = 2
			}
			if steps != want {
				t.Fatalf("%d steps, want %d", steps, want)
			}
		}
	})
}
