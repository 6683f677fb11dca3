package middleware

import (
	"slices"
	"sync"
)

// underWay counts what outlives the requests that caused it: fills and background revalidations.
// Its zero value is ready for use.
type underWay struct {
	mu      sync.Mutex
	closing bool
	last    uint64 // the number that enter returned last
	running int
	waits   []*wait
}

// wait waits for all that were under way when it began.
type wait struct {
	last uint64 // the number of the last one for which it waits
	left int
	done chan struct{}
}

// enter counts one more, and returns its number, which leave needs. It returns zero if the cache is
// closing; then leave need not be called.
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

// leave notes that the one with that number has ended. It does nothing with zero.
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

// ended returns a channel that is closed when everything that is under way now has ended.
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

// close makes enter return zero from now on.
func (u *underWay) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closing = true
}

// closed reports whether close was called.
func (u *underWay) closed() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.closing
}
