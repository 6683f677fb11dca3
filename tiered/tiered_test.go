package tiered_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/storagetest"
	"github.com/cirquecache/cirque/tiered"
)

var ctx = context.Background()

func newDisk(t testing.TB) *diskcache.Store {
	t.Helper()
	disk, err := diskcache.Open(t.TempDir(), nil)
	require.NoError(t, err)
	t.Cleanup(func() { disk.Close() })
	return disk
}

func newMemory(limit int64) (*memcache.MemCache, *cirque.Budget, cirque.EvictionManager) {
	manager, err := eviction.New("lru", limit)
	if err != nil {
		panic(err)
	}
	budget := cirque.NewBudget(limit)
	memory := memcache.New(memcache.Config{Budget: budget})
	budget.EvictWith(manager, memory)
	return memory, budget, manager
}

func TestStorage(t *testing.T) {
	for name, test := range map[string]struct {
		new      func(t testing.TB) cirque.Storage
		features storagetest.Features
	}{
		"MemoryOverDisk": {
			func(t testing.TB) cirque.Storage {
				memory, _, manager := newMemory(8 << 20)
				return tiered.New(memory, newDisk(t), tiered.Config{UpperEviction: manager})
			},
			storagetest.Features{Streaming: true, Seeking: true},
		},
		"TinyOverMemory": {
			func(t testing.TB) cirque.Storage {
				memory, _, manager := newMemory(20_000)
				return tiered.New(memory, memcache.New(memcache.Config{}), tiered.Config{UpperEviction: manager, MaxUpperBytes: 10_000})
			},
			storagetest.Features{Streaming: true, Seeking: true},
		},
		"PlainOverPlain": {
			func(t testing.TB) cirque.Storage {
				return tiered.New(newPlain(), newPlain(), tiered.Config{})
			},
			storagetest.Features{Seeking: true},
		},
		"OverAFailingOne": { // every write goes to the upper Storage alone
			func(t testing.TB) cirque.Storage {
				lower := &failing{StreamingStorage: memcache.New(memcache.Config{})}
				lower.down.Store(true)
				return tiered.New(memcache.New(memcache.Config{}), lower, tiered.Config{MaxUpperBytes: math.MaxInt64})
			},
			storagetest.Features{Streaming: true, Seeking: true},
		},
	} {
		t.Run(name, func(t *testing.T) { storagetest.Run(t, test.new, test.features) })
	}
}

// failing is a Storage that cannot be written to while down, and cannot be read while unreachable.
type failing struct {
	cirque.StreamingStorage
	down, unreachable atomic.Bool
	lookups           atomic.Int64
}

var errDown = errors.New("down")

func (f *failing) Lookup(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	f.lookups.Add(1)
	if f.unreachable.Load() {
		return nil, nil, errDown
	}
	return f.StreamingStorage.Lookup(ctx, key)
}

func (f *failing) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	if f.down.Load() {
		return nil, errDown
	}
	return f.StreamingStorage.MissHandler(ctx, key, meta, opts)
}

func key(name string) cirque.CacheKey {
	return cirque.NewCacheKey("tiered", "https://example.com/"+name, "")
}

func meta(etag string) *cirque.CacheMeta {
	now := time.Now()
	return cirque.NewCacheMeta(http.StatusOK, http.Header{"Etag": {etag}}, now, now.Add(time.Hour), 0, 0)
}

func put(t *testing.T, s cirque.Storage, k cirque.CacheKey, body string) cirque.Tag {
	t.Helper()
	w, err := s.MissHandler(ctx, k, meta("first"), cirque.MissOptions{SizeHint: -1})
	require.NoError(t, err)
	defer w.Abort()
	_, err = w.Write([]byte(body))
	require.NoError(t, err)
	_, err = w.Finish()
	require.NoError(t, err)
	return w.Tag()
}

// look returns the Etag and the body of k, or two empty strings for a miss.
func look(t *testing.T, s cirque.Storage, k cirque.CacheKey) (etag, body string) {
	t.Helper()
	m, hit, err := s.Lookup(ctx, k)
	if errors.Is(err, cirque.ErrNotFound) {
		return "", ""
	}
	require.NoError(t, err)
	defer hit.Close()
	b, err := io.ReadAll(hit)
	require.NoError(t, err)
	return m.Header().Get("Etag"), string(b)
}

// env is a tier of two MemCaches; the lower one can fail.
type env struct {
	upper, lower *memcache.MemCache
	failing      *failing
	manager      cirque.EvictionManager
	tier         cirque.StreamingStorage
}

func newEnv(t *testing.T) *env {
	t.Helper()
	e := &env{lower: memcache.New(memcache.Config{})}
	e.upper, _, e.manager = newMemory(1 << 20)
	e.failing = &failing{StreamingStorage: e.lower}
	e.tier = tiered.New(e.upper, e.failing, tiered.Config{UpperEviction: e.manager, MaxUpperBytes: 1000}).(cirque.StreamingStorage)
	return e
}

func TestSmallBodiesGoToBothStorages(t *testing.T) {
	e := newEnv(t)
	put(t, e.tier, key("small"), "body")
	put(t, e.tier, key("large"), string(make([]byte, 1001)))
	require.Equal(t, 1, e.upper.Len())
	require.Equal(t, 2, e.lower.Len())
	require.True(t, e.manager.Peek(key("small").Compact()))
	e.failing.lookups.Store(0)
	_, body := look(t, e.tier, key("small"))
	require.Equal(t, "body", body)
	require.Zero(t, e.failing.lookups.Load(), "the lower Storage was asked for an entry of the upper one")

	// A large body replaces a small one: the upper Storage drops the small one.
	put(t, e.tier, key("small"), string(make([]byte, 5000)))
	require.Zero(t, e.upper.Len())
	require.False(t, e.manager.Peek(key("small").Compact()))
	_, body = look(t, e.tier, key("small"))
	require.Len(t, body, 5000)
}

func TestHitsAreCopiedToTheUpperStorage(t *testing.T) {
	e := newEnv(t)
	tag := put(t, e.lower, key("a"), "body")
	put(t, e.lower, key("large"), string(make([]byte, 1001)))
	for range 3 {
		_, hit, err := e.tier.Lookup(ctx, key("a"))
		require.NoError(t, err)
		require.Equal(t, tag, hit.Tag(), "the tag depends on the Storage that answers")
		require.NoError(t, hit.SeekRange(1, 3))
		b, err := io.ReadAll(hit)
		require.NoError(t, err)
		require.Equal(t, "od", string(b))
		size, known := hit.Size()
		require.True(t, known)
		require.EqualValues(t, 4, size)
		require.Error(t, hit.SeekRange(-1, 3))
		require.Error(t, hit.SeekRange(0, 5))
		hit.Close()
		require.Equal(t, 1, e.upper.Len())
		look(t, e.tier, key("large"))
	}
	require.EqualValues(t, 4, e.failing.lookups.Load())
	require.True(t, e.manager.Peek(key("a").Compact()))
}

func TestChangesReachBothStorages(t *testing.T) {
	e := newEnv(t)
	tag := put(t, e.tier, key("a"), "body")
	require.NoError(t, e.tier.UpdateMeta(ctx, key("a"), meta("second"), tag))
	etag, _ := look(t, e.tier, key("a"))
	require.Equal(t, "second", etag)
	etag, _ = look(t, e.lower, key("a"))
	require.Equal(t, "second", etag)

	// The lower Storage drops it: then the copy in the upper one is the entry.
	require.NoError(t, e.lower.Purge(ctx, key("a").Compact(), cirque.PurgeEviction))
	require.NoError(t, e.tier.UpdateMeta(ctx, key("a"), meta("third"), tag))
	etag, body := look(t, e.tier, key("a"))
	require.Equal(t, "third", etag)
	require.Equal(t, "body", body)
	w, err := e.tier.MissHandler(ctx, key("a"), meta("fourth"), cirque.MissOptions{Replaces: tag})
	require.NoError(t, err)
	_, err = w.Finish()
	require.NoError(t, err)

	require.NoError(t, e.tier.Purge(ctx, key("a").Compact(), cirque.PurgeInvalidation))
	require.ErrorIs(t, e.tier.Purge(ctx, key("a").Compact(), cirque.PurgeInvalidation), cirque.ErrNotFound)
	require.Zero(t, e.upper.Len()+e.lower.Len())
	require.Zero(t, e.manager.TotalItems())
}

// If the lower Storage keeps the old meta, lookups find that again when the copy in the upper one
// leaves. So the update fails.
func TestUpdateFailsIfTheLowerStorageKeepsTheOldMeta(t *testing.T) {
	upper := memcache.New(memcache.Config{})
	lower, _ := faultystorage.Wrap(memcache.New(memcache.Config{}), faultystorage.Nth(faultystorage.UpdateMeta, 1, faultystorage.Fault{Err: errDown}))
	tier := tiered.New(upper, lower, tiered.Config{})
	tag := put(t, tier, key("a"), "body")
	require.ErrorIs(t, tier.UpdateMeta(ctx, key("a"), meta("second"), tag), errDown)
	require.NoError(t, tier.UpdateMeta(ctx, key("a"), meta("third"), tag))
	require.NoError(t, upper.Purge(ctx, key("a").Compact(), cirque.PurgeEviction))
	etag, _ := look(t, tier, key("a"))
	require.Equal(t, "third", etag)
}

// If the upper Storage keeps the copy, lookups still find it. So the purge fails.
func TestPurgeFailsIfTheUpperStorageKeepsTheCopy(t *testing.T) {
	upper, _ := faultystorage.Wrap(memcache.New(memcache.Config{}), faultystorage.Nth(faultystorage.Purge, 1, faultystorage.Fault{Err: errDown}))
	tier := tiered.New(upper, memcache.New(memcache.Config{}), tiered.Config{})
	put(t, tier, key("a"), "body")
	require.ErrorIs(t, tier.Purge(ctx, key("a").Compact(), cirque.PurgeInvalidation), errDown)
	require.NoError(t, tier.Purge(ctx, key("a").Compact(), cirque.PurgeInvalidation))
}

// While the lower Storage fails, the upper one takes writes alone, and an older entry in the lower
// one is never found again.
func TestUpperStorageWorksAloneWhileTheLowerFails(t *testing.T) {
	e := newEnv(t)
	put(t, e.tier, key("old"), "old")
	e.failing.down.Store(true)
	w, err := e.tier.MissHandler(ctx, key("old"), meta("new"), cirque.MissOptions{SizeHint: -1})
	require.NoError(t, err)
	_, err = w.Write([]byte("n"))
	require.NoError(t, err)
	_, hit, err := e.tier.Lookup(ctx, key("old"))
	require.NoError(t, err)
	defer hit.Close()
	require.Equal(t, w.Tag(), hit.Tag(), "the lookup does not find the write under way")
	_, err = w.Write([]byte("ew"))
	require.NoError(t, err)
	_, err = w.Finish()
	require.NoError(t, err)
	b, err := io.ReadAll(hit)
	require.NoError(t, err)
	require.Equal(t, "new", string(b))
	etag, body := look(t, e.tier, key("old"))
	require.Equal(t, "new", etag)
	require.Equal(t, "new", body)
	require.NoError(t, e.upper.Purge(ctx, key("old").Compact(), cirque.PurgeEviction))
	_, body = look(t, e.tier, key("old"))
	require.Empty(t, body)

	_, err = e.tier.MissHandler(ctx, key("large"), meta("large"), cirque.MissOptions{SizeHint: 1001})
	require.ErrorIs(t, err, errDown)
	e.failing.unreachable.Store(true)
	_, _, err = e.tier.Lookup(ctx, key("nowhere"))
	require.ErrorIs(t, err, errDown)
}

// A body that fits only into the upper Storage is stored there, and replaces the entries of both.
func TestBodyThatFitsOnlyAbove(t *testing.T) {
	upper, _, _ := newMemory(1 << 20)
	lower := memcache.New(memcache.Config{Budget: cirque.NewBudget(2000)})
	tier := tiered.New(upper, lower, tiered.Config{})
	put(t, tier, key("a"), "old")
	put(t, tier, key("a"), string(make([]byte, 10_000)))
	_, body := look(t, tier, key("a"))
	require.Len(t, body, 10_000)
	require.Zero(t, lower.Len())
}

// Many goroutines write, purge, update and read. After that, the tier answers with the lower
// Storage's entry if the upper one has a copy.
func TestUpperStorageHasNoOldEntries(t *testing.T) {
	e := newEnv(t)
	var wg sync.WaitGroup
	k := key("a")
	for i := range 6 {
		wg.Go(func() {
			for round := range 300 {
				switch (i + round) % 6 {
				case 0, 1:
					w, err := e.tier.MissHandler(ctx, k, meta("first"), cirque.MissOptions{SizeHint: -1})
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = w.Write(bytes.Repeat([]byte{byte(round)}, round%3*600))
					_, _ = w.Finish()
				case 2:
					_ = e.tier.Purge(ctx, k.Compact(), cirque.PurgeInvalidation)
				case 3:
					_ = e.upper.Purge(ctx, k.Compact(), cirque.PurgeEviction)
				default:
					_, hit, err := e.tier.Lookup(ctx, k)
					if err != nil {
						continue
					}
					_ = e.tier.UpdateMeta(ctx, k, meta("second"), hit.Tag())
					hit.Close()
				}
			}
		})
	}
	wg.Wait()
	_, above, aboveErr := e.upper.Lookup(ctx, k)
	if aboveErr == nil {
		defer above.Close()
		etag, body := look(t, e.tier, k)
		wantEtag, wantBody := look(t, e.lower, k)
		require.Equal(t, wantEtag, etag)
		require.Equal(t, wantBody, body)
	}
}

// The lower Storage keeps purges of everything and of groups. They survive a restart if it does,
// and apply to copies in the upper Storage too.
func TestLowerStorageKeepsThePurges(t *testing.T) {
	dir := t.TempDir()
	open := func() (*memcache.MemCache, *diskcache.Store, *cirque.CacheOptions) {
		disk, err := diskcache.Open(dir, nil)
		require.NoError(t, err)
		t.Cleanup(func() { disk.Close() })
		memory := memcache.New(memcache.Config{})
		return memory, disk, &cirque.CacheOptions{Storage: tiered.New(memory, disk, tiered.Config{})}
	}
	found := func(o *cirque.CacheOptions) bool {
		var c cirque.HttpCache
		c.Enable(o)
		defer c.Release()
		c.SetKey(key("a"))
		_, hit, err := c.Lookup(ctx)
		if err != nil {
			require.ErrorIs(t, err, cirque.ErrNotFound)
			return false
		}
		require.NoError(t, hit.Close())
		return true
	}
	store := func(o *cirque.CacheOptions) {
		var c cirque.HttpCache
		c.Enable(o)
		defer c.Release()
		c.SetKey(key("a"))
		c.Bypass()
		c.SetMeta(meta("a"))
		f, err := c.StartFill(ctx, cirque.FillOptions{})
		require.NoError(t, err)
		_, err = f.Write([]byte("body"))
		require.NoError(t, err)
		require.NoError(t, f.Finish())
	}
	memory, disk, opts := open()
	require.Same(t, disk.Purges(), opts.Storage.Purges())
	store(opts)
	require.True(t, found(opts))
	require.Equal(t, 1, memory.Len())
	require.NoError(t, disk.Purges().PurgeAll(ctx))
	require.False(t, found(opts), "the copy in the upper Storage is found after the purge")
	require.NoError(t, disk.Close())

	_, disk, opts = open()
	require.False(t, found(opts))
	store(opts)
	require.True(t, found(opts))
	require.NoError(t, disk.Close())
	_, _, opts = open()
	require.True(t, found(opts))
}
