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

// oneShard returns keys that all live in one shard.
func oneShard(n int) []cirque.CacheKey {
	keys := make([]cirque.CacheKey, n)
	for i := range keys {
		keys[i] = keyOf(i).WithPrimaryHash(cirque.HashBinary{byte(i), byte(i >> 8), 1})
	}
	return keys
}

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
		require.EqualValues(t, inTable, r.refs.Load())
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

// Entries come, change and go; their blocks move. Each lookup finds what was stored last, and hits
// that were opened at any time read what they were opened on.
func TestChurn(t *testing.T) {
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
		require.Nil(t, p.buf, "an empty page is let go")
	}
}

// What is read of a page stays what it was when the page is given up and its entries have moved.
func TestPagesAreWrittenOnce(t *testing.T) {
	c, keys := New(Config{}), oneShard(100)
	for i, key := range keys {
		put(t, c, key, newMeta(), bytes.Repeat([]byte{byte(i)}, 1000))
	}
	meta, h, err := c.Lookup(t.Context(), keys[50])
	require.NoError(t, err)
	etag := meta.Header().Get("Etag")
	for i, key := range keys {
		if i%10 != 0 {
			require.NoError(t, c.Purge(t.Context(), key.Compact(), cirque.PurgeEviction))
		}
	}
	for _, key := range keys {
		put(t, c, key, newMeta(), bytes.Repeat([]byte("new"), 300))
	}
	body, err := io.ReadAll(h)
	require.NoError(t, err)
	require.Equal(t, bytes.Repeat([]byte{50}, 1000), body)
	require.NoError(t, h.Close())
	require.Equal(t, tenFields().Get("Etag"), etag)
}

// A shard with little in it is to have little memory.
func TestPagesGrowWithTheShard(t *testing.T) {
	c, keys := New(Config{}), oneShard(1000)
	s := c.shard(keys[0].PrimaryHash())
	for _, key := range keys {
		put(t, c, key, newMeta(), make([]byte, 100))
		capacity := 0
		for _, p := range s.pages.all {
			capacity += cap(p.buf)
		}
		require.LessOrEqual(t, capacity, max(minPage, 3*s.pages.live))
	}
}
