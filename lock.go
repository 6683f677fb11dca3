package cirque

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// CacheKeyLock lets one request at a time fill a key while others wait for it. Locking is advice, not
// safety: after a timeout several writers may be at work, and the Storage copes with that.
//
// Implementations are safe for concurrent use. Permits and read locks are a [CacheLock]'s; another
// implementation wraps one and decides who gets to ask it. Every writer has come through Lock.
type CacheKeyLock interface {
	// Lock makes the caller the writer of key, or one of those who may wait for the writer. staleWriter
	// marks that this writer would revalidate a stale entry, so that the others may serve that
	// instead of waiting.
	//
	// A writer owes a Release. A reader owes nothing, and may leave it at looking.
	Lock(key CacheKey, staleWriter bool) Locked

	// Release ends the permit's turn. LockDone and LockGiveUp end the waiting of all; with any other
	// status the turn goes to one of the waiters. A second Release, or one that comes after the turn
	// was over by age, does nothing; nor does one of a nil permit.
	Release(key CacheKey, permit *WritePermit, status LockStatus)
}

// Locked is the outcome of Lock: one of the two is set.
type Locked struct {
	Write *WritePermit
	Read  *ReadLock
}

// WritePermit is a writer's turn at a key. It may move between goroutines. One that nobody holds any
// more counts as released with LockDangling as soon as the garbage collector finds it.
type WritePermit struct {
	lock    *ReadLock
	turn    uint64
	stale   bool
	started time.Time
	cleanup runtime.Cleanup
}

// StaleWriter reports whether the permit was taken to revalidate a stale entry.
func (p *WritePermit) StaleWriter() bool { return p.stale }

// awaited reports whether somebody waits for the end of the permit's turn.
func (p *WritePermit) awaited() bool {
	p.lock.shard.mu.Lock()
	defer p.lock.shard.mu.Unlock()
	return p.lock.turn == p.turn && p.lock.waiters > 0
}

// Age returns how long the permit has been held.
func (p *WritePermit) Age() time.Duration { return time.Since(p.started) }

// CacheLockConfig configures a CacheLock. The zero value is good.
type CacheLockConfig struct {
	// AgeTimeout bounds a writer's turn: then the waiters get a new writer, while the old one may
	// still finish its work. Zero means 30 seconds, a negative value no bound.
	AgeTimeout time.Duration
}

const (
	defaultAgeTimeout = 30 * time.Second

	// electionGrace is how long the turn is kept for the waiter who was elected. Then everybody is
	// woken. Most come at once, or after one more lookup; some found what they need there, or
	// left, and never come.
	electionGrace = 100 * time.Millisecond

	lockShards = 64
)

// CacheLock is the CacheKeyLock of one process.
//
// Waiters of a key queue in one channel, in order of arrival. When a writer fails, one of them is
// elected: it wakes and is expected to call Lock, while the rest sleep on behind the next writer.
// Were all to wake each time, a failing origin would cost the square of their number. A newcomer
// who calls Lock in between gets the turn, and the elected waiter queues again.
//
// No goroutine is started for a lock. A key without waiters has neither channel nor timer.
type CacheLock struct {
	ageTimeout time.Duration // negative: none
	shards     [lockShards]lockShard
}

type lockShard struct {
	mu struct {
		sync.Mutex
		keys map[HashBinary]*ReadLock // those that are not over
	}
}

// NewCacheLock returns a CacheLock.
func NewCacheLock(cfg CacheLockConfig) *CacheLock {
	l := &CacheLock{ageTimeout: cfg.AgeTimeout}
	if l.ageTimeout == 0 {
		l.ageTimeout = defaultAgeTimeout
	}
	for i := range l.shards {
		l.shards[i].mu.keys = make(map[HashBinary]*ReadLock)
	}
	return l
}

// Lock implements CacheKeyLock. Keys are told apart by [CacheKey.Combined].
func (l *CacheLock) Lock(key CacheKey, staleWriter bool) Locked {
	hash := key.Combined()
	shard := &l.shards[hash[0]%lockShards]
	now := time.Now()

	shard.mu.Lock()
	r := shard.mu.keys[hash]
	if r == nil {
		r = &ReadLock{shard: shard, hash: hash, ageTimeout: l.ageTimeout}
		shard.mu.keys[hash] = r
	} else if r.status == LockWaiting && !r.overdue(now) {
		shard.mu.Unlock()
		return Locked{Read: r}
	}
	permit := r.begin(staleWriter, now)
	shard.mu.Unlock()

	permit.cleanup = runtime.AddCleanup(permit, lostTurn.end, lostTurn{r, permit.turn})
	return Locked{Write: permit}
}

// Release implements CacheKeyLock. A status that no writer can report counts as LockTransientError.
func (l *CacheLock) Release(_ CacheKey, permit *WritePermit, status LockStatus) {
	if permit == nil {
		return
	}
	switch status {
	case LockDone, LockGiveUp, LockDangling, LockUpstreamError:
	default:
		status = LockTransientError
	}
	permit.lock.end(permit.turn, status)
	permit.cleanup.Stop()
	runtime.KeepAlive(permit) // else the collector might call it lost while it is being released
}

// lostTurn is what is left of a permit that nobody holds any more.
type lostTurn struct {
	lock *ReadLock
	turn uint64
}

func (t lostTurn) end() { t.lock.end(t.turn, LockDangling) }

// ReadLock is what a key's waiters see of its writers, one after the other. All waiters share it, and
// its methods are safe for concurrent use.
//
//	held ──── Done, GiveUp, or nobody waits ────▶ over: all wake
//	held ──── any error, Dangling, age ─────────▶ vacant: one wakes
//	vacant ── Lock ─────────────────────────────▶ held
//	vacant ── nobody waits or electionGrace ────▶ over: all wake
//
// INVARIANT: shard.mu.keys holds the ReadLock exactly while it is not over.
// INVARIANT: while anyone waits the timer runs, unless the key is held without an age timeout. So
// nobody sleeps through a writer that hangs or a turn that nobody takes.
type ReadLock struct {
	// Written once.
	shard      *lockShard
	hash       HashBinary
	ageTimeout time.Duration

	// Guarded by shard.mu. Once over is set, nothing changes any more.
	status   LockStatus // LockWaiting while held, then how the last turn ended
	over     bool
	stale    bool
	turn     uint64    // counts writers, so that a late one can be told from the present one
	started  time.Time // of this turn
	deadline time.Time // when held, of this turn; when vacant, of the election; zero: none
	waiters  int
	timer    *time.Timer     // made for the first waiter; runs only while there are some
	wake     chan LockStatus // made for the first waiter; a value elects one, close wakes all
}

// Wait blocks while the key has a writer. It returns LockDone or LockGiveUp when a writer ended so;
// LockTransientError, LockUpstreamError, LockDangling or LockAgeTimeout when it is this waiter's turn to call Lock again;
// LockWaitTimeout after timeout; and LockWaiting when ctx ends first (ctx.Err says why). A timeout of
// zero or less does no more than look.
//
// One Wait may outlast several writers: when one fails, only the waiter next in line returns. It
// should call Lock before anything slow; if it doesn't within a tenth of a second, all others are
// woken to do so.
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
			return r.status // over, and written before the close
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

// Status returns LockWaiting while the key has a writer, and how the last one ended while it has none.
func (r *ReadLock) Status() LockStatus {
	r.shard.mu.Lock()
	defer r.shard.mu.Unlock()
	return r.status
}

// Locked reports whether the key has a writer.
func (r *ReadLock) Locked() bool { return r.Status() == LockWaiting }

// StaleWriter reports whether the present writer, or the last one, revalidates a stale entry.
func (r *ReadLock) StaleWriter() bool {
	r.shard.mu.Lock()
	defer r.shard.mu.Unlock()
	return r.stale
}

// Age returns the time since the present writer, or the last one, got its turn.
func (r *ReadLock) Age() time.Duration {
	r.shard.mu.Lock()
	defer r.shard.mu.Unlock()
	return time.Since(r.started)
}

// join enters the queue. Where there is nothing to wait for, the channel is nil and status final.
func (r *ReadLock) join() (wake <-chan LockStatus, status LockStatus) {
	r.shard.mu.Lock()
	defer r.shard.mu.Unlock()
	if r.status != LockWaiting {
		return nil, r.status
	}
	if r.wake == nil {
		// The room for one value keeps an election that falls between a waiter's join and its
		// receive.
		r.wake = make(chan LockStatus, 1)
	}
	if r.waiters++; r.waiters == 1 {
		r.arm()
	}
	return r.wake, 0
}

// leave quits the queue. passOn gives an election to the next in line.
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

// end ends a turn, if it isn't over yet.
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
	case !r.overdue(time.Now()): // the deadline moved while this call was on its way
		r.arm()
	case r.status == LockWaiting:
		wake = r.finish(LockAgeTimeout)
	default:
		wake = r.dissolve()
	}
	r.shard.mu.Unlock()
	wakeAll(wake)
}

// wakeAll closes what finish and dissolve return. Waking thousands takes a while, so it is done
// without shard.mu, which other keys need too.
func wakeAll(wake chan LockStatus) {
	if wake != nil {
		close(wake)
	}
}

// The methods below are called with shard.mu held.

// begin starts the next turn.
func (r *ReadLock) begin(stale bool, now time.Time) *WritePermit {
	r.turn++
	r.status, r.stale, r.started = LockWaiting, stale, now
	r.deadline = time.Time{}
	if r.ageTimeout > 0 {
		r.deadline = now.Add(r.ageTimeout)
	}
	select {
	case <-r.wake: // an election that nobody has heard of yet is off
	default:
	}
	if r.waiters > 0 {
		r.arm()
	}
	return &WritePermit{lock: r, turn: r.turn, stale: stale, started: now}
}

// finish ends the present turn. The result is for wakeAll.
func (r *ReadLock) finish(status LockStatus) chan LockStatus {
	r.status = status
	if status == LockDone || status == LockGiveUp || r.waiters == 0 {
		return r.dissolve()
	}
	r.elect()
	return nil
}

// elect wakes the waiter who is next in line.
func (r *ReadLock) elect() {
	select {
	case r.wake <- r.status:
	default: // there is an election that nobody has heard of yet
	}
	r.deadline = time.Now().Add(electionGrace)
	r.arm()
}

// dissolve makes r over. The result is for wakeAll.
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
