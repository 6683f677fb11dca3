package cirque

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// held returns how many keys are in the lock's table, and how many waiters they have.
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

// lockScript replays a transcript. Lines that begin with > are commands; the lines after a command
// are the events until every goroutine is blocked again.
//
//	NAME lock [stale]    call Lock and report the result
//	NAME wait DURATION   wait in the background for NAME's last lock; the end is an event
//	NAME hold DURATION   lock and wait as a proxy does, until NAME writes or must not lock again
//	NAME look            report the status and the stale mark of NAME's read lock
//	NAME release STATUS  release NAME's last permit
//	NAME cancel          end the context of NAME's wait
//	sleep DURATION
//	table                report what the table holds
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
	write  *WritePermit
	read   *ReadLock
	cancel context.CancelFunc
}

func (s *scriptedLock) event(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.events = append(s.mu.events, fmt.Sprintf(format, args...))
}

// happened returns the events since the last call. Simultaneous events have no order, so they are
// sorted.
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
		u.write, u.read = s.lock.Lock(lockKey, len(words) > 2)
		if u.write != nil {
			s.event("%s writes", name)
		} else {
			s.event("%s reads", name)
		}
	case "look":
		s.event("%s sees %s, stale %t", name, u.read.present(), u.read.StaleWriter())
	case "release":
		i := slices.IndexFunc(lockStatuses, func(l LockStatus) bool { return l.String() == words[2] })
		s.lock.Release(lockKey, u.write, lockStatuses[i])
	case "cancel":
		u.cancel()
	case "wait":
		ctx := s.context(u)
		go func() {
			s.event("%s woke: %s", name, u.read.Wait(ctx, s.duration(words[2])))
		}()
	case "hold":
		ctx := s.context(u)
		go func() {
			wakes := 0
			for {
				u.write, u.read = s.lock.Lock(lockKey, false)
				if u.write != nil {
					s.event("%s writes, woken %d times", name, wakes)
					return
				}
				status := u.read.Wait(ctx, s.duration(words[2]))
				wakes++
				switch status {
				case LockTransientError, LockUpstreamError, LockDangling, LockAgeTimeout:
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
	LockWaiting, LockDone, LockTransientError, LockGiveUp, LockDangling, LockWaitTimeout, LockAgeTimeout, LockUpstreamError,
}

func writerOf(write *WritePermit, _ *ReadLock) *WritePermit { return write }

func readerOf(_ *WritePermit, read *ReadLock) *ReadLock { return read }

// present returns LockWaiting while the key has a writer, else the status with which the last one
// ended.
func (r *ReadLock) present() LockStatus {
	r.shard.mu.Lock()
	defer r.shard.mu.Unlock()
	return r.status
}
