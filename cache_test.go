package cirque_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
)

func TestZeroHttpCacheIsDisabled(t *testing.T) {
	var c cirque.HttpCache
	require.Equal(t, cirque.PhaseDisabled, c.Phase())
	require.Equal(t, cirque.NeverEnabled, c.NoCacheReason())
	require.False(t, c.Enabled())
	require.True(t, c.UpstreamUsed())
	require.True(t, c.Key().Combined().IsZero())
	require.Nil(t, c.Meta())
	require.Nil(t, c.Hit())
	require.Nil(t, c.VaryRecord())
	require.Zero(t, c.HitStatus())
	require.Zero(t, lookupTime(&c))
	require.Zero(t, lockTime(&c))
	require.False(t, c.IsLocked())
	require.False(t, c.IsWriter())
	require.True(t, c.PredictCacheable())
	c.ResponseBecameCacheable()
	c.ResponseBecameUncacheable(cirque.OriginNotCache)
	c.ReleaseWriteLock("")
	c.Disable(cirque.Deferred)
	require.Equal(t, cirque.Deferred, c.NoCacheReason())
	c.Release()
	c.Release()
	c = cirque.HttpCache{}
	require.Equal(t, cirque.NeverEnabled, c.NoCacheReason())
}

func TestOnlyStorageIsRequired(t *testing.T) {
	h := inMemory(t)
	h.CacheOptions = &cirque.CacheOptions{Storage: h.Storage}
	c := h.begin(keyA)
	c.TryLock()
	require.False(t, c.IsWriter(), "there is no lock")
	require.False(t, c.IsLocked())
	require.True(t, c.PredictCacheable())
	c.Miss()
	c.SetMeta(freshMeta("a"))
	f, err := c.StartFill(t.Context(), cirque.FillOptions{})
	require.NoError(t, err)
	require.Nil(t, c.Hit(), "nobody asked for a reader")
	require.Zero(t, f.Readers())
	h.write(f, "body")
	require.NoError(t, f.Finish())
	h.wantStored(keyA, "body")

	stale := h.stale(keyA)
	require.NoError(t, stale.Revalidate(t.Context(), freshMeta("b")))
	stale.Release()
	require.NoError(t, h.Purge(t.Context(), keyA))
	h.wantStored(keyA, "")
}

func TestMissIsFollowedByHit(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		meta := freshMeta("a")
		c, f := h.fill(keyA, meta)
		require.Equal(t, cirque.PhaseMiss, c.Phase())
		require.True(t, c.UpstreamUsed())
		require.Same(t, meta, c.Meta())
		require.Same(t, meta, f.Meta())
		require.Equal(t, f.Tag(), c.Hit().Tag())
		require.Equal(t, 1, f.Readers())
		require.False(t, c.IsWriter(), "the fill has the permit now")
		h.write(f, "one")
		h.write(f, "two")
		require.Equal(t, int64(6), f.Written())
		require.NoError(t, f.Finish())
		require.Empty(t, f.NoCacheReason())
		require.Equal(t, "onetwo", h.read(c))
		require.True(t, h.Eviction.Peek(keyA.Compact()))

		hit := h.begin(keyA)
		found, body, err := hit.Lookup(t.Context())
		require.NoError(t, err)
		hit.Found(found, body, cirque.HitFresh)
		require.Equal(t, cirque.PhaseHit, hit.Phase())
		require.Equal(t, cirque.HitFresh, hit.HitStatus())
		require.False(t, hit.UpstreamUsed())
		require.Same(t, found, hit.Meta())
		var out bytes.Buffer
		_, err = io.Copy(&out, hit.Hit())
		require.NoError(t, err)
		require.Equal(t, "onetwo", out.String())
		require.NoError(t, hit.FinishHit())
		require.Nil(t, hit.Hit())
	})
}

// Of several calls that close the body, only the first does.
func TestHitIsClosedOnce(t *testing.T) {
	finishHit := func(t *testing.T, c *cirque.HttpCache) { require.NoError(t, c.FinishHit()) }
	for name, closeIt := range map[string]func(*testing.T, *cirque.HttpCache){
		"FinishHit": finishHit,
		"FinishHit twice": func(t *testing.T, c *cirque.HttpCache) {
			finishHit(t, c)
			finishHit(t, c)
		},
		"Release":       func(t *testing.T, c *cirque.HttpCache) {},
		"Disable":       func(t *testing.T, c *cirque.HttpCache) { c.Disable(cirque.Custom("enough")) },
		"Miss":          func(t *testing.T, c *cirque.HttpCache) { c.Miss() },
		"SetMeta":       func(t *testing.T, c *cirque.HttpCache) { c.SetMeta(freshMeta("b")) },
		"SelectVariant": func(t *testing.T, c *cirque.HttpCache) { c.SelectVariant(t.Context(), cirque.HashBinary{1}) },
		"TakeHit": func(t *testing.T, c *cirque.HttpCache) {
			hit := c.TakeHit()
			require.Nil(t, c.Hit())
			require.Nil(t, c.TakeHit())
			finishHit(t, c)
			c.Release()
			require.NoError(t, hit.Close())
		},
		"StartFill": func(t *testing.T, c *cirque.HttpCache) {
			c.SetMeta(freshMeta("b"))
			f, err := c.StartFill(t.Context(), cirque.FillOptions{})
			require.NoError(t, err)
			f.Abort(cirque.UpstreamError)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := inMemory(t)
			h.put(keyA, freshMeta("a"), "body")
			before := h.tally.Calls(faultystorage.HitClose)
			if name == "StartFill" {
				before++ // what is in the slot by then is looked at once more: it may be more recent
			}
			c := h.stale(keyA)
			require.Len(t, h.tally.Open(), 1)
			closeIt(t, c)
			c.Release()
			c.Release()
			require.Empty(t, h.tally.Open())
			require.Equal(t, before+1, h.tally.Calls(faultystorage.HitClose))
		})
	}
}

func TestFinishHitReturnsTheErrorOfTheStorage(t *testing.T) {
	h := newHouse(t, memcache.New(memcache.Config{}), faultystorage.Nth(faultystorage.HitClose, 2, faultystorage.Fault{Err: errBroken}))
	h.put(keyA, freshMeta("a"), "body")
	c := h.stale(keyA)
	require.ErrorIs(t, c.FinishHit(), errBroken)
	require.NoError(t, c.FinishHit(), "a second FinishHit does nothing")
}

func TestDisableAndEnableAgain(t *testing.T) {
	h := inMemory(t)
	h.MaxObjectBytes = 10
	record, variant := h.putVariant(keyA, "en", "hello")
	require.NotNil(t, record)

	c := h.begin(keyA)
	c.SetMaxObjectBytes(99)
	meta, hit, err := c.Lookup(t.Context())
	require.NoError(t, err)
	meta, hit, err = c.VaryLookup(t.Context(), meta, hit, languages("en"), nil)
	require.NoError(t, err)
	require.Equal(t, variant, c.Key())
	c.Found(meta, hit, cirque.HitExpired)
	c.TryLock()
	require.True(t, c.IsWriter())

	c.Disable(cirque.Deferred)
	require.Equal(t, cirque.PhaseDisabled, c.Phase())
	require.Equal(t, cirque.Deferred, c.NoCacheReason())
	require.Nil(t, c.Meta())
	require.Nil(t, c.Hit())
	require.False(t, c.IsWriter())

	c.Enable(h.CacheOptions)
	require.Equal(t, cirque.PhaseUninit, c.Phase())
	require.Empty(t, c.NoCacheReason())
	require.True(t, c.ExceedsMaxObject(11), "the maximum is that of the options again")
	c.SetKey(keyB)
	require.Equal(t, keyB, c.Key())
	require.Nil(t, c.VaryRecord(), "the record was of another key")
}

func TestKeyMayBeSetAgain(t *testing.T) {
	h := inMemory(t)
	h.putVariant(keyA, "en", "hello")
	c := h.begin(keyA)
	meta, hit, err := c.Lookup(t.Context())
	require.NoError(t, err)
	_, hit, err = c.VaryLookup(t.Context(), meta, hit, languages("en"), nil)
	require.NoError(t, err)
	require.NoError(t, hit.Close())
	require.NotNil(t, c.VaryRecord())
	c.SetKey(keyB)
	require.Nil(t, c.VaryRecord())
	c.Miss()
	c.SetMeta(freshMeta("b"))
	c.UpdateVariance(t.Context(), []string{"Accept-Language"}, languages("en"), nil)
	f, err := c.StartFill(t.Context(), cirque.FillOptions{})
	require.NoError(t, err)
	h.write(f, "other")
	require.NoError(t, f.Finish())
	_, body, _ := h.stored(keyB, languages("en"))
	require.Equal(t, "other", body)
	_, body, _ = h.stored(keyA, languages("en"))
	require.Equal(t, "hello", body)
}

func TestMaximumBodySize(t *testing.T) {
	h := inMemory(t)
	h.MaxObjectBytes = 10
	c := h.begin(keyA)
	require.True(t, c.TrackBodyBytes(10))
	require.False(t, c.TrackBodyBytes(1))
	require.False(t, c.ExceedsMaxObject(10), "tracked bytes do not count")
	require.True(t, c.ExceedsMaxObject(11))
	require.False(t, c.ExceedsMaxObject(-1), "unknown")
	c.SetMaxObjectBytes(11)
	require.False(t, c.ExceedsMaxObject(11))
	require.True(t, c.TrackBodyBytes(0))
	c.SetMaxObjectBytes(0)
	require.False(t, c.ExceedsMaxObject(1<<62), "no maximum")
	require.True(t, c.TrackBodyBytes(1<<40))
}

func TestLookupsAreTimedForATrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, memcache.New(memcache.Config{}), faultystorage.Nth(faultystorage.Lookup, 0, faultystorage.Fault{Delay: time.Second}))
		h.putVariant(keyA, "en", "hello")
		lookBoth := func(c *cirque.HttpCache) {
			meta, hit, err := c.Lookup(t.Context())
			require.NoError(t, err)
			_, hit, err = c.VaryLookup(t.Context(), meta, hit, languages("en"), nil)
			require.NoError(t, err)
			require.NoError(t, hit.Close())
		}
		untimed := h.begin(keyA)
		lookBoth(untimed)
		require.Zero(t, lookupTime(untimed))

		traced := h.begin(keyA)
		traced.SetTrace(&cirque.CacheTrace{})
		lookBoth(traced)
		require.Equal(t, 2*time.Second, lookupTime(traced))

		_, _, err := traced.SelectVariant(t.Context(), cirque.HashBinary{1})
		require.ErrorIs(t, err, cirque.ErrNotFound)
		require.Equal(t, 3*time.Second, lookupTime(traced))
	})
}

func TestPredictorIsTold(t *testing.T) {
	h := inMemory(t)
	first, second, privileged := h.begin(keyA), h.begin(keyA), h.begin(keyA)
	privileged.SetLockClass("authorization")
	require.True(t, first.PredictCacheable())
	first.ResponseBecameUncacheable(cirque.UpstreamError)
	require.True(t, second.PredictCacheable(), "the reason does not hold for the next response")
	first.ResponseBecameUncacheable(cirque.OriginNotCache)
	require.False(t, second.PredictCacheable())
	require.True(t, privileged.PredictCacheable(), "it is in another class")
	require.True(t, h.begin(keyB).PredictCacheable())
	second.ResponseBecameCacheable()
	require.True(t, first.PredictCacheable())

	privileged.ResponseBecameUncacheable(cirque.OriginNotCache)
	require.False(t, privileged.PredictCacheable())
	require.True(t, first.PredictCacheable())
	privileged.SetLockClass("another")
	require.True(t, privileged.PredictCacheable())
}

// Each hook is called when its event happens, and gets the facts.
func TestWalkCallsTheHooks(t *testing.T) {
	h := inMemory(t)
	var mu sync.Mutex
	var log []string
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		log = append(log, fmt.Sprintf(format, args...))
	}
	statusCode := func(meta *cirque.CacheMeta) int {
		if meta == nil {
			return 0
		}
		return meta.StatusCode()
	}
	trace := &cirque.CacheTrace{
		LookupDone: func(e cirque.TraceEvent) { note("lookup %d %v", statusCode(e.Meta), e.Err) },
		Hit:        func(e cirque.TraceEvent) { note("hit %v", e.HitStatus) },
		Miss:       func(e cirque.TraceEvent) { note("miss %v", e.Key.String() == keyA.String()) },
		LockWait:   func(e cirque.TraceEvent) { note("waited %v", e.LockStatus) },
		FillStart:  func(e cirque.TraceEvent) { note("fill %d", statusCode(e.Meta)) },
		FillDone:   func(e cirque.TraceEvent) { note("filled %d %q %v", e.Size, e.Reason, e.Err) },
		Evicted:    func(key cirque.CompactCacheKey, err error) { note("evicted %v %v", key == keyB.Compact(), err) },
		Purged:     func(e cirque.TraceEvent) { note("purged %v %v", e.Key.String() == keyA.String(), e.Err) },
	}
	traced := func() *cirque.HttpCache {
		c := h.begin(keyA)
		c.SetTrace(trace)
		return c
	}
	want := func(events ...string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, events, log)
		log = nil
	}
	lookup := func(c *cirque.HttpCache) (*cirque.CacheMeta, cirque.HitHandler) {
		meta, hit, err := c.Lookup(t.Context())
		require.NoError(t, err)
		return meta, hit
	}

	manager, err := eviction.NewSimpleLRU(eviction.Config{Limit: 1 << 20, MaxItems: 1})
	require.NoError(t, err)
	h.Eviction = manager
	h.put(keyB, freshMeta("b"), "body")
	want()

	c := traced()
	_, _, err = c.Lookup(t.Context())
	require.ErrorIs(t, err, cirque.ErrNotFound)
	c.TryLock()
	c.Miss()
	c.SetMeta(freshMeta("a"))
	f, err := c.StartFill(t.Context(), cirque.FillOptions{})
	require.NoError(t, err)
	h.write(f, "body")
	require.NoError(t, f.Finish())
	want("lookup 0 cirque: not found", "miss true", "fill 200", "evicted true <nil>", `filled 4 "" <nil>`)

	c = traced()
	meta, hit := lookup(c)
	c.Found(meta, hit, cirque.HitForceFresh)
	want("lookup 200 <nil>", "hit ForceFresh")

	c = traced()
	meta, hit = lookup(c)
	c.Found(meta, hit, cirque.HitForceMiss)
	want("lookup 200 <nil>", "miss true")

	c = traced()
	meta, hit = lookup(c)
	c.Found(meta, hit, cirque.HitForceExpired)
	c.Miss()
	c.SetMeta(freshMeta("c"))
	f, err = c.StartFill(t.Context(), cirque.FillOptions{})
	require.NoError(t, err)
	h.write(f, "bo")
	f.Abort(cirque.UpstreamError)
	want("lookup 200 <nil>", "hit ForceExpired", "miss true", "fill 200", `filled 2 "UpstreamError" cirque: write was aborted`)

	writer := h.begin(keyA)
	writer.TryLock()
	c = traced()
	c.TryLock()
	writer.ReleaseWriteLock(cirque.OriginNotCache)
	status, err := c.WaitLock(t.Context())
	require.NoError(t, err)
	require.Equal(t, cirque.LockGiveUp, status)
	want("waited GiveUp")

	require.NoError(t, c.Purge(t.Context()))
	want("purged true <nil>")
	require.ErrorIs(t, h.Purge(cirque.WithCacheTrace(t.Context(), trace), keyA), cirque.ErrNotFound)
	want("purged true cirque: not found")
	report := make(chan error)
	c.PurgeInBackground(t.Context(), func(err error) { report <- err })
	require.ErrorIs(t, <-report, cirque.ErrNotFound)
	want("purged true cirque: not found")
	require.ErrorIs(t, h.Purge(t.Context(), keyA), cirque.ErrNotFound)
	want()
}

// serve answers as a proxy does, from the cache or from the origin. The response of the origin
// varies by fields. If the error is nil, the body is whole.
func (h *house) serve(ctx context.Context, key cirque.CacheKey, header http.Header, origin func() (vary []string, body string)) (string, error) {
	var c cirque.HttpCache
	defer c.Release()
	c.Enable(h.CacheOptions)
	c.SetKey(key)
	uncached := func(reason cirque.NoCacheReason) (string, error) {
		c.Disable(reason)
		_, body := origin()
		return body, nil
	}
	for {
		meta, hit, err := c.Lookup(ctx)
		if err == nil && meta.Has(cirque.MetaVaryRecord) {
			meta, hit, err = c.VaryLookup(ctx, meta, hit, header, nil)
		}
		switch {
		case err == nil && meta.IsFresh(time.Now()):
			c.Found(meta, hit, cirque.HitFresh)
			body, err := io.ReadAll(c.Hit())
			_ = c.FinishHit()
			return string(body), err
		case err == nil:
			c.Found(meta, hit, cirque.HitExpired)
		case !errors.Is(err, cirque.ErrNotFound):
			return uncached(cirque.StorageError)
		}
		c.TryLock()
		if !c.IsLocked() {
			break
		}
		status, err := c.WaitLock(ctx)
		if err != nil {
			return "", err
		}
		if status == cirque.LockGiveUp || status == cirque.LockWaitTimeout {
			return uncached(cirque.CacheLockGiveUp)
		}
	}
	if c.Phase() == cirque.PhaseCacheKey {
		c.Miss()
	}
	vary, whole := origin()
	c.SetMeta(freshMeta("from the origin"))
	c.UpdateVariance(ctx, vary, header, nil)
	f, err := c.StartFill(context.WithoutCancel(ctx), cirque.FillOptions{Reader: ctx, SizeHint: -1})
	if err != nil {
		c.Disable(cirque.StorageError)
		return whole, nil
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for rest := whole; rest != ""; {
			piece := rest[:min(len(rest), 1000)]
			rest = rest[len(piece):]
			if _, err := io.WriteString(f, piece); err != nil {
				f.Abort(cirque.StorageError)
				return
			}
		}
		_ = f.Finish()
	}()
	body, err := io.ReadAll(c.Hit())
	_ = c.FinishHit()
	<-done
	return string(body), err
}

// When any call of the Storage fails, the first time or every time, a request gets the right body
// or an error, and the key is not left locked.
func TestStorageThatFailsAtEachCall(t *testing.T) {
	whole := strings.Repeat("0123456789", 500)
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		for _, op := range faultystorage.Ops() {
			for nth := range 4 {
				t.Run(fmt.Sprintf("%v/%d", op, nth), func(t *testing.T) {
					h := newHouse(t, faultystorage.Nth(op, nth, faultystorage.Fault{Err: errBroken, Partial: 7}))
					_, streams := h.Storage.(cirque.StreamingStorage)
					broken := op == faultystorage.HitRead ||
						streams && (op == faultystorage.MissWrite || op == faultystorage.MissFinish)
					for i := range 6 {
						vary := []string{"Accept-Language"}
						if i%2 == 0 {
							vary = nil // so that the vary record comes and goes
						}
						body, err := h.serve(t.Context(), keyA, languages("en"), func() ([]string, string) { return vary, whole })
						if err != nil {
							require.True(t, broken, "the body is at hand: %v", err)
							continue
						}
						require.True(t, whole == body, "%d bytes: %.20q", len(body), body)
						switch i {
						case 1:
							c := h.begin(keyA)
							_ = c.Purge(t.Context())
							_ = h.MarkStale(t.Context(), keyA, time.Now())
						case 3:
							c := h.begin(keyA)
							meta, hit, err := c.Lookup(t.Context())
							if err == nil && meta.Has(cirque.MetaVaryRecord) {
								meta, hit, err = c.VaryLookup(t.Context(), meta, hit, languages("en"), nil)
							}
							if err == nil {
								c.Found(meta, hit, cirque.HitExpired)
								c.TryLock()
								_ = c.Revalidate(t.Context(), freshMeta("b"))
								c.Release()
							}
						case 4:
							_ = h.MarkStale(t.Context(), keyA, time.Now())
						}
						last := h.begin(keyA)
						last.TryLock()
						require.True(t, last.IsWriter(), "the key is not left locked")
						last.ReleaseWriteLock("")
					}
					if nth > 0 {
						body, err := h.serve(t.Context(), keyA, nil, func() ([]string, string) { return nil, whole })
						require.NoError(t, err)
						require.Equal(t, whole, body)
					}
				})
			}
		}
	})
}

// If the Storage panics, deferred calls of Release and Abort leave no lock, no write and no hit
// behind.
func TestStorageThatPanics(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		for _, op := range []faultystorage.Op{
			faultystorage.Lookup, faultystorage.MissHandler, faultystorage.MissNewReader, faultystorage.MissWrite, faultystorage.MissFinish,
		} {
			for nth := 1; nth <= 2; nth++ {
				t.Run(fmt.Sprintf("%v/%d", op, nth), func(t *testing.T) {
					h := newHouse(t, faultystorage.Nth(op, nth, faultystorage.Fault{Panic: errBroken}))
					func() {
						defer func() { _ = recover() }()
						var c cirque.HttpCache
						defer c.Release()
						c.Enable(h.CacheOptions)
						c.SetKey(keyA)
						c.TryLock()
						_, _, _ = c.Lookup(t.Context())
						c.Miss()
						c.SetMeta(freshMeta("a"))
						c.UpdateVariance(t.Context(), byLanguage, languages("en"), nil)
						f, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context()})
						require.NoError(t, err)
						defer f.Abort(cirque.InternalError)
						h.write(f, "body")
						h.write(f, "body")
						_ = f.Finish()
					}()
					require.Empty(t, h.tally.Open())
					h.Storage, h.tally = faultystorage.Wrap(h.Storage, nil)
					c := h.begin(keyA)
					c.TryLock()
					require.True(t, c.IsWriter())
					c.Bypass()
					c.SetMeta(freshMeta("a"))
					f, err := c.StartFill(t.Context(), cirque.FillOptions{})
					require.NoError(t, err)
					h.write(f, "body")
					require.NoError(t, f.Finish())
					require.NoError(t, h.MarkStale(t.Context(), keyA, time.Now()))
					_, body, _ := h.stored(keyA, nil)
					require.Equal(t, "body", body, "no write is under way")
				})
			}
		}
	})
}
