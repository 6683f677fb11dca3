package memcache

import "sync/atomic"

// guard lets Close come while another goroutine still reads. What is read must be kept until that
// goroutine is done: the memory would belong to another entry then.
type guard struct {
	state atomic.Int32 // twice the calls under way, plus one once it is closed
}

// enter begins a call that reads. It reports false if the guard is closed.
func (g *guard) enter() bool {
	for {
		state := g.state.Load()
		if state&1 != 0 {
			return false
		}
		if g.state.CompareAndSwap(state, state+2) {
			return true
		}
	}
}

// exit ends a call that reads. It reports whether the caller must give back what is read, because
// Close came meanwhile.
func (g *guard) exit() (last bool) { return g.state.Add(-2) == 1 }

// close reports whether the caller must give back what is read: the guard was open, and no call is
// under way.
func (g *guard) close() (last bool) { return g.state.Or(1) == 0 }

func (g *guard) closed() bool { return g.state.Load()&1 != 0 }
