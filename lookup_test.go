package cirque_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
)

func TestLookupReturnsTheErrorOfTheStorage(t *testing.T) {
	h := newHouse(t, memcache.New(memcache.Config{}), faultystorage.Nth(faultystorage.Lookup, 1, faultystorage.Fault{Err: errBroken}))
	c := h.begin(keyA)
	_, _, err := c.Lookup(t.Context())
	require.ErrorIs(t, err, errBroken)
	require.Equal(t, cirque.PhaseCacheKey, c.Phase())
	_, _, err = c.Lookup(t.Context())
	require.ErrorIs(t, err, cirque.ErrNotFound, "Lookup may be called again")
}

func TestEntriesFromBeforeValidAfterAreNotFound(t *testing.T) {
	h := inMemory(t)
	meta := freshMeta("a")
	h.put(keyA, meta, "body")
	for _, test := range []struct {
		validAfter time.Time
		found      bool
	}{
		{meta.Created().Add(1), false},
		{meta.Created(), true},
		{time.Time{}, true},
	} {
		c := h.begin(keyA)
		c.SetValidAfter(test.validAfter)
		_, hit, err := c.Lookup(t.Context())
		if test.found {
			require.NoError(t, err)
			require.NoError(t, hit.Close())
		} else {
			require.ErrorIs(t, err, cirque.ErrNotFound)
			require.Empty(t, h.tally.Open())
		}
	}
}

func TestHitCountsAsAnAccess(t *testing.T) {
	h := inMemory(t)
	h.put(keyA, freshMeta("a"), "body")
	for _, status := range []cirque.HitStatus{cirque.HitFresh, cirque.HitExpired, cirque.HitForceMiss} {
		h.Eviction.Remove(keyA.Compact())
		c := h.begin(keyA)
		meta, hit, err := c.Lookup(t.Context())
		require.NoError(t, err)
		weight := hit.Weight()
		c.Found(meta, hit, status)
		if status == cirque.HitForceMiss {
			require.False(t, h.Eviction.Peek(keyA.Compact()))
		} else {
			require.True(t, h.Eviction.Peek(keyA.Compact()), "%v: it is tracked from now on", status)
			require.Equal(t, weight, h.Eviction.TotalWeight())
		}
	}
}
