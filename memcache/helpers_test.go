package memcache

import (
	"context"
	"fmt"
	"net/http"
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

// oneShard returns keys that all live in one shard.
func oneShard(n int) []cirque.CacheKey {
	keys := make([]cirque.CacheKey, n)
	for i := range keys {
		keys[i] = keyOf(i).WithPrimaryHash(cirque.HashBinary{byte(i), byte(i >> 8), 1})
	}
	return keys
}
