package middleware_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

func TestSoftMemoryLimitCountsEachMemoryOnce(t *testing.T) {
	of := func(cfg middleware.Config) *middleware.Cache {
		cache, err := middleware.New(cfg)
		require.NoError(t, err)
		return cache
	}
	one, other := of(middleware.Config{MaxBytes: 600 << 20}), of(middleware.Config{MaxBytes: 400 << 20})
	shared := of(middleware.Config{Storage: one.Options().Storage, MaxBytes: 1 << 20})
	require.EqualValues(t, 750<<20, middleware.SoftMemoryLimit(one))
	require.EqualValues(t, 1250<<20, middleware.SoftMemoryLimit(one, other, one))
	require.EqualValues(t, 601<<20+601<<20/4, middleware.SoftMemoryLimit(one, shared), "the bodies beside a Storage of your own count")

	small := middleware.SoftMemoryLimit(of(middleware.Config{MaxBytes: 1 << 20}))
	require.Greater(t, small, int64(32<<20), "a process takes more than a small cache")
	unlimited := of(middleware.Config{Storage: memcache.New(memcache.Config{}), MaxBytes: 1 << 20})
	require.Less(t, middleware.SoftMemoryLimit(unlimited), int64(40<<20), "a Storage without a limit adds nothing")
}
