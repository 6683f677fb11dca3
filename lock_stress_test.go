package cirque

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// fillOnce uses the lock as a proxy does. It returns the permit, or nil and the status that ended
// the wait.
func fillOnce(ctx context.Context, l CacheKeyLock, key CacheKey, timeout time.Duration) (permit *WritePermit, wakes int, status LockStatus) {
	for {
		write, read := l.Lock(key, false)
		if write != nil {
			return write, wakes, 0
		}
		status = read.Wait(ctx, timeout)
		wakes++
		switch status {
		case LockTransientError, LockUpstreamError, LockDangling, LockAgeTimeout:
		default:
			return nil, wakes, status
		}
	}
}

// While one writer after the other fails, each waiter wakes only once.
func TestLockElectionsWakeEachWaiterOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const waiters = 500
		l := NewCacheLock(CacheLockConfig{})
		first := writerOf(l.Lock(lockKey, false))
		var woken, wrote atomic.Int64
		for range waiters {
			go func() {
				permit, wakes, _ := fillOnce(t.Context(), l, lockKey, time.Hour)
				woken.Add(int64(wakes))
				wrote.Add(1)
				time.Sleep(time.Millisecond)
				l.Release(lockKey, permit, LockTransientError)
			}()
		}
		synctest.Wait()
		start := time.Now()
		l.Release(lockKey, first, LockTransientError)
		time.Sleep(waiters * time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, waiters, wrote.Load())
		require.EqualValues(t, waiters, woken.Load())
		require.Equal(t, waiters*time.Millisecond, time.Since(start), "a turn was left idle")
		keys, _ := l.held()
		require.Zero(t, keys)
	})
}

// Without age timeouts a key never has two writers, every wait ends, and the table of the lock is
// empty at the end.
func TestLockUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewCacheLock(CacheLockConfig{AgeTimeout: -1})
		var writers [3]atomic.Int32
		var ended [8]atomic.Int64
		var wg sync.WaitGroup
		for i := range 300 {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			wg.Go(func() {
				for range 20 {
					n := rng.IntN(len(writers))
					key := NewCacheKey("", fmt.Sprint(n), "")
					ctx, cancel := context.WithCancel(t.Context())
					if rng.IntN(3) == 0 {
						time.AfterFunc(time.Duration(rng.IntN(50))*time.Millisecond, cancel)
					}
					permit, _, status := fillOnce(ctx, l, key, time.Duration(rng.IntN(100))*time.Millisecond)
					cancel()
					if permit == nil {
						ended[status].Add(1)
						continue
					}
					if got := writers[n].Add(1); got != 1 {
						t.Errorf("%d writers at once", got)
					}
					time.Sleep(time.Duration(rng.IntN(4)) * time.Millisecond)
					writers[n].Add(-1)
					l.Release(key, permit, []LockStatus{LockDone, LockGiveUp, LockTransientError, LockUpstreamError}[rng.IntN(4)])
				}
			})
		}
		wg.Wait()
		for _, status := range []LockStatus{LockWaiting, LockDone, LockGiveUp, LockWaitTimeout} {
			require.NotZero(t, ended[status].Load(), "no wait ended with %s", status)
		}
		keys, waiters := l.held()
		require.Zero(t, keys)
		require.Zero(t, waiters)
	})
}

// TestLockUnderRace is TestLockUnderLoad with real threads, a real clock and turns that time out.
func TestLockUnderRace(t *testing.T) {
	l := NewCacheLock(CacheLockConfig{AgeTimeout: 100 * time.Microsecond})
	var wg sync.WaitGroup
	for i := range 16 {
		rng := rand.New(rand.NewPCG(2, uint64(i)))
		wg.Go(func() {
			for range 500 {
				key := NewCacheKey("", fmt.Sprint(rng.IntN(2)), "")
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.IntN(300))*time.Microsecond)
				permit, _, _ := fillOnce(ctx, l, key, time.Duration(rng.IntN(300))*time.Microsecond)
				for range rng.IntN(3) {
					runtime.Gosched()
				}
				l.Release(key, permit, lockStatuses[rng.IntN(len(lockStatuses))])
				cancel()
			}
		})
	}
	wg.Wait()
	keys, waiters := l.held()
	require.Zero(t, keys)
	require.Zero(t, waiters)
}

func BenchmarkLockUncontended(b *testing.B) {
	l := NewCacheLock(CacheLockConfig{})
	b.ReportAllocs()
	for b.Loop() {
		l.Release(lockKey, writerOf(l.Lock(lockKey, false)), LockDone)
	}
}

func BenchmarkLockParallel(b *testing.B) {
	l := NewCacheLock(CacheLockConfig{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		key := NewCacheKey("", fmt.Sprint(rand.Uint64()), "")
		for pb.Next() {
			l.Release(key, writerOf(l.Lock(key, false)), LockDone)
		}
	})
}

const crowd = 10_000

// BenchmarkLockCrowd measures how a crowd waits for one writer and is woken. B/waiter is the heap
// per waiter, without the goroutines.
func BenchmarkLockCrowd(b *testing.B) {
	l := NewCacheLock(CacheLockConfig{})
	var bytes float64
	for b.Loop() {
		b.StopTimer()
		ctx, cancel := context.WithCancel(context.Background())
		writer := writerOf(l.Lock(lockKey, false))
		read := readerOf(l.Lock(lockKey, false))
		start := make(chan struct{})
		var wg sync.WaitGroup
		for range crowd {
			wg.Go(func() {
				<-start
				read.Wait(ctx, time.Minute)
			})
		}
		before := heapInUse()
		b.StartTimer()
		close(start)
		for n := 0; n < crowd; _, n = l.held() {
			runtime.Gosched()
		}
		b.StopTimer()
		bytes += float64(heapInUse()-before) / crowd
		b.StartTimer()
		l.Release(lockKey, writer, LockDone)
		wg.Wait()
		cancel()
	}
	b.ReportMetric(bytes/float64(b.N), "B/waiter")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/crowd, "ns/waiter")
}

// BenchmarkLockFailingWriters measures a crowd in which every writer fails at once.
func BenchmarkLockFailingWriters(b *testing.B) {
	l := NewCacheLock(CacheLockConfig{})
	for b.Loop() {
		b.StopTimer()
		writer := writerOf(l.Lock(lockKey, false))
		var wg sync.WaitGroup
		for range crowd {
			wg.Go(func() {
				permit, _, _ := fillOnce(context.Background(), l, lockKey, time.Minute)
				l.Release(lockKey, permit, LockTransientError)
			})
		}
		for n := 0; n < crowd; _, n = l.held() {
			runtime.Gosched()
		}
		b.StartTimer()
		l.Release(lockKey, writer, LockTransientError)
		wg.Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/crowd, "ns/waiter")
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
