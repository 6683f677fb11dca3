package memcache

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// A write that there is no room for does not begin. A limit that the body is announced to exceed
// leaves no room for it.
func TestWriteWithoutAnyBudget(t *testing.T) {
	for limit, sizeHint := range map[int64]int64{100: -1, 101: 0, 1 << 20: 1 << 20} {
		budget := cirque.NewBudget(limit)
		c := New(Config{Budget: budget})
		_, err := c.MissHandler(t.Context(), keyOf(1), newMeta(), cirque.MissOptions{SizeHint: sizeHint})
		require.ErrorIs(t, err, cirque.ErrUnlinked)
		require.Zero(t, budget.Used())
		require.Zero(t, c.Len())
	}
	w, err := New(Config{}).MissHandler(t.Context(), keyOf(1), newMeta(), cirque.MissOptions{SizeHint: 1 << 40})
	require.NoError(t, err, "without a Budget there is no limit")
	w.Abort()
}

// A body that fits, of an entry that does not, leaves nothing behind.
func TestBudgetFullAtFinish(t *testing.T) {
	for _, size := range []int{100, 100_000} {
		budget := cirque.NewBudget(1 << 20)
		c := New(Config{Budget: budget})
		w, err := c.MissHandler(t.Context(), keyOf(1), newMeta(), cirque.MissOptions{SizeHint: int64(size)})
		require.NoError(t, err)
		_, err = w.Write(make([]byte, size))
		require.NoError(t, err)
		rest := budget.Limit() - budget.Used()
		for _, left := range []int64{0, 150} { // 150: enough for a body's bookkeeping, not for a header
			require.True(t, budget.Reserve(rest-left))
			if left == 0 {
				require.ErrorIs(t, c.UpdateMeta(t.Context(), keyOf(1), newMeta(), w.Tag()), cirque.ErrUnlinked)
				budget.Release(rest - left)
				continue
			}
			_, err = w.Finish()
			require.ErrorIs(t, err, cirque.ErrUnlinked)
			budget.Release(rest - left)
		}
		require.Zero(t, budget.Used())
		_, _, err = c.Lookup(t.Context(), keyOf(1))
		require.ErrorIs(t, err, cirque.ErrNotFound)
	}
}

func TestUpdateMetaWithoutRoom(t *testing.T) {
	budget := cirque.NewBudget(1 << 20)
	c, key, old := New(Config{Budget: budget}), keyOf(1), newMeta()
	weight := put(t, c, key, old, []byte("body"))
	_, h, err := c.Lookup(t.Context(), key)
	require.NoError(t, err)
	require.NoError(t, h.Close())
	updated := old.Clone()
	updated.SetExtension("more", "text")
	rest := budget.Limit() - budget.Used()
	require.True(t, budget.Reserve(rest))
	require.ErrorIs(t, c.UpdateMeta(t.Context(), key, updated, h.Tag()), cirque.ErrUnlinked)
	budget.Release(rest)
	require.Equal(t, weight, budget.Used())
	got, h, err := c.Lookup(t.Context(), key)
	require.NoError(t, err)
	defer h.Close()
	require.Equal(t, old, got)
}

func TestNewReaderAfterFinish(t *testing.T) {
	c := New(Config{})
	handler, err := c.MissHandler(t.Context(), keyOf(1), newMeta(), cirque.MissOptions{})
	require.NoError(t, err)
	w := handler.(cirque.StreamingMissHandler)
	_, err = w.Write([]byte("body"))
	require.NoError(t, err)
	_, err = w.Finish()
	require.NoError(t, err)
	_, err = w.Finish()
	require.Error(t, err, "a write ends once")
	h, err := w.NewReader(t.Context())
	require.NoError(t, err)
	body, err := io.ReadAll(h)
	require.NoError(t, err)
	require.Equal(t, "body", string(body))
	require.NoError(t, h.Close())
	require.NoError(t, c.Purge(t.Context(), keyOf(1).Compact(), cirque.PurgeEviction))
	_, err = w.NewReader(t.Context())
	require.ErrorIs(t, err, cirque.ErrNotFound)
}
