package cirque_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/rules"
)

// staleMeta returns the meta of a response that has been stale for an hour.
func staleMeta(etag string) *cirque.CacheMeta {
	then := time.Now().Add(-2 * time.Hour)
	return cirque.NewCacheMeta(http.StatusOK, http.Header{"Etag": {etag}}, then, then.Add(time.Hour), 0, 0)
}

func TestRevalidate(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		h.put(keyA, staleMeta("a"), "body")
		c := h.stale(keyA)
		tag := c.Hit().Tag()
		c.TryLock()
		other := h.stale(keyA)
		other.TryLock()
		require.True(t, other.IsLocked())

		fresh, refusal := new(rules.Policy).Freshen(c.Meta(), &rules.Exchange{
			Request: &http.Request{Method: http.MethodGet}, Status: http.StatusNotModified,
			Header:      http.Header{"Cache-Control": {"max-age=60"}, "X-New": {"yes"}},
			RequestTime: time.Now(), ResponseTime: time.Now(),
		})
		require.Nil(t, refusal)
		require.NoError(t, c.Revalidate(t.Context(), fresh))
		require.Equal(t, cirque.PhaseRevalidated, c.Phase())
		require.False(t, c.IsWriter())
		require.Equal(t, "body", h.read(c))
		status, err := other.WaitLock(t.Context())
		require.NoError(t, err)
		require.Equal(t, cirque.LockDone, status)

		meta, hit, err := other.Lookup(t.Context())
		require.NoError(t, err)
		require.True(t, meta.IsFresh(time.Now()))
		require.Equal(t, "yes", meta.Header().Get("X-New"))
		require.Equal(t, tag, hit.Tag(), "the entry is the same")
		other.Found(meta, hit, cirque.HitFresh)
		require.Equal(t, "body", h.read(other))
	})
}

// Each end of a validation gives its waiters the right status, and the entry the right meta.
func TestWaitersLearnHowTheValidationEnded(t *testing.T) {
	for name, test := range map[string]struct {
		script faultystorage.Script
		before func(*house)
		err    error
		want   cirque.LockStatus
	}{
		"purged": {
			before: func(h *house) { require.NoError(h.t, h.Purge(h.t.Context(), keyA)) },
			err:    cirque.ErrNotFound, want: cirque.LockTransientError,
		},
		"marked stale": {
			before: func(h *house) { require.NoError(h.t, h.MarkStale(h.t.Context(), keyA, time.Now())) },
			err:    cirque.ErrNotFound, want: cirque.LockTransientError,
		},
		"evicted": {
			before: func(h *house) {
				require.NoError(h.t, h.Storage.Purge(h.t.Context(), keyA.Compact(), cirque.PurgeEviction))
			},
			err: cirque.ErrNotFound, want: cirque.LockTransientError,
		},
		"replaced": {
			before: func(h *house) {
				c := h.begin(keyA)
				c.Bypass()
				c.SetMeta(staleMeta("b"))
				f, err := c.StartFill(h.t.Context(), cirque.FillOptions{})
				require.NoError(h.t, err)
				require.NoError(h.t, f.Finish())
			},
			err: cirque.ErrNotFound, want: cirque.LockTransientError,
		},
		"storage": {
			script: faultystorage.Nth(faultystorage.UpdateMeta, 1, faultystorage.Fault{Err: errBroken}),
			err:    errBroken, want: cirque.LockTransientError,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, memcache.New(memcache.Config{}), test.script)
			h.put(keyA, staleMeta("a"), "body")
			c := h.stale(keyA)
			c.TryLock()
			other := h.stale(keyA)
			other.TryLock()
			require.True(t, other.IsLocked())
			if test.before != nil {
				test.before(h)
			}
			require.ErrorIs(t, c.Revalidate(t.Context(), freshMeta("validated")), test.err)
			require.Equal(t, cirque.PhaseRevalidated, c.Phase())
			require.Equal(t, "body", h.read(c), "it is still served")
			status, err := other.WaitLock(t.Context())
			require.NoError(t, err)
			require.Equal(t, test.want, status)
			h.wantNotFresh(keyA, "")
		})
	}
}

// A purge that comes while the Storage writes the new meta wins.
func TestPurgeDuringAValidationWins(t *testing.T) {
	for name, purge := range purges {
		t.Run(name, func(t *testing.T) {
			var h *house
			h = newHouse(t, memcache.New(memcache.Config{}), func(op faultystorage.Op, call int) faultystorage.Fault {
				if op == faultystorage.UpdateMeta && call == 1 {
					_ = purge(h, keyA)
				}
				return faultystorage.Fault{}
			})
			h.put(keyA, staleMeta("a"), "body")
			c := h.stale(keyA)
			require.ErrorIs(t, c.Revalidate(t.Context(), freshMeta("a")), cirque.ErrNotFound)
			h.wantNotFresh(keyA, "")
		})
	}
}

func TestValidatedEntryHasItsNewWeight(t *testing.T) {
	budget := cirque.NewBudget(1 << 20)
	h := newHouse(t, memcache.New(memcache.Config{Budget: budget}), nil)
	h.put(keyA, staleMeta("a"), "body")
	for _, etag := range []string{strings.Repeat("longer", 100), "a"} {
		c := h.stale(keyA)
		before := h.Eviction.TotalWeight()
		require.NoError(t, c.Revalidate(t.Context(), freshMeta(etag)))
		c.Release()
		require.NotEqual(t, before, h.Eviction.TotalWeight())
		require.Equal(t, budget.Used(), h.Eviction.TotalWeight())
	}
}

// An entry that grows evicts others if there is no room.
func TestValidatedEntryThatGrowsEvictsOthers(t *testing.T) {
	h := inMemory(t)
	h.put(keyA, staleMeta("a"), strings.Repeat("body", 500))
	manager, err := eviction.NewSimpleLRU(eviction.Config{Limit: 2*h.Eviction.TotalWeight() + 100})
	require.NoError(t, err)
	h.Eviction = manager
	h.put(keyB, freshMeta("b"), strings.Repeat("body", 500))
	var evicted []cirque.CompactCacheKey
	c := h.stale(keyA)
	c.SetTrace(&cirque.CacheTrace{Evicted: func(key cirque.CompactCacheKey, _ error) { evicted = append(evicted, key) }})
	require.NoError(t, c.Revalidate(t.Context(), freshMeta(strings.Repeat("longer", 100))))
	require.Equal(t, []cirque.CompactCacheKey{keyB.Compact()}, evicted)
	h.wantStored(keyB, "")
}

// The record's copy of the validators is updated with the variant.
func TestRecordHasTheValidatorsOfTheValidatedVariant(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		h.putVariant(keyA, "en", "hello")
		before, _ := h.putVariant(keyA, "fr", "bonjour")
		validate := func(etag string) {
			c, meta, hit := h.look(keyA, languages("en"), nil)
			c.Found(meta, hit, cirque.HitExpired)
			require.NoError(t, c.Revalidate(t.Context(), withETag(meta, etag)))
			require.Equal(t, c.Key().Variance(), c.Meta().Variance())
		}
		validate(`"en"`)
		require.Equal(t, before, h.record(keyA), "the record is unchanged")
		validate(`"en2"`)
		require.Equal(t, before.Epoch, h.record(keyA).Epoch)
		require.Equal(t, []string{`"fr"`, `"en2"`}, etags(h.record(keyA)))
		h.wantVariant(keyA, "fr", "bonjour")
		h.wantVariant(keyA, "en", "hello")
	})
}

func withETag(meta *cirque.CacheMeta, etag string) *cirque.CacheMeta {
	meta = meta.Clone()
	header := meta.Header().Header()
	header.Set("Etag", etag)
	meta.SetHeader(header)
	return meta
}

// A response can be stale, and be validated, while it is still read from the origin.
func TestRevalidateAWriteUnderWay(t *testing.T) {
	h := inMemory(t)
	c, f := h.fill(keyA, staleMeta("a"))
	h.write(f, "half")
	other := h.stale(keyA)
	require.Equal(t, f.Tag(), other.Hit().Tag())
	require.NoError(t, other.Revalidate(t.Context(), freshMeta("b")))
	h.write(f, " and half")
	require.NoError(t, f.Finish())
	require.Equal(t, "half and half", h.read(other))
	require.Equal(t, "half and half", h.read(c))
	etag, body, fresh := h.stored(keyA, nil)
	require.Equal(t, "b", etag)
	require.Equal(t, "half and half", body)
	require.True(t, fresh)
}

func TestRevalidateUncacheable(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		h.putVariant(keyA, "en", "hello")
		h.putVariant(keyA, "fr", "bonjour")
		c, meta, hit := h.look(keyA, languages("en"), nil)
		c.Found(meta, hit, cirque.HitExpired)
		c.TryLock()
		other, otherMeta, otherHit := h.look(keyA, languages("en"), nil)
		other.Found(otherMeta, otherHit, cirque.HitExpired)
		other.TryLock()
		require.True(t, other.IsLocked())

		fresh := freshMeta("en")
		require.NoError(t, c.RevalidateUncacheable(t.Context(), fresh, cirque.OriginNotCache))
		require.Equal(t, cirque.OriginNotCache, c.NoCacheReason())
		require.True(t, c.Enabled())
		require.Same(t, fresh, c.Meta())
		require.Equal(t, "hello", h.read(c))
		status, err := other.WaitLock(t.Context())
		require.NoError(t, err)
		require.Equal(t, cirque.LockGiveUp, status)
		h.wantVariant(keyA, "en", "")
		h.wantVariant(keyA, "fr", "bonjour")
		require.False(t, h.Eviction.Peek(c.Key().Compact()))
	})
}

// If the request forbids storing, not the answer, the entry stays for others.
func TestRevalidateForThisRequestAloneKeepsTheEntry(t *testing.T) {
	h := inMemory(t)
	h.put(keyA, staleMeta("a"), "body")
	c := h.stale(keyA)
	c.TryLock()
	other := h.stale(keyA)
	other.TryLock()
	require.NoError(t, c.RevalidateUncacheable(t.Context(), freshMeta("a"), cirque.Deferred))
	require.Equal(t, cirque.Deferred, c.NoCacheReason())
	require.Equal(t, "body", h.read(c))
	status, err := other.WaitLock(t.Context())
	require.NoError(t, err)
	require.Equal(t, cirque.LockTransientError, status)
	_, body, fresh := h.stored(keyA, nil)
	require.Equal(t, "body", body)
	require.False(t, fresh)
}

// No other request gets the lock before the entry is gone. Else it would validate the entry once
// more.
func TestRevalidateUncacheableReleasesTheLockLast(t *testing.T) {
	var h *house
	h = newHouse(t, memcache.New(memcache.Config{}), func(op faultystorage.Op, _ int) faultystorage.Fault {
		if op != faultystorage.Purge {
			return faultystorage.Fault{}
		}
		other := h.begin(keyA)
		other.TryLock()
		require.True(t, other.IsLocked())
		return faultystorage.Fault{Err: errBroken}
	})
	h.put(keyA, staleMeta("a"), "body")
	c := h.stale(keyA)
	c.TryLock()
	require.ErrorIs(t, c.RevalidateUncacheable(t.Context(), freshMeta("a"), cirque.OriginNotCache), errBroken)
	require.False(t, c.IsWriter())
	require.Equal(t, "body", h.read(c))
}

// An answer that may not be stored removes the entry that it replaces, and nothing else.
func TestSupersedeRemovesOnlyWhatIsOlder(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		h.putVariant(keyA, "en", "hello")
		h.putVariant(keyA, "fr", "bonjour")
		sibling, _, _ := h.look(keyA, languages("de"), nil)
		c, meta, hit := h.look(keyA, languages("en"), nil)
		c.Found(meta, hit, cirque.HitExpired)
		require.NoError(t, c.Supersede(t.Context(), answerNow()))
		require.ErrorIs(t, c.Supersede(t.Context(), answerNow()), cirque.ErrNotFound)
		require.Equal(t, cirque.PhaseStale, c.Phase())
		h.wantVariant(keyA, "en", "")
		h.wantVariant(keyA, "fr", "bonjour")

		// This is not a purge: responses that others fetch meanwhile are stored.
		sibling.Miss()
		sibling.SetMeta(freshMeta(`"de"`))
		sibling.UpdateVariance(t.Context(), byLanguage, languages("de"), nil)
		f, err := sibling.StartFill(t.Context(), cirque.FillOptions{})
		require.NoError(t, err)
		h.write(f, "hallo")
		require.NoError(t, f.Finish())
		h.wantVariant(keyA, "de", "hallo")
	})
}

// A body that turns out too large removes the entry that it would have replaced, but not an entry
// that another request has stored meanwhile.
func TestTooLargeBodySupersedesTheEntry(t *testing.T) {
	for name, test := range map[string]struct {
		found  cirque.HitStatus
		others bool   // store something meanwhile
		want   string // is what is stored in the end
	}{
		"stale":          {found: cirque.HitExpired},
		"not to be used": {found: cirque.HitForceMiss},
		"stored since":   {found: cirque.HitExpired, others: true, want: "new"},
	} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
				h := newHouse(t, nil)
				h.MaxObjectBytes = 3
				h.put(keyA, freshMeta("a"), "old")
				c := h.begin(keyA)
				meta, hit, err := c.Lookup(t.Context())
				require.NoError(t, err)
				c.Found(meta, hit, test.found)
				c.SetMeta(freshMeta("b"))
				f, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context(), SizeHint: -1})
				require.NoError(t, err)
				defer c.Release()
				h.write(f, "far")
				if test.others {
					other := h.begin(keyA)
					other.Bypass()
					other.SetMeta(freshMeta("c"))
					newer, err := other.StartFill(t.Context(), cirque.FillOptions{})
					require.NoError(t, err)
					h.write(newer, "new")
					require.NoError(t, newer.Finish())
				}
				h.write(f, " too large")
				h.wantStored(keyA, test.want)
				require.Equal(t, test.want != "", h.Eviction.Peek(keyA.Compact()))
				require.ErrorIs(t, f.Finish(), cirque.ErrUnlinked)
				h.wantStored(keyA, test.want)
			})
		})
	}
}
