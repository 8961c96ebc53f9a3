package origin

import (
	"context"
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	// breakAfter is how many exchanges in a row have to fail before a backend is taken to be down.
	breakAfter = 5
	// probeEvery is how long it is left alone then, before one request tries it again.
	probeEvery = time.Second
)

// ErrDown is why an exchange with a backend that is taken to be down was not tried.
var ErrDown = errors.New("it is taken to be down after several failures in a row; one request a second tries it again")

// guarded is an Origin with a circuit breaker: while its backend is down, waiting for it costs one probe a second and
// everybody else nothing.
type guarded struct {
	Origin
	name    string // for messages
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
}

// Guard puts a circuit breaker before an Origin. Only a backend that cannot be reached or does not answer in time counts
// as failing; one that answers with errors is there. What is not tried fails at once with KindConnect, in the backend's name.
// changed, if not nil, is called when the backend is taken to be down and when it is back; it must not take long.
func Guard(o Origin, name string, changed func(down bool)) Origin {
	return &guarded{o, name, gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests:  1,
		Timeout:      probeEvery,
		ReadyToTrip:  func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakAfter },
		IsSuccessful: func(err error) bool { return !unreachable(err) },
		IsExcluded:   func(err error) bool { return err != nil && !Blames(err) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			if changed != nil && (from == gobreaker.StateClosed || to == gobreaker.StateClosed) {
				changed(to != gobreaker.StateClosed)
			}
		},
	})}
}

// Down tells whether an Origin of Guard's takes its backend to be down.
func Down(o Origin) bool {
	g, ok := o.(*guarded)
	return ok && g.breaker.State() != gobreaker.StateClosed
}

// unreachable tells whether an exchange failed as with a backend that is down.
func unreachable(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Kind == KindConnect || e.Kind == KindTimeout)
}

// Fetch implements Origin.
func (g *guarded) Fetch(ctx context.Context, r *Request) (*Response, error) {
	done, err := g.breaker.Allow()
	if err != nil {
		return nil, &Error{Kind: KindConnect, Backend: g.name, Err: ErrDown}
	}
	resp, err := g.Origin.Fetch(ctx, r)
	done(err)
	return resp, err
}
