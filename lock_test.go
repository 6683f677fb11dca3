package cirque

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

var lockKey = NewCacheKey("ns", "/", "")

// held returns how many keys the lock's table has, and how many waiters they count.
func (l *CacheLock) held() (keys, waiters int) {
	for i := range l.shards {
		mu := &l.shards[i].mu
		mu.Lock()
		for _, r := range mu.keys {
			keys++
			waiters += r.waiters
		}
		mu.Unlock()
	}
	return keys, waiters
}

// lockScript replays a transcript: lines that begin with > are commands, the lines after each
// are what happened until everything slept again.
//
//	NAME lock [stale]    call Lock and say what came of it
//	NAME wait DURATION   wait on what was last locked, in the background; the end of it is an event
//	NAME hold DURATION   as a proxy does: lock and wait until a writer or told to go
//	NAME look            say what the read lock shows
//	NAME release STATUS  release the permit that was last locked
//	NAME cancel          end the context of NAME's wait
//	sleep DURATION
//	table                say what the table holds
func lockScript(t *testing.T, cfg CacheLockConfig, transcript string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &scriptedLock{t: t, lock: NewCacheLock(cfg), who: map[string]*scriptedUser{}}
		var got []string
		want := strings.Split(strings.TrimSpace(transcript), "\n")
		for i, line := range want {
			want[i] = strings.TrimSpace(line)
			command, ok := strings.CutPrefix(want[i], "> ")
			if !ok {
				continue
			}
			got = append(got, want[i])
			s.do(strings.Fields(command))
			synctest.Wait()
			got = append(got, s.happened()...)
		}
		require.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
	})
}

type scriptedLock struct {
	t    *testing.T
	lock *CacheLock
	who  map[string]*scriptedUser
	mu   struct {
		sync.Mutex
		events []string
	}
}

type scriptedUser struct {
	Locked
	cancel context.CancelFunc
}

func (s *scriptedLock) event(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.events = append(s.mu.events, fmt.Sprintf(format, args...))
}

// happened returns the events since it was last called. Those of one moment have no order, so they
// are sorted.
func (s *scriptedLock) happened() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	events := s.mu.events
	s.mu.events = nil
	slices.Sort(events)
	return events
}

func (s *scriptedLock) do(words []string) {
	switch words[0] {
	case "sleep":
		time.Sleep(s.duration(words[1]))
		return
	case "table":
		keys, waiters := s.lock.held()
		s.event("%d keys, %d waiters", keys, waiters)
		return
	}
	name, u := words[0], s.who[words[0]]
	if u == nil {
		u = &scriptedUser{}
		s.who[name] = u
	}
	switch words[1] {
	case "lock":
		u.Locked = s.lock.Lock(lockKey, len(words) > 2)
		if u.Write != nil {
			s.event("%s writes", name)
		} else {
			s.event("%s reads", name)
		}
	case "look":
		s.event("%s sees %s, locked %t, stale %t, age %s", name, u.Read.Status(), u.Read.Locked(), u.Read.StaleWriter(), u.Read.Age())
	case "release":
		i := slices.IndexFunc(lockStatuses, func(l LockStatus) bool { return l.String() == words[2] })
		s.lock.Release(lockKey, u.Write, lockStatuses[i])
	case "cancel":
		u.cancel()
	case "wait":
		ctx := s.context(u)
		go func() {
			s.event("%s woke: %s", name, u.Read.Wait(ctx, s.duration(words[2])))
		}()
	case "hold":
		ctx := s.context(u)
		go func() {
			wakes := 0
			for {
				u.Locked = s.lock.Lock(lockKey, false)
				if u.Write != nil {
					s.event("%s writes, woken %d times", name, wakes)
					return
				}
				status := u.Read.Wait(ctx, s.duration(words[2]))
				wakes++
				switch status {
				case LockTransientError, LockDangling, LockAgeTimeout:
				default:
					s.event("%s goes: %s", name, status)
					return
				}
			}
		}()
	default:
		s.t.Fatalf("no such command: %q", words)
	}
}

func (s *scriptedLock) context(u *scriptedUser) context.Context {
	var ctx context.Context
	ctx, u.cancel = context.WithCancel(s.t.Context())
	return ctx
}

func (s *scriptedLock) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	require.NoError(s.t, err)
	return d
}

var lockStatuses = []LockStatus{
	LockWaiting, LockDone, LockTransientError, LockGiveUp, LockDangling, LockWaitTimeout, LockAgeTimeout,
}

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
		b sees Waiting, locked true, stale false, age 2s
		> a release Done
		b woke: Done
		c woke: Done
		> table
		0 keys, 0 waiters
		> b look
		b sees Done, locked false, stale false, age 2s
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

func TestLockZeroTimeoutLooks(t *testing.T) {
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
		b sees Waiting, locked true, stale true, age 0s
		> b wait 5s
		> c lock
		c reads
		> c wait 5s
		> a release TransientError
		b woke: TransientError
		> b lock
		b writes
		> c look
		c sees Waiting, locked true, stale false, age 0s
		> b release Done
		c woke: Done
	`)
}

func TestLockFailedWriterHandsOver(t *testing.T) {
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

func TestLockReleaseWithAnImpossibleStatusHandsOver(t *testing.T) {
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

func TestLockReleaseOfNothing(t *testing.T) {
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

func TestLockElectedWaiterThatStaysAwayWakesAll(t *testing.T) {
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
		b sees Waiting, locked true, stale false, age 11s
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

func TestLockKeysAreApart(t *testing.T) {
	l := NewCacheLock(CacheLockConfig{})
	variant := lockKey.WithVariance(HashBinary{1})
	for _, key := range []CacheKey{lockKey, variant, NewCacheKey("ns", "/a", ""), NewCacheKey("", "/", "")} {
		require.NotNil(t, l.Lock(key, false).Write)
	}
	tagged := NewCacheKey("ns", "/", "owner") // the tag takes no part in the key's identity
	require.NotNil(t, l.Lock(tagged, false).Read)
	keys, _ := l.held()
	require.Equal(t, 4, keys)
}

func TestWritePermitTellsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewCacheLock(CacheLockConfig{})
		fresh := l.Lock(lockKey, false).Write
		time.Sleep(time.Second)
		stale := l.Lock(lockKey.WithVariance(HashBinary{1}), true).Write
		time.Sleep(time.Second)
		require.False(t, fresh.StaleWriter())
		require.True(t, stale.StaleWriter())
		require.Equal(t, 2*time.Second, fresh.Age())
		require.Equal(t, time.Second, stale.Age())
	})
}

// endedContext has ended, but the wait is not told: the election gets there first.
type endedContext struct{ context.Context }

func (endedContext) Err() error { return context.Canceled }

func TestLockElectionOfOneWhoIsGonePassesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewCacheLock(CacheLockConfig{})
		writer := l.Lock(lockKey, false).Write
		read := l.Lock(lockKey, false).Read
		gone, next := make(chan LockStatus, 1), make(chan LockStatus, 1)
		go func() { gone <- read.Wait(endedContext{context.Background()}, time.Minute) }()
		synctest.Wait()
		go func() { next <- read.Wait(context.Background(), time.Minute) }()
		synctest.Wait()

		start := time.Now()
		l.Release(lockKey, writer, LockTransientError)
		require.Equal(t, LockWaiting, <-gone)
		require.Equal(t, LockTransientError, <-next)
		require.Zero(t, time.Since(start), "the election waited for its net")
	})
}

func TestLockLostPermitDangles(t *testing.T) {
	l := NewCacheLock(CacheLockConfig{AgeTimeout: -1})
	require.NotNil(t, l.Lock(lockKey, false).Write) // and nobody keeps it
	quiet := NewCacheKey("", "nobody waits", "")
	require.NotNil(t, l.Lock(quiet, false).Write)

	read := l.Lock(lockKey, false).Read
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
	require.Equal(t, LockDangling, read.Status())
	require.Eventually(t, func() bool {
		keys, _ := l.held()
		return keys == 0
	}, time.Minute, time.Millisecond)
}

func TestLockReleasedPermitDoesNotDangle(t *testing.T) {
	l := NewCacheLock(CacheLockConfig{AgeTimeout: -1})
	l.Release(lockKey, l.Lock(lockKey, false).Write, LockDone)
	second := l.Lock(lockKey, false).Write
	read := l.Lock(lockKey, false).Read
	for range 3 {
		runtime.GC()
	}
	require.True(t, read.Locked())
	l.Release(lockKey, second, LockDone)
	require.Equal(t, LockDone, read.Status())
}
