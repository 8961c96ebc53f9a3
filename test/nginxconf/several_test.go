package nginxconf_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"pagegate/internal/realproc"
)

// TestKeysSpread stores another page under each key on each server, so that the answer tells which server was asked:
// each key has one home, every server has a share, and when a server dies only its own keys move.
func TestKeysSpread(t *testing.T) {
	const keys = 300
	d := open(t, several)
	for i, c := range d.caches {
		for k := range keys {
			c.set(t, fmt.Sprintf("/k%d?", k), strconv.Itoa(i), 0)
		}
	}
	c := dial(t, d.addr)
	homes := func() (of []int) {
		for k := range keys {
			a := c.ask(get(fmt.Sprintf("/k%d", k)))
			i, err := strconv.Atoi(a.Body)
			if err != nil || a.Status != http.StatusOK {
				t.Fatalf("key %d: got %d %q", k, a.Status, a.Body)
			}
			of = append(of, i)
		}
		return of
	}
	first, second := homes(), homes()
	share := make([]int, len(d.caches))
	for k := range keys {
		share[first[k]]++
		if first[k] != second[k] {
			t.Fatalf("key %d was found on server %d, then on server %d", k, first[k], second[k])
		}
	}
	for i, n := range share {
		if n < keys/10 {
			t.Errorf("server %d has %d of %d keys", i, n, keys)
		}
	}

	const dead = 1
	d.caches[dead].proc.Kill()
	for k, i := range homes() {
		switch {
		case i == dead:
			t.Fatalf("key %d was found on the dead server", k)
		case first[k] != dead && i != first[k]:
			t.Errorf("key %d moved from server %d to %d, both alive", k, first[k], i)
		}
	}
	if got := d.arrivals(); len(got) != 0 {
		t.Errorf("%d requests went to the fillers", len(got))
	}
}

// TestOneFillerGone: requests for the filler that is not there are answered by the other.
func TestOneFillerGone(t *testing.T) {
	var caches []string
	for range several.caches {
		caches = append(caches, startCache(t, false).addr)
	}
	f := startFiller(t, false, nil)
	addr, _ := startNginx(t, several, caches, []string{realproc.FreeAddr(t), f.addr})
	c := dial(t, addr)
	for i := range 10 {
		target := fmt.Sprintf("/page/%d", i)
		wantFilled(t, c.ask(get(target)), target)
		wantFilled(t, c.ask(request{method: "POST", target: target, body: "x"}), target)
	}
	if got := f.take(); len(got) != 20 {
		t.Errorf("%d requests reached the filler, want 20", len(got))
	}
}

// TestPostIsNotRepeated: both fillers break off every request. A GET is tried with the other one, a POST must not be.
func TestPostIsNotRepeated(t *testing.T) {
	d := openWith(t, several, nil, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for _, c := range []struct {
		r        request
		arrivals int
	}{
		{get("/page"), 2},
		{request{method: "POST", target: "/order", body: "one"}, 1},
	} {
		if a := d.ask(t, c.r); a.Status != http.StatusBadGateway {
			t.Errorf("%s: got %d, want 502", c.r.verb(), a.Status)
		}
		if got := d.arrivals(); len(got) != c.arrivals {
			t.Errorf("%s reached the fillers %d times, want %d", c.r.verb(), len(got), c.arrivals)
		}
	}
}
