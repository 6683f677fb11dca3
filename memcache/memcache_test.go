package memcache

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/storagetest"
)

func TestStorage(t *testing.T) {
	storagetest.Run(t, func(testing.TB) cirque.Storage { return New(Config{}) }, storagetest.Features{
		Streaming: true,
		Seeking:   true,
		Budget: func(_ testing.TB, budget *cirque.Budget) cirque.Storage {
			return New(Config{Budget: budget})
		},
	})
}

func TestLookupFindsWhatWasStored(t *testing.T) {
	for _, size := range []int{0, 1, inlineMax, inlineMax + 1, 1 << 20} {
		budget := cirque.NewBudget(10 << 20)
		c := New(Config{Budget: budget})
		body := bytes.Repeat([]byte("x"), size)
		key, meta := keyOf(1), newMeta()
		weight := put(t, c, key, meta, body)
		require.Equal(t, weight, budget.Used())
		require.GreaterOrEqual(t, weight, int64(size+meta.MetaSize()+len(key.Primary())))
		require.Equal(t, 1, c.Len())

		got, h, err := c.Lookup(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, meta, got)
		require.Equal(t, weight, h.Weight())
		require.True(t, h.CountsAccess())
		read, err := io.ReadAll(h)
		require.NoError(t, err)
		require.Equal(t, body, append([]byte{}, read...))

		require.NoError(t, c.Purge(t.Context(), key.Compact(), cirque.PurgeEviction))
		if size > inlineMax {
			require.Greater(t, budget.Used(), int64(size), "a hit still reads the body")
		}
		require.NoError(t, h.Close())
		require.Zero(t, budget.Used())
	}
}

func TestPurgeReportsAVoidedWriteUnderWay(t *testing.T) {
	ctx, c, key := t.Context(), New(Config{}), keyOf(1)
	begin := func() cirque.StreamingMissHandler {
		w, err := c.MissHandler(ctx, key, newMeta(), cirque.MissOptions{SizeHint: -1})
		require.NoError(t, err)
		t.Cleanup(w.Abort)
		return w.(cirque.StreamingMissHandler)
	}
	begin()
	require.ErrorIs(t, c.Purge(ctx, key.Compact(), cirque.PurgeEviction), cirque.ErrNotFound, "an eviction voids no write")
	require.NoError(t, c.Purge(ctx, key.Compact(), cirque.PurgeInvalidation), "Lookup would have found it")
	require.ErrorIs(t, c.Purge(ctx, key.Compact(), cirque.PurgeInvalidation), cirque.ErrNotFound)
	begin().Unlink()
	require.ErrorIs(t, c.Purge(ctx, key.Compact(), cirque.PurgeInvalidation), cirque.ErrNotFound, "Lookup would not have found it")
}

// A meta that UpdateMeta accepted while the write finishes is not lost, and the budget stays right.
func TestUpdateMetaDuringFinishIsNotLost(t *testing.T) {
	budget := cirque.NewBudget(1 << 20)
	c, key := New(Config{Budget: budget}), keyOf(1)
	for i := range 200 {
		body := make([]byte, (i%2)*2*inlineMax)
		w, err := c.MissHandler(t.Context(), key, newMeta(), cirque.MissOptions{SizeHint: -1})
		require.NoError(t, err)
		_, err = w.Write(body)
		require.NoError(t, err)
		updated := newMeta()
		updated.SetExtension("updated", strings.Repeat("x", i))
		done := make(chan error)
		go func() { done <- c.UpdateMeta(t.Context(), key, updated, w.Tag()) }()
		_, err = w.Finish()
		require.NoError(t, err)
		require.NoError(t, <-done)
		got, h, err := c.Lookup(t.Context(), key)
		require.NoError(t, err)
		require.Equal(t, updated, got)
		require.Equal(t, h.Weight(), budget.Used())
		require.NoError(t, h.Close())
	}
	require.NoError(t, c.Purge(t.Context(), key.Compact(), cirque.PurgeInvalidation))
	require.Zero(t, budget.Used())
}

func TestUpdateMetaWithoutRoomChangesNothing(t *testing.T) {
	budget := cirque.NewBudget(1 << 20)
	c, key, old := New(Config{Budget: budget}), keyOf(1), newMeta()
	weight := put(t, c, key, old, []byte("body"))
	_, h, err := c.Lookup(t.Context(), key)
	require.NoError(t, err)
	require.NoError(t, h.Close())
	updated := old.Clone()
	updated.SetExtension("more", "text")
	rest := budget.Limit() - budget.Used()
	require.True(t, budget.Reserve(nil, rest))
	require.ErrorIs(t, c.UpdateMeta(t.Context(), key, updated, h.Tag()), cirque.ErrUnlinked)
	budget.Release(rest)
	require.Equal(t, weight, budget.Used())
	got, h, err := c.Lookup(t.Context(), key)
	require.NoError(t, err)
	defer h.Close()
	require.Equal(t, old, got)
}

// A lower limit gives memory back, not only room for others.
func TestMemoryFollowsTheLimit(t *testing.T) {
	const high, low = 64 << 20, 8 << 20
	budget := cirque.NewBudget(high)
	c := New(Config{Budget: budget})
	if c.memory.OnHeap() || checksUse {
		t.Skip("the collector frees the memory, or it is kept for a while")
	}
	manager, err := eviction.New("lru", high)
	require.NoError(t, err)
	budget.EvictWith(manager, c)
	fill := func() {
		for i := range 20_000 {
			key := keyOf(i)
			weight := put(t, c, key, newMeta(), make([]byte, 1+i*7919%20_000))
			for _, victim := range manager.Admit(key.Compact(), weight, time.Time{}, 0) {
				require.NoError(t, c.Purge(t.Context(), victim, cirque.PurgeEviction))
			}
		}
	}
	within := func(limit int64) {
		t.Helper()
		memory := statsOf(c).OffHeap
		require.LessOrEqual(t, memory.Used+memory.Free, limit+limit/8+shardCount*maxPage/2+4<<20)
		require.Greater(t, memory.Used, limit/2)
	}
	fill()
	within(high)
	budget.SetLimit(low)
	within(low)
	budget.SetLimit(high)
	fill()
	within(high)
}
