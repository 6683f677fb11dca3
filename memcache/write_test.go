package memcache

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// A write without room does not begin, nor does one whose announced length exceeds the limit.
func TestWriteWithoutRoomDoesNotBegin(t *testing.T) {
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

// If there is room for a body but not for its entry, nothing is stored or stays reserved.
func TestFinishWithoutRoomStoresNothing(t *testing.T) {
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

func TestNewReaderAfterFinishFindsTheEntry(t *testing.T) {
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
