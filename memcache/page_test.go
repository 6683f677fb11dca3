package memcache

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// A hit can read a page after the shard has dropped it and its entries have moved.
func TestDroppedPageStaysReadable(t *testing.T) {
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

func TestSmallShardHasSmallPages(t *testing.T) {
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
