package cirque_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

func TestLockDistinguishesClasses(t *testing.T) {
	h := inMemory(t)
	lock := func(class string) *cirque.HttpCache {
		c := h.begin(keyA)
		c.SetLockClass(class)
		c.TryLock()
		return c
	}
	plain, privileged := lock(""), lock("authorization")
	require.True(t, plain.IsWriter())
	require.True(t, privileged.IsWriter())
	require.True(t, lock("").IsLocked())
	require.True(t, lock("authorization").IsLocked())
	plain.ReleaseWriteLock("")
	require.True(t, lock("authorization").IsLocked())
	again := lock("")
	require.True(t, again.IsWriter())
}

func TestLockDistinguishesVariants(t *testing.T) {
	h := inMemory(t)
	h.putVariant(keyA, "en", "hello")
	french, _, _ := h.look(keyA, languages("fr"), nil)
	french.TryLock()
	require.True(t, french.IsWriter())
	german, _, _ := h.look(keyA, languages("de"), nil)
	german.TryLock()
	require.True(t, german.IsWriter())
	other, _, _ := h.look(keyA, languages("fr"), nil)
	other.TryLock()
	require.True(t, other.IsLocked())
	french.ReleaseWriteLock("")
	status, err := other.WaitLock(t.Context())
	require.NoError(t, err)
	require.Equal(t, cirque.LockDone, status)
	require.Equal(t, keyA, other.Key(), "the key is that of the primary slot again")
	require.Nil(t, other.VaryRecord())
}

// The garbage collector finds a permit that was lost without a release.
func TestLostWriterIsReplaced(t *testing.T) {
	h := spooled(t, nil)
	func() {
		var c cirque.HttpCache
		c.Enable(h.CacheOptions)
		c.SetKey(keyA)
		c.TryLock()
		require.True(t, c.IsWriter())
	}()
	waiting := h.wait(keyA)
	for {
		runtime.GC()
		select {
		case status := <-waiting.status:
			require.Equal(t, cirque.LockDangling, status)
			return
		case <-time.After(time.Millisecond):
		}
	}
}

func TestWriterThatTakesTooLongIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := inMemory(t)
		h.Lock = cirque.NewCacheLock(cirque.CacheLockConfig{AgeTimeout: time.Second})
		slow := h.miss(keyA)
		c := h.begin(keyA)
		c.TryLock()
		status, err := c.WaitLock(t.Context())
		require.NoError(t, err)
		require.Equal(t, cirque.LockAgeTimeout, status)
		require.Equal(t, time.Second, lockTime(c))
		c.TryLock()
		require.True(t, c.IsWriter())

		// The slow writer may still finish its fill.
		slow.SetMeta(freshMeta("a"))
		f, err := slow.StartFill(t.Context(), cirque.FillOptions{})
		require.NoError(t, err)
		h.write(f, "body")
		require.NoError(t, f.Finish())
		h.wantStored(keyA, "body")
	})
}

// All waits of one request together take no longer than LockWait, whatever the number of writers.
func TestLockWaitBoundsAllWaitsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := spooled(t, nil)
		h.LockWait = 10 * time.Second
		start := time.Now()
		c := h.begin(keyA)
		for range 3 {
			writer := h.begin(keyA)
			writer.TryLock()
			require.True(t, writer.IsWriter())
			permit, key := writer.TakeWriteLock()
			time.AfterFunc(3*time.Second, func() { h.Lock.Release(key, permit, cirque.LockTransientError) })
			c.TryLock()
			status, err := c.WaitLock(t.Context())
			require.NoError(t, err)
			require.Equal(t, cirque.LockTransientError, status)
		}
		require.Equal(t, 9*time.Second, lockTime(c))
		writer := h.begin(keyA)
		writer.TryLock()
		for range 2 {
			c.TryLock()
			status, err := c.WaitLock(t.Context())
			require.NoError(t, err)
			require.Equal(t, cirque.LockWaitTimeout, status)
			require.Equal(t, 10*time.Second, lockTime(c))
		}
		require.Equal(t, 10*time.Second, time.Since(start))

		c.SetMaxObjectBytes(1)
		patient := h.begin(keyA) // the patience of others is their own
		patient.TryLock()
		status, err := patient.WaitLock(t.Context())
		require.NoError(t, err)
		require.Equal(t, cirque.LockWaitTimeout, status)
		require.Equal(t, 20*time.Second, time.Since(start))
	})
}

func TestDefaultLockWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := inMemory(t)
		h.miss(keyA)
		c := h.begin(keyA)
		c.TryLock()
		status, err := c.WaitLock(t.Context())
		require.NoError(t, err)
		require.Equal(t, cirque.LockWaitTimeout, status)
		require.Equal(t, 5*time.Second, lockTime(c))
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := inMemory(t)
		h.put(keyA, freshMeta("a"), "body")
		writer := h.stale(keyA)
		writer.TryLock()
		c := h.stale(keyA)
		c.TryLock()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		status, err := c.WaitLock(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, cirque.LockWaiting, status)
		require.Equal(t, cirque.PhaseCacheKey, c.Phase())
		require.Nil(t, c.Hit())
		require.Len(t, h.tally.Open(), 1, "that of the writer is open")
	})
}
