package memcache

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// requireTidy checks the invariants of a shard's pages and records.
func requireTidy(t *testing.T, s *shard, budget *cirque.Budget) {
	t.Helper()
	s.mu.RLock()
	defer s.mu.RUnlock()
	live := make([]int, len(s.pages.all))
	weight := int64(0)
	entries := 0
	for slot, mark := range s.index.marks {
		if mark == 0 {
			continue
		}
		entries++
		i := s.index.numbers[slot]
		r := s.records.at(i)
		found, number := s.index.find(&r.hash, &s.records)
		require.Same(t, r, found)
		require.Equal(t, i, number)
		live[r.page] += int(r.blockSize()) + blockHeader
		weight += r.weight()
		if r.inline == outside {
			weight += s.bodies[i].charged
		}
		if r.inline == outside {
			require.EqualValues(t, inTable, s.bodies[i].refs.Load())
		}
	}
	require.Equal(t, weight, budget.Used())
	total := 0
	for at, p := range s.pages.all {
		require.Equal(t, live[at], p.live)
		total += p.live
		require.True(t, uint32(at) == s.pages.current || !p.sparse(), "page %d: %d of %d bytes in use", at, p.live, len(p.buf))
	}
	require.Equal(t, total, s.pages.live)
	require.Equal(t, entries, s.index.count)
	require.Equal(t, len(s.records.chunks)*recordsPerChunk, entries+len(s.records.free))
}

// Entries are stored, changed and purged, and their blocks move. Each lookup finds what was stored
// last. A hit reads what was stored when it was opened.
func TestEntriesStayRightWhileOthersComeAndGo(t *testing.T) {
	type content struct {
		meta *cirque.CacheMeta
		body []byte
	}
	type open struct {
		cirque.HitHandler
		content
		got *cirque.CacheMeta
	}
	budget := cirque.NewBudget(1 << 30)
	c, keys := New(Config{Budget: budget}), oneShard(200)
	s := c.shard(keys[0].PrimaryHash())
	random := rand.New(rand.NewPCG(1, 2))
	stored := map[int]content{}
	hits := []open{}
	closeHits := func() {
		for _, h := range hits {
			body, err := io.ReadAll(h)
			require.NoError(t, err)
			require.True(t, bytes.Equal(h.body, body))
			require.Equal(t, h.meta, h.got)
			require.NoError(t, h.Close())
		}
		hits = nil
	}
	for step := range 10_000 {
		i := random.IntN(len(keys))
		switch now, ok := stored[i]; random.IntN(6) {
		case 0, 1:
			now = content{newMeta(), make([]byte, random.IntN(3*inlineMax/2))}
			now.meta.SetExtension("step", fmt.Sprint(step))
			for n := range now.body {
				now.body[n] = byte(step + n)
			}
			put(t, c, keys[i], now.meta, now.body)
			stored[i] = now
		case 2:
			err := c.Purge(t.Context(), keys[i].Compact(), cirque.PurgeEviction)
			require.Equal(t, ok, err == nil)
			delete(stored, i)
		case 3:
			_, h, err := c.Lookup(t.Context(), keys[i])
			require.Equal(t, ok, err == nil)
			if !ok {
				continue
			}
			now.meta = now.meta.Clone()
			now.meta.SetExtension("updated", string(make([]byte, random.IntN(500))))
			require.NoError(t, c.UpdateMeta(t.Context(), keys[i], now.meta, h.Tag()))
			stored[i] = now
			h.Close()
		default:
			got, h, err := c.Lookup(t.Context(), keys[i])
			require.Equal(t, ok, err == nil)
			if ok {
				hits = append(hits, open{h, now, got})
			}
		}
		if step%500 == 499 {
			closeHits()
			requireTidy(t, s, budget)
		}
	}
	closeHits()
	for i := range stored {
		require.NoError(t, c.Purge(t.Context(), keys[i].Compact(), cirque.PurgeInvalidation))
	}
	require.Zero(t, budget.Used())
	for _, p := range s.pages.all {
		require.Nil(t, p.buf, "an empty page is dropped")
	}
}
