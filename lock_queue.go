package cirque

import (
	"context"
	"time"
)

// ReadLock shows the waiters of a key its writers, one after the other. All waiters share it. Its
// methods are safe for concurrent use.
//
//	held ──── Done, GiveUp, or nobody waits ────▶ over: all wake
//	held ──── any error, Dangling, age ─────────▶ vacant: one wakes
//	vacant ── Lock ─────────────────────────────▶ held
//	vacant ── nobody waits or electionGrace ────▶ over: all wake
//
// INVARIANT: shard.mu.keys holds the ReadLock until it is over, and not after.
// INVARIANT: while there are waiters the timer runs, unless the key is held without an age timeout.
// So a writer that hangs, or a turn that nobody takes, does not keep the waiters asleep.
type ReadLock struct {
	// Set once.
	shard      *lockShard
	hash       HashBinary
	ageTimeout time.Duration

	// Guarded by shard.mu. Once over is set, nothing changes any more.
	status   LockStatus // LockWaiting while held, then how the last turn ended
	over     bool
	stale    bool
	turn     uint64    // counts writers, so that a late one differs from the present one
	deadline time.Time // of the turn while held, of the election while vacant; zero: none
	waiters  int
	timer    *time.Timer     // made for the first waiter; runs only while there are waiters
	wake     chan LockStatus // made for the first waiter; a value elects one, close wakes all
}

// Wait blocks while the key has a writer. It returns
//
//   - LockDone or LockGiveUp when a writer released its permit with that status,
//   - LockTransientError, LockUpstreamError, LockDangling or LockAgeTimeout when this waiter should
//     call Lock again,
//   - LockWaitTimeout after timeout,
//   - LockWaiting when ctx ends first; ctx.Err says why.
//
// With a timeout of zero or less, Wait only checks the status and does not block.
//
// One Wait may outlast several writers: when one fails, only the next waiter in the queue returns.
// It should call Lock before it does anything slow. If it does not call within a tenth of a second,
// all other waiters wake and should call Lock.
func (r *ReadLock) Wait(ctx context.Context, timeout time.Duration) LockStatus {
	wake, status := r.join()
	if wake == nil {
		return status
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case status, elected := <-wake:
		if !elected {
			return r.status // over, so it no longer changes
		}
		gone := ctx.Err() != nil
		r.leave(gone)
		if gone {
			return LockWaiting
		}
		return status
	case <-ctx.Done():
		r.leave(false)
		return LockWaiting
	case <-timer.C:
		r.leave(false)
		return LockWaitTimeout
	}
}

// StaleWriter reports whether the present writer, or else the last one, revalidates a stale entry.
func (r *ReadLock) StaleWriter() bool {
	r.shard.mu.Lock()
	defer r.shard.mu.Unlock()
	return r.stale
}

// heldAt reports whether the key has a writer whose time is not over. It is called with shard.mu
// held.
func (r *ReadLock) heldAt(now time.Time) bool { return r.status == LockWaiting && !r.overdue(now) }

// join enters the queue. If the key has no writer, wake is nil and status says how the last one
// ended.
func (r *ReadLock) join() (wake <-chan LockStatus, status LockStatus) {
	r.shard.mu.Lock()
	defer r.shard.mu.Unlock()
	if r.status != LockWaiting {
		return nil, r.status
	}
	if r.wake == nil {
		// The buffer of one keeps an election that happens between a waiter's join and its receive.
		r.wake = make(chan LockStatus, 1)
	}
	if r.waiters++; r.waiters == 1 {
		r.arm()
	}
	return r.wake, 0
}

// leave quits the queue. passOn elects the next waiter in place of this one.
func (r *ReadLock) leave(passOn bool) {
	r.shard.mu.Lock()
	defer r.shard.mu.Unlock()
	if r.over {
		return
	}
	r.waiters--
	vacant := r.status != LockWaiting
	switch {
	case r.waiters > 0:
		if passOn && vacant {
			r.elect()
		}
	case vacant:
		r.dissolve()
	default:
		r.stopTimer()
	}
}

// end ends a turn unless it has ended already.
func (r *ReadLock) end(turn uint64, status LockStatus) {
	r.shard.mu.Lock()
	var wake chan LockStatus
	if r.turn == turn && r.status == LockWaiting {
		wake = r.finish(status)
	}
	r.shard.mu.Unlock()
	wakeAll(wake)
}

// expire runs when the timer fires.
func (r *ReadLock) expire() {
	r.shard.mu.Lock()
	var wake chan LockStatus
	switch {
	case r.over, r.waiters == 0:
	case !r.overdue(time.Now()): // the deadline moved after the timer fired
		r.arm()
	case r.status == LockWaiting:
		wake = r.finish(LockAgeTimeout)
	default:
		wake = r.dissolve()
	}
	r.shard.mu.Unlock()
	wakeAll(wake)
}

// wakeAll closes the channel that finish or dissolve returned. It is called without shard.mu,
// because it takes a while to wake thousands of waiters and other keys need shard.mu too.
func wakeAll(wake chan LockStatus) {
	if wake != nil {
		close(wake)
	}
}

// The methods below are called with shard.mu held.

// begin starts the next turn.
func (r *ReadLock) begin(stale bool, now time.Time) *WritePermit {
	r.turn++
	r.status, r.stale = LockWaiting, stale
	r.deadline = time.Time{}
	if r.ageTimeout > 0 {
		r.deadline = now.Add(r.ageTimeout)
	}
	select {
	case <-r.wake: // cancel an election that no waiter has received yet
	default:
	}
	if r.waiters > 0 {
		r.arm()
	}
	return &WritePermit{lock: r, turn: r.turn}
}

// finish ends the present turn. The caller passes the result to wakeAll.
func (r *ReadLock) finish(status LockStatus) chan LockStatus {
	r.status = status
	if status == LockDone || status == LockGiveUp || r.waiters == 0 {
		return r.dissolve()
	}
	r.elect()
	return nil
}

// elect wakes the next waiter in the queue.
func (r *ReadLock) elect() {
	select {
	case r.wake <- r.status:
	default: // an election is pending already
	}
	r.deadline = time.Now().Add(electionGrace)
	r.arm()
}

// dissolve ends r. The caller passes the result to wakeAll.
func (r *ReadLock) dissolve() chan LockStatus {
	delete(r.shard.mu.keys, r.hash)
	r.over = true
	r.stopTimer()
	return r.wake
}

func (r *ReadLock) overdue(now time.Time) bool {
	return !r.deadline.IsZero() && !now.Before(r.deadline)
}

func (r *ReadLock) arm() {
	switch {
	case r.deadline.IsZero():
	case r.timer == nil:
		r.timer = time.AfterFunc(time.Until(r.deadline), r.expire)
	default:
		r.timer.Reset(time.Until(r.deadline))
	}
}

func (r *ReadLock) stopTimer() {
	if r.timer != nil {
		r.timer.Stop()
	}
}
