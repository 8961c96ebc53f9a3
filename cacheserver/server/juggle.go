package server

import (
	"time"

	"pagegate/cacheserver/store"
)

// juggler is the schedule of the LRU maintainer, as in memcached: a slab class in which items move on has its turn more and more often,
// one in which nothing has to be done less and less, down to once a second.
type juggler struct {
	store *store.Store
	rest  [store.ClassesMax + 1]time.Duration // until the class's next turn
	wait  [store.ClassesMax + 1]time.Duration // between its turns
}

// How long the maintainer sleeps between two turns of a class that has something to do, and of one that has not. memcached's least is a
// millisecond: for that it is woken up a thousand times a second under load.
const (
	juggleWaitLeast = 10 * time.Millisecond
	juggleWaitMost  = time.Second
)

// run gives each class its turn that is due, slept being the time since the last run, and returns when to run again.
func (j *juggler) run(slept time.Duration) (sleep time.Duration) {
	sleep = juggleWaitMost
	for id := 1; id <= store.ClassesMax; id++ {
		if j.rest[id] = max(0, j.rest[id]-max(slept, juggleWaitLeast)); j.rest[id] == 0 {
			j.turn(id)
		}
		sleep = min(sleep, j.rest[id])
	}
	if j.store.JuggleBumps() > 0 {
		sleep = juggleWaitLeast
	}
	return max(sleep, juggleWaitLeast)
}

// turn is a class's.
func (j *juggler) turn(id int) {
	switch moved, wait := j.store.JuggleClass(id), &j.wait[id]; {
	case moved > 0:
		if *wait /= 2; *wait < juggleWaitLeast {
			*wait = 0
		}
	case *wait == 0:
		*wait = juggleWaitLeast
	default:
		*wait = min(*wait+*wait/8, juggleWaitMost)
	}
	j.rest[id] = j.wait[id]
}

// juggle is the LRU maintainer: it moves items from segment to segment until the server is closed.
func (s *Server) juggle() {
	j := juggler{store: s.store}
	for slept := juggleWaitLeast; !s.pause(slept); {
		slept = j.run(slept)
		s.juggles.Add(1)
	}
}
