package cirque_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
)

// interruption runs a function before the next call of one of the Storage's methods.
type interruption struct {
	op faultystorage.Op
	do func()
}

func (i *interruption) script(op faultystorage.Op, _ int) faultystorage.Fault {
	if do := i.do; do != nil && op == i.op {
		i.do = nil
		do()
	}
	return faultystorage.Fault{}
}

// eachInterruptedPurge runs test with each kind of purge and each kind of Storage. The function of
// the interruption runs during a call of the Storage.
func eachInterruptedPurge(t *testing.T, test func(t *testing.T, h *house, purge func(*house, cirque.CacheKey) error, amid *interruption)) {
	for name, purge := range purges {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
				amid := new(interruption)
				test(t, newHouse(t, amid.script), purge, amid)
			})
		})
	}
}

// fetchPast begins to store the response to a request that skipped the lookup. The fill fails
// later.
func (h *house) fetchPast(key cirque.CacheKey) (fail func()) {
	c := h.begin(key)
	c.Bypass()
	c.SetMeta(freshMeta("new"))
	f, err := c.StartFill(h.t.Context(), cirque.FillOptions{})
	if err != nil {
		return func() {}
	}
	return func() { f.Abort(cirque.UpstreamError) }
}

// storeVariant ends the walk of a request for a variant by storing it, if that is possible.
func (h *house) storeVariant(c *cirque.HttpCache, language, body string) {
	c.Miss()
	c.SetMeta(freshMeta(strconv.Quote(language)))
	c.UpdateVariance(h.t.Context(), byLanguage, languages(language), nil)
	f, err := c.StartFill(h.t.Context(), cirque.FillOptions{Reader: h.t.Context(), SizeHint: -1})
	if err != nil {
		return
	}
	h.write(f, body)
	_ = f.Finish()
}

func (h *house) evictRecord(key cirque.CacheKey) {
	h.Eviction.Remove(key.Compact())
	require.NoError(h.t, h.Storage.Purge(h.t.Context(), key.Compact(), cirque.PurgeEviction))
}

// A write that begins during a purge, and fails later, does not hide the entry in place from the
// purge.
func TestFetchThatBeginsDuringAPurge(t *testing.T) {
	for name, varies := range map[string]bool{"one response": false, "variants": true} {
		t.Run(name, func(t *testing.T) {
			eachInterruptedPurge(t, func(t *testing.T, h *house, purge func(*house, cirque.CacheKey) error, amid *interruption) {
				if varies {
					h.putVariant(keyA, "en", "hello")
				} else {
					h.put(keyA, freshMeta("old"), "hello")
				}
				fail := func() {}
				*amid = interruption{faultystorage.Lookup, func() { fail = h.fetchPast(keyA) }}
				require.NoError(t, purge(h, keyA))
				require.Nil(t, amid.do)
				fail()
				h.wantNotFresh(keyA, "en")
			})
		})
	}
}

// A request that finds the vary record during a purge does not store it again after the purge.
func TestRecordFoundDuringAPurgeIsNotStoredAgain(t *testing.T) {
	for name, leaves := range map[string]func(*house){
		"and evicted": func(h *house) { h.evictRecord(keyA) },
		"and hidden":  func(h *house) { h.t.Cleanup(h.fetchPast(keyA)) },
		"and stays":   func(*house) {},
	} {
		t.Run(name, func(t *testing.T) {
			eachInterruptedPurge(t, func(t *testing.T, h *house, purge func(*house, cirque.CacheKey) error, amid *interruption) {
				h.putVariant(keyA, "en", "hello")
				var c *cirque.HttpCache
				*amid = interruption{faultystorage.Lookup, func() {
					c, _, _ = h.look(keyA, languages("fr"), nil)
					leaves(h)
				}}
				_ = purge(h, keyA)
				h.storeVariant(c, "fr", "bonjour")
				h.wantNotFresh(keyA, "en")
				h.wantNotFresh(keyA, "fr")
			})
		})
	}
}

// The same holds if the purge drops the record itself, because a write to its slot is under way.
func TestRecordDroppedByAPurgeIsNotStoredAgain(t *testing.T) {
	eachInterruptedPurge(t, func(t *testing.T, h *house, purge func(*house, cirque.CacheKey) error, amid *interruption) {
		h.putVariant(keyA, "en", "hello")
		fail := h.fetchPast(keyA)
		var c *cirque.HttpCache
		*amid = interruption{faultystorage.Purge, func() {
			var hit cirque.HitHandler
			if c, _, hit = h.look(keyA, languages("fr"), nil); hit != nil {
				require.NoError(t, hit.Close()) // what is on its way, where that is to be seen
			}
		}}
		require.NoError(t, purge(h, keyA))
		fail()
		h.storeVariant(c, "fr", "bonjour")
		h.wantNotFresh(keyA, "en")
		h.wantNotFresh(keyA, "fr")
	})
}

// A variant that is dropped from a full record while it is written is out of reach of soft purges.
// So it is not stored.
func TestVariantThatLeavesTheRecordWhileWrittenIsNotStored(t *testing.T) {
	eachPurge(t, func(t *testing.T, h *house, purge func(*house, cirque.CacheKey) error) {
		h.putVariant(keyA, "xx", "x")
		_, f := h.fillVariant(keyA, `"en"`, byLanguage, languages("en"), nil)
		for i := range cirque.MaxVariants {
			h.putVariant(keyA, strconv.Itoa(i), "x")
		}
		h.write(f, "hello")
		_ = f.Finish()
		require.NoError(t, purge(h, keyA))
		h.wantNotFresh(keyA, "en")
	})
}

// A soft purge that cannot read the vary record leaves its variants fresh, and returns an error.
func TestSoftPurgeThatCannotReadTheRecordFails(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		h.putVariant(keyA, "en", "hello")
		h.Storage, _ = faultystorage.Wrap(h.Storage, faultystorage.Nth(faultystorage.Lookup, 1, faultystorage.Fault{Err: errBroken}))
		require.ErrorIs(t, h.MarkStale(t.Context(), keyA, time.Now()), errBroken)
		require.NoError(t, h.MarkStale(t.Context(), keyA, time.Now()))
		h.wantNotFresh(keyA, "en")
	})
}

// A purge that cannot wait for a write to begin still voids it, and removes the entry in place.
func TestPurgeThatCannotWaitVoidsTheWrite(t *testing.T) {
	for name, purge := range purgesWithin {
		for kind, varies := range map[string]bool{"one response": false, "variants": true} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
					amid := new(interruption)
					h := newHouse(t, amid.script)
					h.put(keyA, freshMeta("old"), "old")
					ended, cancel := context.WithCancel(t.Context())
					cancel()
					purged := false
					*amid = interruption{faultystorage.MissHandler, func() {
						purged = true
						require.ErrorIs(t, purge(ended, h, keyA), context.Canceled)
						h.wantNotFresh(keyA, "en")
					}}
					c := h.begin(keyA)
					c.Bypass()
					c.SetMeta(freshMeta(`"en"`))
					if varies {
						c.UpdateVariance(t.Context(), byLanguage, languages("en"), nil)
					}
					f, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context(), SizeHint: -1})
					require.NoError(t, err)
					require.True(t, purged)
					require.Equal(t, cirque.Deferred, f.NoCacheReason())
					require.ErrorIs(t, f.Err(), cirque.ErrPurged)
					h.write(f, "body")
					require.Error(t, f.Finish())
					require.Equal(t, "body", h.read(c))
					h.wantNotFresh(keyA, "en")
				})
			})
		}
	}
}

// A hook may purge the key whose write has called it: the purge does not wait for ever.
func TestHookThatPurgesItsOwnWriteEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		budget := cirque.NewBudget(16 << 10)
		store := memcache.New(memcache.Config{Budget: budget})
		h := newHouse(t, store, nil)
		budget.EvictWith(h.Eviction, store)
		h.put(keyB, freshMeta("b"), string(make([]byte, 9<<10)))
		var purged []error
		trace := &cirque.CacheTrace{Evicted: func(cirque.CompactCacheKey, error) {
			purged = append(purged, h.Purge(context.Background(), keyA))
		}}
		ctx := cirque.WithCacheTrace(t.Context(), trace)
		c := h.miss(keyA)
		c.SetTrace(trace)
		c.SetMeta(freshMeta(string(make([]byte, 6<<10))))
		f, err := c.StartFill(ctx, cirque.FillOptions{})
		require.NoError(t, err)
		require.Equal(t, cirque.Deferred, f.NoCacheReason())
		f.Abort(cirque.InternalError)
		require.Len(t, purged, 1)
		require.ErrorIs(t, purged[0], context.DeadlineExceeded)
	})
}

// A response that the Purged hook fetches counts as fetched after the purge.
func TestFetchInThePurgedHookIsStored(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		h.put(keyA, freshMeta("old"), "old")
		trace := &cirque.CacheTrace{Purged: func(cirque.TraceEvent) { h.put(keyA, freshMeta("new"), "new") }}
		require.NoError(t, h.Purge(cirque.WithCacheTrace(t.Context(), trace), keyA))
		h.wantStored(keyA, "new")
	})
}
