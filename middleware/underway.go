package middleware

import (
	"slices"
	"sync"
)

// underWay counts what outlives the requests that caused it: fills and background revalidations.
// The zero value is ready for use.
type underWay struct {
	mu      sync.Mutex
	closing bool
	last    uint64 // number of the last one that entered
	running int
	waits   []*wait
}

// wait is for those that were under way when it began.
type wait struct {
	last uint64 // the last one that it is for
	left int
	done chan struct{}
}

// enter counts one more, and returns its number, for leave; zero when the cache is closing, which
// needs no leave.
func (u *underWay) enter() uint64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closing {
		return 0
	}
	u.last++
	u.running++
	return u.last
}

// leave says that the one with that number is over. Zero is none.
func (u *underWay) leave(number uint64) {
	if number == 0 {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.running--
	u.waits = slices.DeleteFunc(u.waits, func(w *wait) bool {
		if number > w.last {
			return false
		}
		w.left--
		if w.left == 0 {
			close(w.done)
		}
		return w.left == 0
	})
}

// ended returns a channel that is closed when all that is now under way has ended.
func (u *underWay) ended() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := &wait{last: u.last, left: u.running, done: make(chan struct{})}
	if w.left == 0 {
		close(w.done)
	} else {
		u.waits = append(u.waits, w)
	}
	return w.done
}

// close makes enter refuse from now on.
func (u *underWay) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closing = true
}

func (u *underWay) closed() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.closing
}
