package memcache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// tenFields is a header such as an origin sends.
func tenFields() http.Header {
	return http.Header{
		"Accept-Ranges":    {"bytes"},
		"Cache-Control":    {"public, max-age=3600"},
		"Content-Language": {"en"},
		"Content-Length":   {"1024"},
		"Content-Type":     {"text/html; charset=utf-8"},
		"Date":             {"Fri, 02 Jan 2026 03:04:05 GMT"},
		"Etag":             {`"5f3e8a-400"`},
		"Last-Modified":    {"Thu, 01 Jan 2026 00:00:00 GMT"},
		"Server":           {"origin"},
		"Vary":             {"Accept-Encoding"},
	}
}

func newMeta() *cirque.CacheMeta {
	return cirque.NewCacheMeta(http.StatusOK, tenFields(), epoch, epoch.Add(time.Hour), 0, 0)
}

func keyOf(i int) cirque.CacheKey {
	return cirque.NewCacheKey("", fmt.Sprintf("https://www.example.com/articles/%09d.html", i), "")
}

// put stores body under key and returns the entry's weight.
func put(t testing.TB, c *MemCache, key cirque.CacheKey, meta *cirque.CacheMeta, body []byte) int64 {
	t.Helper()
	w, err := c.MissHandler(context.Background(), key, meta, cirque.MissOptions{SizeHint: int64(len(body))})
	require.NoError(t, err)
	_, err = w.Write(body)
	require.NoError(t, err)
	finish, err := w.Finish()
	require.NoError(t, err)
	return finish.Size
}

func TestRoundTrip(t *testing.T) {
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
		require.Equal(t, weight, budget.Used(), "it is still being read")
		require.NoError(t, h.Close())
		require.Zero(t, budget.Used())
	}
}

func TestHitIsOneAllocation(t *testing.T) {
	c := New(Config{Budget: cirque.NewBudget(1 << 20)})
	key := keyOf(1)
	put(t, c, key, newMeta(), make([]byte, 1024))
	require.Equal(t, 1.0, testing.AllocsPerRun(100, func() {
		_, h, err := c.Lookup(context.Background(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.(io.WriterTo).WriteTo(io.Discard); err != nil {
			t.Fatal(err)
		}
		h.Close()
	}))
}

func TestPurgeOfWriteUnderWay(t *testing.T) {
	ctx, c, key := t.Context(), New(Config{}), keyOf(1)
	begin := func() cirque.StreamingMissHandler {
		w, err := c.MissHandler(ctx, key, newMeta(), cirque.MissOptions{SizeHint: -1})
		require.NoError(t, err)
		t.Cleanup(w.Abort)
		return w.(cirque.StreamingMissHandler)
	}
	begin()
	require.ErrorIs(t, c.Purge(ctx, key.Compact(), cirque.PurgeEviction), cirque.ErrNotFound, "an eviction leaves it alone")
	require.NoError(t, c.Purge(ctx, key.Compact(), cirque.PurgeInvalidation), "Lookup would have found it")
	require.ErrorIs(t, c.Purge(ctx, key.Compact(), cirque.PurgeInvalidation), cirque.ErrNotFound)
	begin().Unlink()
	require.ErrorIs(t, c.Purge(ctx, key.Compact(), cirque.PurgeInvalidation), cirque.ErrNotFound, "Lookup would not have found it")
}

// Metas replaced while their write finishes: whichever comes last, none is lost that was accepted,
// and the budget comes out even.
func TestUpdateMetaDuringFinish(t *testing.T) {
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
