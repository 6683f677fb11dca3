package cirque_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
)

// purgesWithin has the two kinds of purge.
var purgesWithin = map[string]func(context.Context, *house, cirque.CacheKey) error{
	"Purge": func(ctx context.Context, h *house, key cirque.CacheKey) error { return h.Purge(ctx, key) },
	"MarkStale": func(ctx context.Context, h *house, key cirque.CacheKey) error {
		return h.MarkStale(ctx, key, time.Now())
	},
}

// purges has the same with the context of the test.
var purges = func() map[string]func(*house, cirque.CacheKey) error {
	kinds := make(map[string]func(*house, cirque.CacheKey) error)
	for name, purge := range purgesWithin {
		kinds[name] = func(h *house, key cirque.CacheKey) error { return purge(h.t.Context(), h, key) }
	}
	return kinds
}()

// eachPurge runs test with each kind of purge and each kind of Storage.
func eachPurge(t *testing.T, test func(t *testing.T, h *house, purge func(*house, cirque.CacheKey) error)) {
	eachInterruptedPurge(t, func(t *testing.T, h *house, purge func(*house, cirque.CacheKey) error, _ *interruption) {
		test(t, h, purge)
	})
}

// wantNotFresh requires that no fresh entry is found.
func (h *house) wantNotFresh(key cirque.CacheKey, language string) {
	h.t.Helper()
	_, meta, hit := h.look(key, languages(language), nil)
	if hit != nil {
		require.NoError(h.t, hit.Close())
		require.False(h.t, meta.IsFresh(time.Now()))
	}
}

func TestPurgeRemovesAllVariants(t *testing.T) {
	eachPurge(t, func(t *testing.T, h *house, purge func(*house, cirque.CacheKey) error) {
		_, en := h.putVariant(keyA, "en", "hello")
		_, fr := h.putVariant(keyA, "fr", "bonjour")
		h.put(keyB, freshMeta("b"), "body")
		require.NoError(t, purge(h, fr), "the key of a variant purges its resource")
		h.wantNotFresh(keyA, "en")
		h.wantNotFresh(keyA, "fr")
		h.wantStored(keyB, "body")
		for _, key := range []cirque.CacheKey{keyA, en, fr} {
			meta, hit, err := h.Storage.Lookup(t.Context(), key)
			if err == nil {
				require.NoError(t, hit.Close())
				require.True(t, meta.Has(cirque.MetaVaryRecord) || !meta.IsFresh(time.Now()))
				require.True(t, h.Eviction.Peek(key.Compact()))
			} else {
				require.False(t, h.Eviction.Peek(key.Compact()))
			}
		}
	})
}

func TestPurgeOfNothing(t *testing.T) {
	eachPurge(t, func(t *testing.T, h *house, purge func(*house, cirque.CacheKey) error) {
		require.ErrorIs(t, purge(h, keyA), cirque.ErrNotFound)
	})
}

func TestSoftPurgeKeepsTheEntries(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		h.put(keyA, freshMeta("a"), "body")
		h.putVariant(keyB, "en", "hello")
		now := time.Now()
		for _, key := range []cirque.CacheKey{keyA, keyB} {
			require.NoError(t, h.MarkStale(t.Context(), key, now))
			etag, body, fresh := h.stored(key, languages("en"))
			require.NotEmpty(t, etag)
			require.NotEmpty(t, body)
			require.False(t, fresh)
			require.NoError(t, h.MarkStale(t.Context(), key, now.Add(time.Second)), "it is stale already")
		}
		_, meta, hit := h.look(keyA, nil, nil)
		require.True(t, now.Equal(meta.FreshUntil()))
		require.NoError(t, hit.Close())
	})
}

// A response that was fetched before a purge is not stored after it.
func TestResponseFetchedBeforeAPurgeIsNotStored(t *testing.T) {
	eachPurge(t, func(t *testing.T, h *house, purge func(*house, cirque.CacheKey) error) {
		c := h.miss(keyA)
		_ = purge(h, keyA)
		c.SetMeta(freshMeta("a"))
		_, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context()})
		require.ErrorIs(t, err, cirque.ErrPurged)
		require.Zero(t, h.tally.Calls(faultystorage.MissHandler))
		require.True(t, c.IsWriter(), "the walk keeps the permit")

		other := h.miss(keyB) // other keys are not concerned
		other.SetMeta(freshMeta("b"))
		f, err := other.StartFill(t.Context(), cirque.FillOptions{})
		require.NoError(t, err)
		require.NoError(t, f.Finish())
	})
}

// A purge that comes while a fill begins waits until it can void the fill. Else other requests
// would find a response from before the purge. A request that reads along gets the whole body.
func TestPurgeWaitsUntilAFillHasBegun(t *testing.T) {
	for name, purge := range purges {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
				synctest.Test(t, func(t *testing.T) {
					var h *house
					purged := make(chan error, 1)
					h = newHouse(t, func(op faultystorage.Op, _ int) faultystorage.Fault {
						if op == faultystorage.MissHandler {
							go func() { purged <- purge(h, keyA) }()
							synctest.Wait()
							require.Empty(t, purged)
						}
						return faultystorage.Fault{}
					})
					c, f := h.fill(keyA, freshMeta("a"))
					synctest.Wait()
					require.Len(t, purged, 1)
					h.miss(keyA)
					reading := readAll(c)
					h.write(f, "body")
					require.ErrorIs(t, f.Finish(), cirque.ErrNotFound)
					require.Equal(t, cirque.Deferred, f.NoCacheReason())
					body, err := reading()
					require.NoError(t, err)
					require.Equal(t, "body", body)
					h.wantStored(keyA, "")
					require.True(t, h.begin(keyA).PredictCacheable())
				})
			})
		})
	}
}

// A purge does not wait for a fill that cannot begin, nor longer than its context allows.
func TestPurgeDoesNotWaitForAFillThatCannotBegin(t *testing.T) {
	for name, fault := range map[string]faultystorage.Fault{
		"an error": {Err: errBroken}, "a panic": {Panic: "disk on fire"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var h *house
				purged := make(chan error, 1)
				h = newHouse(t, memcache.New(memcache.Config{}), func(op faultystorage.Op, _ int) faultystorage.Fault {
					if op != faultystorage.MissHandler {
						return faultystorage.Fault{}
					}
					go func() { purged <- h.Purge(t.Context(), keyA) }()
					synctest.Wait()
					return fault
				})
				c := h.miss(keyA)
				c.SetMeta(freshMeta("a"))
				func() {
					defer func() { _ = recover() }()
					_, err := c.StartFill(t.Context(), cirque.FillOptions{})
					require.ErrorIs(t, err, errBroken)
				}()
				require.ErrorIs(t, <-purged, cirque.ErrNotFound)
			})
		})
	}
	for name, purge := range purgesWithin {
		t.Run("in time/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHouse(t, memcache.New(memcache.Config{}), nil)
				h.put(keyA, freshMeta("old"), "old")
				c := h.begin(keyA)
				c.Bypass()
				c.SetMeta(freshMeta("a"))
				sound := h.Storage
				h.Storage, _ = faultystorage.Wrap(sound, faultystorage.Nth(faultystorage.MissHandler, 1, faultystorage.Fault{Delay: time.Hour}))
				filled := make(chan error)
				go func() {
					f, err := c.StartFill(t.Context(), cirque.FillOptions{})
					if err == nil {
						f.Abort(cirque.UpstreamError)
					}
					filled <- err
				}()
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				require.ErrorIs(t, purge(ctx, h, keyA), context.DeadlineExceeded)
				h.wantNotFresh(keyA, "")
				require.NoError(t, <-filled)
			})
		})
	}
}

// A purge voids a fill under way. The request that caused the fill gets the whole body.
func TestPurgeVoidsAFillUnderWay(t *testing.T) {
	eachPurge(t, func(t *testing.T, h *house, purge func(*house, cirque.CacheKey) error) {
		for _, varies := range []bool{false, true} {
			for _, before := range []string{"", "older"} {
				if before != "" {
					if varies {
						h.putVariant(keyA, "en", before)
					} else {
						h.put(keyA, freshMeta("older"), before)
					}
				}
				c := h.begin(keyA)
				c.Bypass()
				c.SetMeta(freshMeta(`"en"`))
				if varies {
					c.UpdateVariance(t.Context(), byLanguage, languages("en"), nil)
				}
				f, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context(), SizeHint: -1})
				require.NoError(t, err)
				h.write(f, "half")
				_ = purge(h, keyA)
				h.wantNotFresh(keyA, "en")
				h.write(f, " and half")
				err = f.Finish()
				h.wantNotFresh(keyA, "en")
				if err != nil {
					require.ErrorIs(t, err, cirque.ErrNotFound)
					require.Equal(t, cirque.Deferred, f.NoCacheReason())
				}
				require.Equal(t, "half and half", h.read(c))
				require.True(t, h.begin(keyA).PredictCacheable())
				_ = h.Purge(t.Context(), keyA)
				require.Zero(t, h.Eviction.TotalItems())
			}
		}
	})
}

// An entry that a fill hides is not found as fresh when the fill fails after a purge.
func TestPurgeReachesAnEntryThatAWriteHides(t *testing.T) {
	eachPurge(t, func(t *testing.T, h *house, purge func(*house, cirque.CacheKey) error) {
		h.put(keyA, freshMeta("old"), "old")
		var fills []*cirque.Fill
		for range 2 {
			c := h.begin(keyA)
			c.Bypass()
			c.SetMeta(freshMeta("new"))
			f, err := c.StartFill(t.Context(), cirque.FillOptions{})
			require.NoError(t, err)
			fills = append(fills, f)
		}
		require.NoError(t, purge(h, keyA))
		fills[1].Abort(cirque.UpstreamError)
		h.wantNotFresh(keyA, "")
		_ = fills[0].Finish()
		h.wantNotFresh(keyA, "")
	})
}

// No request waits for a fetch that a purge has voided.
func TestRequestAfterAPurgeDoesNotWaitForAVoidedFetch(t *testing.T) {
	eachPurge(t, func(t *testing.T, h *house, purge func(*house, cirque.CacheKey) error) {
		h.miss(keyA)
		_ = purge(h, keyA)
		h.miss(keyA) // and is the writer
	})
}

func TestPurgeReturnsTheErrorOfTheStorage(t *testing.T) {
	for name, script := range map[string]faultystorage.Script{
		"of the resource": faultystorage.Nth(faultystorage.Purge, 1, faultystorage.Fault{Err: errBroken}),
		"of a variant":    faultystorage.Nth(faultystorage.Purge, 2, faultystorage.Fault{Err: errBroken}),
		"every time":      faultystorage.Nth(faultystorage.Purge, 0, faultystorage.Fault{Err: errBroken}),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, memcache.New(memcache.Config{}), script)
			h.putVariant(keyA, "en", "hello")
			h.putVariant(keyA, "fr", "bonjour")
			err := h.Purge(t.Context(), keyA)
			require.ErrorIs(t, err, errBroken)
			require.NotErrorIs(t, err, cirque.ErrNotFound)
			require.Equal(t, 3, h.tally.Calls(faultystorage.Purge), "the other slots are still purged")
		})
	}
	for name, script := range map[string]faultystorage.Script{
		"Lookup":                  faultystorage.Nth(faultystorage.Lookup, 0, faultystorage.Fault{Err: errBroken}),
		"UpdateMeta":              faultystorage.Nth(faultystorage.UpdateMeta, 0, faultystorage.Fault{Err: errBroken}),
		"UpdateMeta of the first": faultystorage.Nth(faultystorage.UpdateMeta, 1, faultystorage.Fault{Err: errBroken}),
	} {
		t.Run("softly/"+name, func(t *testing.T) {
			h := newHouse(t, memcache.New(memcache.Config{}), nil)
			h.putVariant(keyA, "en", "hello")
			h.putVariant(keyA, "fr", "bonjour")
			sound := h.Storage
			h.Storage, _ = faultystorage.Wrap(sound, script)
			err := h.MarkStale(t.Context(), keyA, time.Now())
			require.ErrorIs(t, err, errBroken)
			h.Storage = sound
			_, _, fresh := h.stored(keyA, languages("fr"))
			require.Equal(t, name != "UpdateMeta of the first", fresh)
		})
	}
}

func TestPurgeInBackgroundReports(t *testing.T) {
	h := newHouse(t, memcache.New(memcache.Config{}), faultystorage.Nth(faultystorage.Purge, 1, faultystorage.Fault{Panic: "disk on fire"}))
	h.put(keyA, freshMeta("a"), "body")
	c := h.begin(keyA)
	reports := make(chan error)
	report := func(err error) { reports <- err }
	c.PurgeInBackground(t.Context(), report)
	require.ErrorContains(t, <-reports, "disk on fire")
	c.PurgeInBackground(t.Context(), report)
	require.NoError(t, <-reports)
	c.PurgeInBackground(t.Context(), nil)
	h.wantStored(keyA, "")
}

// Many walks use one cache, with purges of both kinds. After a purge has returned, no request gets
// as fresh what the origin said before it.
func TestNothingOlderIsFreshAfterAPurge(t *testing.T) {
	const resources, walkers, rounds = 3, 6, 150
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		manager, err := eviction.NewSimpleLRU(eviction.Config{Limit: 1 << 20, MaxItems: 2 * resources})
		require.NoError(t, err)
		h.Eviction = manager
		// What the origin says, and what it said at the last purge that has returned.
		var versions, purged [resources]atomic.Int64
		key := func(i int) cirque.CacheKey { return cirque.NewCacheKey("", fmt.Sprint(i), "") }
		request := func(who, round int) error {
			i := round % resources
			atLeast := purged[i].Load()
			body, err := h.serve(t.Context(), key(i), languages(strconv.Itoa(who%2)), func() ([]string, string) {
				return [][]string{nil, byLanguage}[i%2], strconv.FormatInt(versions[i].Load(), 10)
			})
			if err != nil {
				return err
			}
			if got, _ := strconv.ParseInt(body, 10, 64); got < atLeast {
				return fmt.Errorf("resource %d: version %d after a purge at %d", i, got, atLeast)
			}
			return nil
		}
		var wg sync.WaitGroup
		for who := range walkers {
			wg.Go(func() {
				for round := range rounds {
					if err := request(who, who+round); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Go(func() {
			for round := range rounds {
				i := round % resources
				version := versions[i].Add(1)
				var err error
				if round%2 == 0 {
					err = h.Purge(t.Context(), key(i))
				} else {
					err = h.MarkStale(t.Context(), key(i), time.Now())
				}
				if err != nil && !errors.Is(err, cirque.ErrNotFound) {
					t.Error(err)
				}
				purged[i].Store(version)
			}
		})
		wg.Wait()
	})
}
