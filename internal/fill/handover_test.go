package fill

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"pagegate/internal/metrics"
	"pagegate/internal/origin"
)

// A leader that fails hands over to one of those who wait, once: the others join that one, and whatever comes of it is theirs.
func TestAFailingLeaderHandsOver(t *testing.T) {
	brokeOff := &origin.Error{Kind: origin.KindProtocol, Err: io.ErrUnexpectedEOF}
	cannotBeSent := &origin.Error{Kind: origin.KindRequest, Err: errors.New("invalid field")}
	down := &origin.Error{Kind: origin.KindConnect, Err: errors.New("refused")}
	slow := &origin.Error{Kind: origin.KindTimeout, Err: errors.New("no answer in time")}
	for name, tt := range map[string]struct {
		fails   []*origin.Error // one fetch after the other
		fetches int64
		served  int64 // of 20 requests
	}{
		"it broke off":               {[]*origin.Error{brokeOff}, 2, 19},
		"its request cannot be sent": {[]*origin.Error{cannotBeSent}, 2, 19},
		"it broke off twice":         {[]*origin.Error{brokeOff, brokeOff}, 2, 0},
		"the backend is down":        {[]*origin.Error{down}, 1, 0},
		"the backend is too slow":    {[]*origin.Error{slow}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := make(chan struct{}), make(chan struct{})
			b := &backend{answer: func(n int64, _ *origin.Request) (*origin.Response, error) {
				if <-first; n == 2 {
					<-second
				}
				if int(n) <= len(tt.fails) {
					return nil, tt.fails[n-1]
				}
				return response(200, "page"), nil
			}}
			m := newMemory()
			f := newFiller(t, b, m)
			var served, led atomic.Int64
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					a, err := f.Serve(t.Context(), get())
					if err != nil {
						return
					}
					if a.Outcome == metrics.Miss {
						led.Add(1)
					}
					if body := read(t, a, nil); body == "page" {
						served.Add(1)
					}
				})
			}
			await(t, "all to have joined", func() bool { return f.joined("/a?") == 20 })
			close(first)
			if tt.fetches == 2 {
				await(t, "the others to have joined again", func() bool { return b.asked.Load() == 2 && f.joined("/a?") == 19 })
			}
			close(second)
			wg.Wait()
			if b.asked.Load() != tt.fetches || served.Load() != tt.served {
				t.Errorf("%d fetches, %d served; want %d and %d", b.asked.Load(), served.Load(), tt.fetches, tt.served)
			}
			if tt.served > 0 && led.Load() != 1 {
				t.Errorf("%d lead the second flight", led.Load())
			}
			await(t, "landing", f.flights.empty)
		})
	}
}
