package fill

import (
	"sync"
	"time"

	"pagegate/internal/policy"
)

// maxPassing bounds the keys that are remembered as passes. Beyond it the oldest is forgotten, which costs one fill.
const maxPassing = 1 << 16

// passing remembers for a while which keys had a page that was not storable, so that their visitors need not wait for
// one another. All keys are kept equally long: the oldest is the first to end.
type passing struct {
	keep time.Duration

	mu     sync.Mutex
	until  map[string]time.Time
	why    map[string]policy.Reason
	oldest []string // the keys in the order in which they were added
}

func (p *passing) init(keep time.Duration) {
	p.keep = keep
	p.until = make(map[string]time.Time)
	p.why = make(map[string]policy.Reason)
}

func (p *passing) has(key string, now time.Time) bool {
	until, _ := p.get(key)
	return now.Before(until)
}

// get returns until when a key passes, the zero time for one that does not, and why.
func (p *passing) get(key string) (until time.Time, why policy.Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.until[key], p.why[key]
}

func (p *passing) add(key string, why policy.Reason, now time.Time) {
	if p.keep <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.until[key]; !ok {
		p.oldest = append(p.oldest, key)
	}
	p.until[key], p.why[key] = now.Add(p.keep), why
	for len(p.oldest) > 0 {
		first := p.oldest[0]
		if len(p.oldest) <= maxPassing && now.Before(p.until[first]) {
			return
		}
		delete(p.until, first)
		delete(p.why, first)
		p.oldest = p.oldest[1:]
	}
}
