package sockets

import (
	"runtime"
	"time"
)

const (
	// brief is how long a wait keeps the place that Go's scheduler has given the goroutine. A wait that the
	// scheduler is told of costs little by itself; but it keeps the runtime's monitor awake, which then looks every 20 us
	// whether the place could be taken away, and that costs as much as a request.
	brief = 5 * time.Millisecond
	// schedule is how long a goroutine goes without the scheduler. The monitor takes one that has kept its place for 10 ms for
	// one that hangs, and sends its thread a signal.
	schedule = 8 * time.Millisecond
	// stayBusy is after how many waits with one event at most there is no longer much to do.
	stayBusy = 16
)

// source is where a set's events come from. Each method returns how many there are.
type source interface {
	look() (int, error)                    // without a wait
	wait(bound time.Duration) (int, error) // for one, keeping the place with Go's scheduler
	sleep(bound time.Duration) (int, error)
}

// pacing decides how a set waits.
type pacing struct {
	now       time.Time // of the last wait's end
	scheduled time.Time // when it last went through the scheduler
	busy      int       // there is much to do, for so many waits more
	lend      bool      // the goroutine has started others since the last wait
}

func (p *pacing) Lend()          { p.lend = true }
func (p *pacing) Now() time.Time { return p.now }

// await waits. Where there was much to do a moment ago it lets other threads run before it goes to sleep: clients on the same
// machine ask for more meanwhile, and neither they nor the waiting one pay for a sleep and a wake-up.
func (p *pacing) await(s source, bound time.Duration, hurry bool) error {
	if p.now.Sub(p.scheduled) >= schedule {
		runtime.Gosched()
		p.scheduled = p.now
	}
	n, err := p.events(s, bound, hurry)
	p.now = time.Now()
	if n > 1 {
		p.busy = stayBusy
	} else if p.busy > 0 {
		p.busy--
	}
	return err
}

func (p *pacing) events(s source, bound time.Duration, hurry bool) (int, error) {
	if p.busy > 0 || hurry {
		if n, err := s.look(); n > 0 || err != nil || hurry {
			return n, err
		}
		yieldThread()
	}
	if !p.lend {
		if n, err := s.wait(min(brief, bound)); n > 0 || err != nil {
			return n, err
		}
	}
	p.lend = false
	return s.sleep(bound)
}
