package cirque

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var lockKey = NewCacheKey("ns", "/", "")

func TestLockOneWriter(t *testing.T) {
	lockScript(t, CacheLockConfig{}, `
		> table
		0 keys, 0 waiters
		> a lock
		a writes
		> b lock
		b reads
		> c lock stale
		c reads
		> b wait 5s
		> c wait 5s
		> table
		1 keys, 2 waiters
		> sleep 2s
		> b look
		b sees Waiting, stale false
		> a release Done
		b woke: Done
		c woke: Done
		> table
		0 keys, 0 waiters
		> b look
		b sees Done, stale false
		> d lock
		d writes
	`)
}

func TestLockGiveUpWakesAll(t *testing.T) {
	lockScript(t, CacheLockConfig{}, `
		> a lock
		a writes
		> b hold 5s
		> c hold 5s
		> d hold 5s
		> a release GiveUp
		b goes: GiveUp
		c goes: GiveUp
		d goes: GiveUp
		> table
		0 keys, 0 waiters
	`)
}

func TestLockWaitAfterTheEndReturnsAtOnce(t *testing.T) {
	lockScript(t, CacheLockConfig{}, `
		> a lock
		a writes
		> b lock
		b reads
		> a release Done
		> b wait 5s
		b woke: Done
		> a lock
		a writes
		> b lock
		b reads
		> a release TransientError
		> b wait 5s
		b woke: TransientError
		> table
		0 keys, 0 waiters
	`)
}

func TestLockZeroTimeoutDoesNotWait(t *testing.T) {
	lockScript(t, CacheLockConfig{}, `
		> a lock
		a writes
		> b lock
		b reads
		> b wait 0s
		b woke: WaitTimeout
		> b wait -1s
		b woke: WaitTimeout
		> a release GiveUp
		> b wait 0s
		b woke: GiveUp
	`)
}

func TestLockStaleWriter(t *testing.T) {
	lockScript(t, CacheLockConfig{}, `
		> a lock stale
		a writes
		> b lock
		b reads
		> b look
		b sees Waiting, stale true
		> b wait 5s
		> c lock
		c reads
		> c wait 5s
		> a release TransientError
		b woke: TransientError
		> b lock
		b writes
		> c look
		c sees Waiting, stale false
		> b release Done
		c woke: Done
	`)
}

func TestLockFailedWriterElectsAWaiter(t *testing.T) {
	lockScript(t, CacheLockConfig{}, `
		> a lock
		a writes
		> b hold 5s
		> c hold 5s
		> d hold 5s
		> a release TransientError
		b writes, woken 1 times
		> table
		1 keys, 2 waiters
		> b release Dangling
		c writes, woken 1 times
		> c release Done
		d goes: Done
		> table
		0 keys, 0 waiters
	`)
}

func TestLockReleaseWithAnImpossibleStatusElectsAWaiter(t *testing.T) {
	for _, status := range []string{"Waiting", "WaitTimeout", "AgeTimeout"} {
		lockScript(t, CacheLockConfig{}, strings.ReplaceAll(`
			> a lock
			a writes
			> b lock
			b reads
			> b wait 5s
			> a release STATUS
			b woke: TransientError
			> table
			0 keys, 0 waiters
		`, "STATUS", status))
	}
}

func TestLockSecondReleaseDoesNothing(t *testing.T) {
	lockScript(t, CacheLockConfig{}, `
		> a lock
		a writes
		> b hold 5s
		> c hold 5s
		> a release TransientError
		b writes, woken 1 times
		> a release GiveUp
		> a release Done
		> table
		1 keys, 1 waiters
		> b release Done
		c goes: Done
		> d lock
		d writes
		> b release Done
		> e lock
		e reads
	`)
}

func TestLockReleaseOfNilPermit(t *testing.T) {
	NewCacheLock(CacheLockConfig{}).Release(lockKey, nil, LockDone)
}

func TestLockNewcomerTakesAVacantTurn(t *testing.T) {
	lockScript(t, CacheLockConfig{}, `
		> a lock
		a writes
		> b lock
		b reads
		> b wait 5s
		> c lock
		c reads
		> c wait 5s
		> a release TransientError
		b woke: TransientError
		> d lock
		d writes
		> b lock
		b reads
		> b wait 5s
		> sleep 1s
		> d release TransientError
		c woke: TransientError
		> c lock
		c writes
		> c release Done
		b woke: Done
	`)
}

func TestLockElectedWaiterThatDoesNotLockWakesAll(t *testing.T) {
	lockScript(t, CacheLockConfig{}, `
		> a lock
		a writes
		> b lock
		b reads
		> b wait 5s
		> c hold 5s
		> a release TransientError
		b woke: TransientError
		> b lock
		b writes
		> d lock
		d reads
		> d wait 5s
		> b release TransientError
		c writes, woken 1 times
		> e lock
		e reads
		> e wait 5s
		> c release TransientError
		d woke: TransientError
		> sleep 99ms
		> sleep 1ms
		e woke: TransientError
		> table
		0 keys, 0 waiters
		> b lock
		b writes
	`)
}

func TestLockWaitOnAVacantTurnReturnsAtOnce(t *testing.T) {
	lockScript(t, CacheLockConfig{}, `
		> a lock
		a writes
		> b lock
		b reads
		> c lock
		c reads
		> d lock
		d reads
		> b wait 5s
		> c wait 5s
		> a release TransientError
		b woke: TransientError
		> d wait 5s
		d woke: TransientError
		> d lock
		d writes
		> d release Done
		c woke: Done
	`)
}

func TestLockWaitTimeout(t *testing.T) {
	lockScript(t, CacheLockConfig{}, `
		> a lock
		a writes
		> b hold 5s
		> c hold 6s
		> sleep 5s
		b goes: WaitTimeout
		> table
		1 keys, 1 waiters
		> sleep 1s
		c goes: WaitTimeout
		> table
		1 keys, 0 waiters
		> a release TransientError
		> table
		0 keys, 0 waiters
	`)
}

func TestLockCancelledWaitersLeaveNothing(t *testing.T) {
	lockScript(t, CacheLockConfig{}, `
		> a lock
		a writes
		> b hold 5s
		> c hold 5s
		> d hold 5s
		> c cancel
		c goes: Waiting
		> table
		1 keys, 2 waiters
		> a release TransientError
		b writes, woken 1 times
		> b release TransientError
		d writes, woken 1 times
		> d release TransientError
		> table
		0 keys, 0 waiters
	`)
}

func TestLockAgeTimeout(t *testing.T) {
	lockScript(t, CacheLockConfig{AgeTimeout: 10 * time.Second}, `
		> a lock
		a writes
		> sleep 6s
		> b hold 1h
		> c hold 1h
		> sleep 3s
		> sleep 1s
		b writes, woken 1 times
		> a release GiveUp
		> table
		1 keys, 1 waiters
		> sleep 9s
		> d hold 2s
		> sleep 1s
		c writes, woken 1 times
		> c release Done
		d goes: Done
		> b release Done
		> table
		0 keys, 0 waiters
	`)
}

func TestLockAgeTimeoutWithoutWaiters(t *testing.T) {
	lockScript(t, CacheLockConfig{AgeTimeout: 10 * time.Second}, `
		> a lock
		a writes
		> b lock
		b reads
		> sleep 11s
		> b look
		b sees Waiting, stale false
		> b wait 5s
		b woke: AgeTimeout
		> c lock
		c writes
		> sleep 10s
		> d lock
		d writes
		> c release Done
		> e lock
		e reads
		> d release Done
		> table
		0 keys, 0 waiters
	`)
}

// A new turn may end before the deadline of the election.
func TestLockAgeTimeoutWithinAnElection(t *testing.T) {
	lockScript(t, CacheLockConfig{AgeTimeout: 10 * time.Millisecond}, `
		> a lock
		a writes
		> b hold 1h
		> c hold 1h
		> a release TransientError
		b writes, woken 1 times
		> sleep 10ms
		c writes, woken 1 times
	`)
}

func TestLockDefaultAgeTimeout(t *testing.T) {
	lockScript(t, CacheLockConfig{}, `
		> a lock
		a writes
		> b hold 1h
		> sleep 29s
		> sleep 1s
		b writes, woken 1 times
	`)
}

func TestLockWithoutAgeTimeout(t *testing.T) {
	lockScript(t, CacheLockConfig{AgeTimeout: -1}, `
		> a lock
		a writes
		> b hold 1000h
		> c hold 1000h
		> sleep 999h
		> a release TransientError
		b writes, woken 1 times
		> sleep 59m
		> table
		1 keys, 1 waiters
		> b release Done
		c goes: Done
	`)
}

func TestLockDistinguishesKeys(t *testing.T) {
	l := NewCacheLock(CacheLockConfig{})
	variant := lockKey.WithVariance(HashBinary{1})
	for _, key := range []CacheKey{lockKey, variant, NewCacheKey("ns", "/a", ""), NewCacheKey("", "/", "")} {
		require.NotNil(t, writerOf(l.Lock(key, false)))
	}
	tagged := NewCacheKey("ns", "/", "owner") // the tag is not part of the key's identity
	require.NotNil(t, readerOf(l.Lock(tagged, false)))
	keys, _ := l.held()
	require.Equal(t, 4, keys)
}

func TestStaleWriterIsThePresentOne(t *testing.T) {
	l := NewCacheLock(CacheLockConfig{})
	first := writerOf(l.Lock(lockKey, true))
	read := readerOf(l.Lock(lockKey, false))
	require.True(t, read.StaleWriter())
	l.Release(lockKey, first, LockTransientError)
	require.True(t, read.StaleWriter(), "without a writer, the last one counts")
	require.NotNil(t, writerOf(l.Lock(lockKey, false)))
	require.False(t, readerOf(l.Lock(lockKey, true)).StaleWriter(), "a reader does not change it")
}

// endedContext has ended, but its Done channel is never closed. So Wait sees the election first.
type endedContext struct{ context.Context }

func (endedContext) Err() error { return context.Canceled }

func TestLockElectedWaiterWhoseContextEndedElectsTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewCacheLock(CacheLockConfig{})
		writer := writerOf(l.Lock(lockKey, false))
		read := readerOf(l.Lock(lockKey, false))
		gone, next := make(chan LockStatus, 1), make(chan LockStatus, 1)
		go func() { gone <- read.Wait(endedContext{context.Background()}, time.Minute) }()
		synctest.Wait()
		go func() { next <- read.Wait(context.Background(), time.Minute) }()
		synctest.Wait()

		start := time.Now()
		l.Release(lockKey, writer, LockTransientError)
		require.Equal(t, LockWaiting, <-gone)
		require.Equal(t, LockTransientError, <-next)
		require.Zero(t, time.Since(start), "the next waiter woke only after the grace period")
	})
}

// A waiter counts as soon as it has joined, so it may be elected before it receives from its
// channel.
func TestLockElectionBeforeTheWaiterListens(t *testing.T) {
	l := NewCacheLock(CacheLockConfig{})
	writer := writerOf(l.Lock(lockKey, false))
	read := readerOf(l.Lock(lockKey, false))
	wake, _ := read.join()
	l.Release(lockKey, writer, LockTransientError)
	require.Len(t, wake, 1, "the election was lost")

	require.NotNil(t, writerOf(l.Lock(lockKey, false)))
	require.Empty(t, wake, "the turn is taken, so the election is cancelled")
	read.leave(false)
}

func TestLockTimerStopsWithTheLastWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewCacheLock(CacheLockConfig{})
		writer := writerOf(l.Lock(lockKey, false))
		read := readerOf(l.Lock(lockKey, false))
		require.Equal(t, LockWaitTimeout, read.Wait(t.Context(), time.Second))
		require.False(t, read.timer.Stop(), "the timer runs without waiters")

		go read.Wait(t.Context(), time.Minute)
		synctest.Wait()
		l.Release(lockKey, writer, LockDone)
		require.False(t, read.timer.Stop(), "the timer runs without waiters")
	})
}

func TestLockLostPermitDangles(t *testing.T) {
	l := NewCacheLock(CacheLockConfig{AgeTimeout: -1})
	require.NotNil(t, writerOf(l.Lock(lockKey, false))) // the permit is dropped
	quiet := NewCacheKey("", "nobody waits", "")
	require.NotNil(t, writerOf(l.Lock(quiet, false)))

	read := readerOf(l.Lock(lockKey, false))
	got := make(chan LockStatus, 1)
	go func() { got <- read.Wait(context.Background(), time.Minute) }()
	for waiting := true; waiting; {
		runtime.GC()
		select {
		case status := <-got:
			require.Equal(t, LockDangling, status)
			waiting = false
		default:
		}
	}
	require.Equal(t, LockDangling, read.present())
	require.Eventually(t, func() bool {
		keys, _ := l.held()
		return keys == 0
	}, time.Minute, time.Millisecond)
}

func TestLockReleasedPermitDoesNotDangle(t *testing.T) {
	l := NewCacheLock(CacheLockConfig{AgeTimeout: -1})
	l.Release(lockKey, writerOf(l.Lock(lockKey, false)), LockDone)
	second := writerOf(l.Lock(lockKey, false))
	read := readerOf(l.Lock(lockKey, false))
	for range 3 {
		runtime.GC()
	}
	require.Equal(t, LockWaiting, read.present())
	l.Release(lockKey, second, LockDone)
	require.Equal(t, LockDone, read.present())
}
