package cirque

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The waiters for the slots of a resource get them in turn, unless their context ends.
func TestSlotLockGoesToTheWaitersInOrder(t *testing.T) {
	var f inFlight
	key := NewCacheKey("", "a", "").PrimaryHash()
	require.NoError(t, f.lock(t.Context(), key))
	require.NoError(t, f.lock(t.Context(), NewCacheKey("", "b", "").PrimaryHash()))
	got := make(chan error)
	for range 3 {
		go func() {
			err := f.lock(t.Context(), key)
			got <- err
			f.unlock(key)
		}()
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { got <- f.lock(ctx, key) }()
	time.Sleep(10 * time.Millisecond)
	cancel()
	require.Error(t, <-got)
	f.unlock(key)
	for range 3 {
		require.NoError(t, <-got)
	}
	f.unlock(NewCacheKey("", "b", "").PrimaryHash())
	require.Eventually(t, func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.mu.queues) == 0
	}, time.Second, time.Millisecond)
}
