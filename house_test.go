package cirque_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/internal/verify/faulty"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/predictor"
)

var (
	keyA = cirque.NewCacheKey("", "https://example.com/a", "")
	keyB = cirque.NewCacheKey("", "https://example.com/b", "")

	errBroken = errors.New("disk on fire")
)

// house is a cache with all its parts. At the end of the test it requires that every hit was
// closed, and that every write and every goroutine has ended.
type house struct {
	*cirque.CacheOptions
	t     testing.TB
	tally *faultystorage.Tally
}

func newHouse(t testing.TB, store cirque.Storage, script faultystorage.Script) *house {
	t.Helper()
	faulty.CheckGoroutines(t)
	storage, tally := faultystorage.Wrap(store, script)
	manager, err := eviction.NewSimpleLRU(eviction.Config{Limit: 1 << 24})
	require.NoError(t, err)
	t.Cleanup(func() { require.Empty(t, tally.Open()) })
	return &house{
		CacheOptions: &cirque.CacheOptions{
			Storage:   storage,
			Eviction:  manager,
			Predictor: predictor.New(predictor.Config{MaxKeys: 64}),
			Lock:      cirque.NewCacheLock(cirque.CacheLockConfig{}),
		},
		t:     t,
		tally: tally,
	}
}

// inMemory returns a house with a Storage that streams.
func inMemory(t testing.TB) *house {
	t.Helper()
	return newHouse(t, memcache.New(memcache.Config{}), nil)
}

// eachKind runs test with a Storage that streams, and with one that does not.
func eachKind(t *testing.T, test func(*testing.T, func(*testing.T, faultystorage.Script) *house)) {
	t.Run("streaming", func(t *testing.T) {
		test(t, func(t *testing.T, script faultystorage.Script) *house {
			return newHouse(t, memcache.New(memcache.Config{}), script)
		})
	})
	t.Run("plain", func(t *testing.T) {
		test(t, func(t *testing.T, script faultystorage.Script) *house {
			return newHouse(t, newPlainStore(), script)
		})
	})
}

// freshMeta returns the meta of a response with an ETag of its own that is fresh for an hour.
func freshMeta(etag string) *cirque.CacheMeta {
	now := time.Now()
	return cirque.NewCacheMeta(http.StatusOK, http.Header{"Etag": {etag}}, now, now.Add(time.Hour), 0, 0)
}

// begin returns a walk at CacheKey. It is released at the end of the test.
func (h *house) begin(key cirque.CacheKey) *cirque.HttpCache {
	c := new(cirque.HttpCache)
	c.Enable(h.CacheOptions)
	c.SetKey(key)
	h.t.Cleanup(c.Release)
	return c
}

// miss returns a walk that found nothing and holds the lock.
func (h *house) miss(key cirque.CacheKey) *cirque.HttpCache {
	h.t.Helper()
	c := h.begin(key)
	_, _, err := c.Lookup(h.t.Context())
	require.ErrorIs(h.t, err, cirque.ErrNotFound)
	c.TryLock()
	require.True(h.t, c.IsWriter())
	c.Miss()
	return c
}

// fill returns a fill of key, and the walk that began it and reads along.
func (h *house) fill(key cirque.CacheKey, meta *cirque.CacheMeta) (*cirque.HttpCache, *cirque.Fill) {
	h.t.Helper()
	c := h.miss(key)
	c.SetMeta(meta)
	f, err := c.StartFill(h.t.Context(), cirque.FillOptions{Reader: h.t.Context(), SizeHint: -1})
	require.NoError(h.t, err)
	h.t.Cleanup(func() { f.Abort(cirque.InternalError) })
	return c, f
}

// put stores body under key.
func (h *house) put(key cirque.CacheKey, meta *cirque.CacheMeta, body string) {
	h.t.Helper()
	c, f := h.fill(key, meta)
	h.write(f, body)
	require.NoError(h.t, f.Finish())
	require.Equal(h.t, body, h.read(c))
}

func (h *house) write(f *cirque.Fill, body string) {
	h.t.Helper()
	n, err := io.WriteString(f, body)
	require.NoError(h.t, err)
	require.Equal(h.t, len(body), n)
}

// read returns c's whole body and closes it.
func (h *house) read(c *cirque.HttpCache) string {
	h.t.Helper()
	body, err := io.ReadAll(c.Hit())
	require.NoError(h.t, err)
	require.NoError(h.t, c.FinishHit())
	return string(body)
}

// stale returns a walk at Stale that has found key.
func (h *house) stale(key cirque.CacheKey) *cirque.HttpCache {
	h.t.Helper()
	c := h.begin(key)
	meta, hit, err := c.Lookup(h.t.Context())
	require.NoError(h.t, err)
	c.Found(meta, hit, cirque.HitExpired)
	return c
}

// stored returns the ETag and the body of the entry that a request for key with this header finds,
// and whether it is fresh. They are empty if there is none.
func (h *house) stored(key cirque.CacheKey, header http.Header) (etag, body string, fresh bool) {
	h.t.Helper()
	c := h.begin(key)
	meta, hit, err := c.Lookup(h.t.Context())
	if err == nil && meta.Has(cirque.MetaVaryRecord) {
		meta, hit, err = c.VaryLookup(h.t.Context(), meta, hit, header, nil)
	}
	if errors.Is(err, cirque.ErrNotFound) {
		return "", "", false
	}
	require.NoError(h.t, err)
	defer hit.Close()
	all, err := io.ReadAll(hit)
	require.NoError(h.t, err)
	return meta.Header().Get("Etag"), string(all), meta.IsFresh(time.Now())
}

func (h *house) wantStored(key cirque.CacheKey, body string) {
	h.t.Helper()
	_, got, fresh := h.stored(key, nil)
	require.Equal(h.t, body, got)
	require.Equal(h.t, body != "", fresh)
}

// waiter is a walk that waits for the lock.
type waiter struct {
	*cirque.HttpCache
	status chan cirque.LockStatus
}

// wait starts a walk that waits for the writer of key, in the background.
func (h *house) wait(key cirque.CacheKey) *waiter {
	h.t.Helper()
	w := &waiter{h.begin(key), make(chan cirque.LockStatus, 1)}
	_, _, err := w.Lookup(h.t.Context())
	require.ErrorIs(h.t, err, cirque.ErrNotFound)
	w.TryLock()
	require.True(h.t, w.IsLocked())
	require.False(h.t, w.IsWriter())
	go func() {
		status, err := w.WaitLock(h.t.Context())
		if err != nil {
			status = 0
		}
		w.status <- status
	}()
	return w
}

func lookupTime(c *cirque.HttpCache) time.Duration {
	lookup, _ := c.Durations()
	return lookup
}

func lockTime(c *cirque.HttpCache) time.Duration {
	_, lock := c.Durations()
	return lock
}
