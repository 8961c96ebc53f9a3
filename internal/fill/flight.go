package fill

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"pagegate/internal/metrics"
	"pagegate/internal/page"
	"pagegate/internal/policy"
)

// errUnshared tells a waiter that the flight's response belongs to the request that started it: it has to pass.
var errUnshared = errors.New("fill: the response is not to be shared")

// errAskAlone tells a waiter that the page may be stored but not used twice without asking the backend.
var errAskAlone = errors.New("fill: the response may answer one request only")

// redirect tells a request that the page has variants: it has to go on with the one that the mark has for it.
type redirect struct{ mark *page.Page }

func (*redirect) Error() string { return "fill: the page has variants" }

// errSlowReader ends a reader that held up a large body for longer than stallTimeout.
var errSlowReader = errors.New("fill: the client reads too slowly")

const (
	// window bounds what a flight buffers of a body that is too large to be stored.
	window = 4 << 20
	// stallTimeout is how long a full window waits for its slowest reader.
	stallTimeout = 30 * time.Second
	// orphanTimeout is how long a fetch that can still be stored goes on without a reader.
	orphanTimeout = 60 * time.Second
)

// flights are the fills under way, by page key.
type flights struct {
	base  context.Context // of all of them
	mu    sync.Mutex
	byKey map[string]*flight
	led   sync.WaitGroup // the flights that have not come to their end
}

// join returns the flight of a key, a new one if there is none, and tells whether it is new: then the caller has it led.
// It returns nil when the flight can no longer be joined from its beginning. A request that goes alone has a flight that
// nobody else can join.
func (fs *flights) join(l *leg) (fl *flight, leads bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if l.alone {
		return fs.takeOff(l, 1), true
	}
	for _, key := range []string{l.flightKey(), (&leg{key: l.key, renew: true}).flightKey()} { // what renews it serves all
		if fl = fs.byKey[key]; fl != nil {
			if !fl.addReader() {
				return nil, false
			}
			return fl, false
		}
	}
	fl = fs.takeOff(l, 1)
	fs.enter(fl, l.flightKey())
	return fl, true
}

// start returns a new flight without a reader, nil if the page is on its way already.
func (fs *flights) start(l *leg) *flight {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.byKey[l.key] != nil || fs.byKey[l.flightKey()] != nil {
		return nil
	}
	fl := fs.takeOff(l, 0)
	fs.enter(fl, l.flightKey())
	return fl
}

// takeOff makes a flight. Called with mu held.
func (fs *flights) takeOff(l *leg, readers int) *flight {
	fl := &flight{leg: *l, pending: readers}
	fl.ctx, fl.cancel = context.WithCancel(fs.base)
	fs.led.Add(1)
	return fl
}

// over notes that nobody leads a flight any more.
func (fs *flights) over(fl *flight) {
	fl.cancel()
	fs.led.Done()
}

// enter lets requests for key join a flight. Called with mu held.
func (fs *flights) enter(fl *flight, key string) {
	fl.keys = append(fl.keys, key)
	fs.byKey[key] = fl
}

// alias lets requests for another key join a flight too, if none of that key is under way.
func (fs *flights) alias(fl *flight, key string) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.byKey[key] == nil {
		fs.enter(fl, key)
	}
}

// land takes a flight out: the next request for its keys starts another.
func (fs *flights) land(fl *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.out(fl)
}

func (fs *flights) out(fl *flight) {
	for _, key := range fl.keys {
		if fs.byKey[key] == fl {
			delete(fs.byKey, key)
		}
	}
}

// forget takes out the flights that match: who comes later does not join them.
func (fs *flights) forget(match func(*flight) bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, fl := range fs.byKey {
		if match(fl) {
			fs.out(fl)
		}
	}
}

// wait returns when no flight is led any more.
func (fs *flights) wait() { fs.led.Wait() }

// head is what is known of a flight's response when its body begins.
type head struct {
	status        int
	header        http.Header // not changed after it is set
	others        http.Header // what those get who did not start the flight; nil for the same
	key           string      // with shared: the only key whose requests it answers; "" for any
	mark          *page.Page  // with key: where the others have to look
	contentLength int64
	outcome       string // of the one who started it; the others' is Collapsed unless it came from the cache
	reason        policy.Reason
	stored        bool
	codable       bool       // the page may be kept in codings later
	shared        bool       // may be given to others than the one who started it
	page          *page.Page // the times of an answer from the cache, without its bytes
}

// flight is one fill and those who read from it. Its lock is held for short steps only, never while waiting.
type flight struct {
	leg
	keys    []string        // under which it can be joined; guarded by flights.mu
	held    *lease          // the lock that other processes see
	since   since           // the purges that were made before it looked
	maxBody int64           // the largest body that is stored
	ctx     context.Context // of the fetch
	cancel  context.CancelFunc

	mu      sync.Mutex
	changed chan struct{} // closed at the next change; nil while nobody waits for one
	head    *head
	buf     []byte // the body from offset base on
	base    int64
	large   bool  // too large to be stored: what every reader has read is dropped
	done    bool  // no more will come
	err     error // with done: why the body, or with no head the whole response, failed
	pending int   // requests that have joined and have neither a reader nor left
	readers map[*reader]struct{}
	orphan  *time.Timer // ends the fetch when nobody reads for too long
}

// addReader registers one more request, unless the body's beginning is gone.
func (fl *flight) addReader() bool {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if fl.large {
		return false
	}
	fl.pending++
	fl.adopted()
	return true
}

// signal wakes all who wait. Called with mu held.
func (fl *flight) signal() {
	if fl.changed != nil {
		close(fl.changed)
		fl.changed = nil
	}
}

// change returns what the next signal closes. Called with mu held.
func (fl *flight) change() <-chan struct{} {
	if fl.changed == nil {
		fl.changed = make(chan struct{})
	}
	return fl.changed
}

// begin publishes the head.
func (fl *flight) begin(h *head) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	fl.head = h
	fl.signal()
}

// bring publishes a response whose body is there: whole, or up to an error. Over limit bytes (0 for no limit) it is large.
func (fl *flight) bring(h *head, body []byte, limit int64, err error) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	fl.head, fl.buf = h, body
	fl.large = fl.large || limit > 0 && int64(len(body)) > limit
	fl.done, fl.err = true, err
	fl.signal()
}

// end publishes that nothing more will come; err is nil for a body that is whole.
func (fl *flight) end(err error) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if fl.done {
		return
	}
	fl.done, fl.err = true, err
	fl.adopted()
	fl.signal()
}

// answer waits for the head and makes this request's answer of it. key is what the request looks for.
func (fl *flight) answer(ctx context.Context, leads bool, key string) (*Answer, error) {
	for {
		fl.mu.Lock()
		h := fl.head
		switch {
		case h != nil:
			if err := h.refuses(leads, key); err != nil {
				fl.leave(nil)
				fl.mu.Unlock()
				return nil, err
			}
			r := &reader{fl: fl, off: fl.base}
			fl.pending--
			if fl.readers == nil {
				fl.readers = make(map[*reader]struct{}, 1)
			}
			fl.readers[r] = struct{}{}
			fl.mu.Unlock()
			return h.answer(r, leads), nil
		case fl.done:
			err := fl.err
			fl.leave(nil)
			fl.mu.Unlock()
			return nil, err
		}
		changed := fl.change()
		fl.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			fl.mu.Lock()
			fl.leave(nil)
			fl.mu.Unlock()
			return nil, ctx.Err()
		}
	}
}

// refuses tells why a request that waited does not get this response.
func (h *head) refuses(leads bool, key string) error {
	switch {
	case leads:
		return nil
	case h.key != "" && h.key != key:
		return &redirect{h.mark}
	case h.shared:
		return nil
	case h.stored:
		return errAskAlone
	}
	return errUnshared
}

// answer is what a request that reads by r gets.
func (h *head) answer(r *reader, leads bool) *Answer {
	header := h.header
	if !leads && h.others != nil {
		header = h.others
	}
	a := &Answer{
		Status:         h.status,
		Header:         header,
		Body:           r,
		ContentLength:  h.contentLength,
		Outcome:        h.outcome,
		Reason:         h.reason,
		Stored:         h.stored,
		VariesByCoding: h.codable || h.page != nil && h.page.VariesByCoding(),
		Page:           h.page,
	}
	if !leads && (h.page == nil || h.outcome == metrics.Revalidated) {
		a.Outcome = metrics.Collapsed
	}
	return a
}

// leave takes a request out, with its reader if it has one. Called with mu held.
func (fl *flight) leave(r *reader) {
	if r == nil {
		fl.pending--
	} else {
		delete(fl.readers, r)
	}
	if fl.pending > 0 || len(fl.readers) > 0 || fl.done {
		fl.signal() // a leader that waits for the slowest reader looks again
		return
	}
	if fl.large {
		fl.cancel()
	} else if fl.orphan == nil {
		fl.orphan = time.AfterFunc(orphanTimeout, fl.cancel)
	}
}

// adopted stops the clock that leave started. Called with mu held.
func (fl *flight) adopted() {
	if fl.orphan != nil {
		fl.orphan.Stop()
		fl.orphan = nil
	}
}

// reader is one request's view of a flight's body.
type reader struct {
	fl     *flight
	off    int64
	kicked bool // held up the others; guarded by fl.mu
}

// Read waits for the leader, whose own waits are bounded.
func (r *reader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	fl := r.fl
	for {
		fl.mu.Lock()
		if r.kicked {
			fl.mu.Unlock()
			return 0, errSlowReader
		}
		if n := copy(b, fl.buf[r.off-fl.base:]); n > 0 {
			r.off += int64(n)
			if fl.large {
				fl.trim()
			}
			fl.mu.Unlock()
			return n, nil
		}
		if fl.done {
			err := fl.err
			fl.mu.Unlock()
			if err == nil {
				err = io.EOF
			}
			return 0, err
		}
		changed := fl.change()
		fl.mu.Unlock()
		<-changed
	}
}

// whole returns the body if all of it is there and nothing of it has been read. The bytes are not changed any more.
func (r *reader) whole() ([]byte, bool) {
	r.fl.mu.Lock()
	defer r.fl.mu.Unlock()
	if !r.fl.done || r.fl.err != nil || r.fl.large || r.off != 0 {
		return nil, false
	}
	return r.fl.buf, true
}

// Close ends the reading.
func (r *reader) Close() error {
	r.fl.mu.Lock()
	defer r.fl.mu.Unlock()
	if _, ok := r.fl.readers[r]; ok {
		r.fl.leave(r)
	}
	return nil
}

// trim drops what every reader has read. Called with mu held.
func (fl *flight) trim() {
	low := fl.base + int64(len(fl.buf))
	if fl.pending > 0 {
		return // someone is about to read from the beginning
	}
	for r := range fl.readers {
		low = min(low, r.off)
	}
	if drop := low - fl.base; drop >= window/4 || drop > 0 && drop == int64(len(fl.buf)) {
		fl.buf = append(fl.buf[:0], fl.buf[drop:]...)
		fl.base = low
		fl.signal()
	}
}

// setLarge keeps no more than a window of the body: it will not be stored.
func (fl *flight) setLarge() {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	fl.large = true
}

// write adds to the body. Once it is over limit (0 for none) the flight turns large: it keeps no more than a window of
// it, and write waits for the readers. It fails when nobody reads any more.
func (fl *flight) write(b []byte, limit int64) error {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	fl.buf = append(fl.buf, b...)
	if !fl.large && limit > 0 && int64(len(fl.buf)) > limit {
		fl.large = true
	}
	fl.signal()
	if fl.large {
		fl.trim()
		return fl.makeRoom()
	}
	return nil
}

// makeRoom waits, with mu held on entry and return, until a large body's window has room, and puts out a reader that
// keeps it from that for too long.
func (fl *flight) makeRoom() error {
	deadline := time.NewTimer(stallTimeout)
	defer deadline.Stop()
	for len(fl.buf) >= window {
		if fl.pending == 0 && len(fl.readers) == 0 {
			return context.Canceled
		}
		changed := fl.change()
		fl.mu.Unlock()
		select {
		case <-changed:
		case <-deadline.C:
			fl.mu.Lock()
			fl.kickSlowest()
			deadline.Reset(stallTimeout)
			continue
		case <-fl.ctx.Done():
			fl.mu.Lock()
			return fl.ctx.Err()
		}
		fl.mu.Lock()
	}
	return nil
}

// kickSlowest ends the readers that have read least. Called with mu held.
func (fl *flight) kickSlowest() {
	for r := range fl.readers {
		if r.off == fl.base {
			r.kicked = true
			delete(fl.readers, r)
		}
	}
	fl.trim()
	fl.signal()
}
