package loop

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pagegate/internal/page"
)

// Heads that come again are known, however many there are and in whatever order, alone or several at once, and each gets the
// answer to what it asks.
func TestHeadsThatAreKnown(t *testing.T) {
	var known, wrong atomic.Int64
	r := start(t, func(o *Options) {
		answer := o.Fast
		o.Fast = func(q *Request, now time.Time, dst []byte) ([]byte, []byte, page.Releaser, bool) {
			path := string(q.Ctx.Path())
			if q.Known != nil {
				known.Add(1)
				if q.Known != path {
					wrong.Add(1)
				}
			}
			if q.Keep {
				q.Known = path
			}
			return answer(q, now, dst)
		}
	})
	c := dial(t, r.addr)
	br := bufio.NewReader(c)
	rng := rand.New(rand.NewPCG(1, 2))
	var sizes []int
	for n := range 3 * knownHeads {
		sizes = append(sizes, n, n, n)
	}
	sizes = append(sizes, 1, 2, 1, 2, 1, 2)
	rng.Shuffle(len(sizes)-6, func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
	for len(sizes) > 0 {
		few := sizes[:min(len(sizes), 1+rng.IntN(3))]
		var all strings.Builder
		for _, n := range few {
			// Some are too large to be kept.
			fmt.Fprintf(&all, "GET /fast/%d HTTP/1.1\r\nHost: h\r\nX: %s\r\n\r\n", n, strings.Repeat("x", n*n%(2*knownSize)))
		}
		if _, err := io.WriteString(c, all.String()); err != nil {
			t.Fatal(err)
		}
		for _, n := range few {
			expect(t, br, "GET", "fast", string(content(n)))
		}
		sizes = sizes[len(few):]
	}
	if known.Load() == 0 || wrong.Load() != 0 {
		t.Errorf("%d heads were known, %d of them as others", known.Load(), wrong.Load())
	}
}

// A head in the place of another finds what was known of that one as a spare, and nothing as known.
func TestHeadThatGivesWay(t *testing.T) {
	k := newKnown()
	first := k.comeTwice([]byte("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n"))
	first.Known = "of the first"
	for i := 2; ; i++ {
		if p := k.comeTwice(fmt.Appendf(nil, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i)); p == first {
			break
		} else if p.Spare != nil || p.Known != nil {
			t.Fatalf("%v, %v in a place of nobody's", p.Spare, p.Known)
		}
	}
	if first.Spare != "of the first" || first.Known != nil {
		t.Errorf("spare is %v, known is %v", first.Spare, first.Known)
	}
}

// comeTwice returns the place that a head gets.
func (k *known) comeTwice(head []byte) (p *knownHead) {
	for range 2 {
		_, hash := k.find(head)
		if p = k.place(head, hash); p != nil {
			p.keep(head, hash)
		}
	}
	return p
}

// Heads that come once push out none that comes again.
func TestHeadsThatComeOnceAreNotKept(t *testing.T) {
	k := newKnown()
	often := []byte("GET /often HTTP/1.1\r\nHost: h\r\n\r\n")
	k.comeTwice(often)
	for i := range 50 * knownHeads {
		head := fmt.Appendf(nil, "GET /%d HTTP/1.1\r\nHost: h\r\n\r\n", i)
		_, hash := k.find(head)
		if k.place(head, hash) != nil {
			t.Fatalf("%q has a place", head)
		}
	}
	if r, _ := k.find(often); r == nil {
		t.Error("the head that came twice is not known")
	}
}
