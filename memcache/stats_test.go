package memcache

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/stats"
)

func statsOf(c *MemCache) stats.Storage { return c.StorageStats()[0] }

func sum(b stats.StorageBytes) int64 { return b.Entries + b.Index + b.InFlight + b.Open }

func TestStatsSayWhatAnEntryWeighs(t *testing.T) {
	for _, size := range []int{0, inlineMax, inlineMax + 1, 1 << 20} {
		budget := cirque.NewBudget(10 << 20)
		c := New(Config{Budget: budget})
		require.True(t, budget.Reserve(nil, 1000), "somebody else uses the Budget too")
		weight := put(t, c, keyOf(1), newMeta(), make([]byte, size))
		placed := stats.StorageBytes{Entries: weight - entryOverhead, Index: entryOverhead}
		s := statsOf(c)
		require.Equal(t, "memory", s.Name)
		require.EqualValues(t, 1, s.Entries)
		require.EqualValues(t, 10<<20, s.Limit)
		require.Equal(t, placed, s.Bytes)
		require.Equal(t, budget.Used()-1000, sum(s.Bytes))

		_, h, err := c.Lookup(t.Context(), keyOf(1))
		require.NoError(t, err)
		require.Equal(t, placed, statsOf(c).Bytes, "an entry in place is not open")
		longer := newMeta().Clone()
		longer.SetExtension("x", strings.Repeat("x", 1000))
		require.NoError(t, c.UpdateMeta(t.Context(), keyOf(1), longer, h.Tag()))
		placed.Entries += int64(longer.MetaSize() - newMeta().MetaSize())
		require.Equal(t, placed, statsOf(c).Bytes)
		require.NoError(t, h.Close())

		require.NoError(t, c.Purge(t.Context(), keyOf(1).Compact(), cirque.PurgeInvalidation))
		require.Zero(t, statsOf(c).Entries)
		require.Zero(t, statsOf(c).Bytes)
	}
}

func TestStatsOfWritesAndOfWhatIsStillRead(t *testing.T) {
	c := New(Config{}) // without a limit the bytes are counted all the same
	w, err := c.MissHandler(t.Context(), keyOf(1), newMeta(), cirque.MissOptions{SizeHint: -1})
	require.NoError(t, err)
	_, err = w.Write(make([]byte, 100_000))
	require.NoError(t, err)
	s := statsOf(c)
	require.Zero(t, s.Limit)
	require.GreaterOrEqual(t, s.Bytes.InFlight, int64(100_000+writeOverhead))
	require.Equal(t, s.Bytes.InFlight, sum(s.Bytes))

	_, reader, err := c.Lookup(t.Context(), keyOf(1))
	require.NoError(t, err)
	done, err := w.Finish()
	require.NoError(t, err)
	s = statsOf(c)
	require.Equal(t, done.Size, s.Bytes.Entries+s.Bytes.Index)
	require.Less(t, s.Bytes.InFlight, int64(2*writeOverhead), "a reader has the write, but the body is the entry's")
	require.Positive(t, s.Bytes.InFlight)
	require.Zero(t, s.Bytes.Open)

	require.NoError(t, c.Purge(t.Context(), keyOf(1).Compact(), cirque.PurgeEviction))
	s = statsOf(c)
	require.Zero(t, s.Bytes.Entries)
	require.Zero(t, s.Bytes.Index)
	require.GreaterOrEqual(t, s.Bytes.Open, int64(100_000))
	require.NoError(t, reader.Close())
	require.Zero(t, statsOf(c).Bytes)
}

func TestStatsCountRefusals(t *testing.T) {
	budget := cirque.NewBudget(1 << 20)
	c := New(Config{Budget: budget})
	put(t, c, keyOf(1), newMeta(), make([]byte, 100_000))
	require.Zero(t, statsOf(c).Refused)

	_, err := c.MissHandler(t.Context(), keyOf(2), newMeta(), cirque.MissOptions{SizeHint: 1 << 20})
	require.ErrorIs(t, err, cirque.ErrUnlinked)
	require.EqualValues(t, 1, statsOf(c).Refused, "the announced body is larger than the limit")

	_, h, err := c.Lookup(t.Context(), keyOf(1))
	require.NoError(t, err)
	defer h.Close()
	require.True(t, budget.Reserve(nil, budget.Limit()-budget.Used()))
	err = c.UpdateMeta(t.Context(), keyOf(1), newMeta(), h.Tag())
	require.ErrorIs(t, err, cirque.ErrUnlinked)
	require.EqualValues(t, 2, statsOf(c).Refused)
	_, err = c.MissHandler(t.Context(), keyOf(2), newMeta(), cirque.MissOptions{SizeHint: -1})
	require.ErrorIs(t, err, cirque.ErrUnlinked)
	require.EqualValues(t, 3, statsOf(c).Refused)
}

func TestStatsCountOperations(t *testing.T) {
	c := New(Config{})
	for i := range 5 {
		put(t, c, keyOf(i), newMeta(), nil)
	}
	w, err := c.MissHandler(t.Context(), keyOf(9), newMeta(), cirque.MissOptions{})
	require.NoError(t, err)
	w.Abort()
	require.NoError(t, c.Purge(t.Context(), keyOf(0).Compact(), cirque.PurgeInvalidation))
	require.ErrorIs(t, c.Purge(t.Context(), keyOf(0).Compact(), cirque.PurgeInvalidation), cirque.ErrNotFound)
	require.NoError(t, c.UpdateMeta(t.Context(), keyOf(1), newMeta(), 2))
	const lookups = 64 * 1000
	for range lookups {
		_, h, err := c.Lookup(t.Context(), keyOf(1))
		require.NoError(t, err)
		require.NoError(t, h.Close())
	}
	o := statsOf(c).Operations
	require.EqualValues(t, 5, o["write"].Time.Count, "an aborted write has nothing to finish")
	require.EqualValues(t, 2, o["purge"].Time.Count)
	require.EqualValues(t, 1, o["update"].Time.Count)
	require.InDelta(t, lookups/64, o["lookup"].Time.Count, 200)
	for name := range o {
		require.Zero(t, o[name].Errors)
		require.Positive(t, o[name].Time.Sum, name)
	}
}

// TestStatsStayRightWhileEntriesAreEvicted stores more than fits, from several goroutines.
func TestStatsStayRightWhileEntriesAreEvicted(t *testing.T) {
	budget := cirque.NewBudget(1 << 20)
	c := New(Config{Budget: budget})
	manager, err := eviction.New("", 1<<20)
	require.NoError(t, err)
	budget.EvictWith(manager, c)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 300 {
				key := cirque.NewCacheKey("", fmt.Sprint(i%50), fmt.Sprint(g))
				w, err := c.MissHandler(t.Context(), key, newMeta(), cirque.MissOptions{SizeHint: -1})
				if err != nil {
					continue
				}
				_, _ = w.Write(bytes.Repeat([]byte("x"), 1000*(i%40)))
				if done, err := w.Finish(); err == nil {
					for _, victim := range manager.Admit(key.Compact(), done.Size, epoch, 0) {
						_ = c.Purge(t.Context(), victim, cirque.PurgeEviction)
					}
				}
				s := statsOf(c)
				if b := s.Bytes; min(b.Entries, b.Index, b.InFlight, b.Open) < 0 || s.Entries < 0 {
					t.Errorf("a part is negative: %+v", s)
				}
			}
		})
	}
	wg.Wait()
	s := statsOf(c)
	require.Positive(t, manager.EvictedItems())
	require.EqualValues(t, c.Len(), s.Entries)
	require.Equal(t, stats.StorageBytes{Entries: budget.Used() - s.Entries*entryOverhead, Index: s.Entries * entryOverhead}, s.Bytes)
}
