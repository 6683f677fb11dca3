package cirque_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/inspect"
)

func TestParseIdentityIsTheInverse(t *testing.T) {
	for _, key := range []cirque.CacheKey{
		cirque.NewCacheKey("", "", ""),
		cirque.NewCacheKey("n", "https\x00h\x00\x00/a?b", ""),
		cirque.NewCacheKey("n", "p", "").WithVariance(cirque.HashBinary{1, 2}),
	} {
		parsed, err := cirque.ParseIdentity(key.AppendIdentity(nil))
		require.NoError(t, err)
		require.Equal(t, key, parsed)
	}
	for _, bad := range []string{"", "\x05n", "\x01n", "\x01n\x01", "\x01n\x01pq", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01n"} {
		_, err := cirque.ParseIdentity([]byte(bad))
		require.Error(t, err, "%q", bad)
	}
}

func TestLockTellsWhetherAKeyIsHeld(t *testing.T) {
	lock := cirque.NewCacheLock(50 * time.Millisecond).(inspect.ObservableLock)
	held := func() [2]bool {
		h, stale := lock.Held(keyA)
		return [2]bool{h, stale}
	}
	require.Equal(t, [2]bool{}, held())
	permit, _ := lock.Lock(keyA, true)
	require.Equal(t, [2]bool{true, true}, held())
	lock.Release(keyA, permit, cirque.LockDone)
	require.Equal(t, [2]bool{}, held())
	_, _ = lock.Lock(keyA, false)
	require.Equal(t, [2]bool{true, false}, held())
	require.Eventually(t, func() bool { return held() == [2]bool{} }, 5*time.Second, time.Millisecond, "the writer's time is over")
}

func TestPurgeStateSaysWhatVoidsAResponse(t *testing.T) {
	var state cirque.PurgeState
	want := func(m *cirque.CacheMeta, purge *cirque.PurgeEvent) {
		t.Helper()
		e, ok := state.VoidedBy(m)
		require.Equal(t, purge != nil, ok)
		require.Equal(t, ok, state.Voids(m))
		if ok {
			require.Equal(t, *purge, e)
		}
	}
	meta := freshMeta("a")
	want(meta, nil)
	grouped := cirque.NewCacheMeta(200, map[string][]string{"Cache-Groups": {`"g"`}}, time.Now(), time.Now(), 0, 0)
	grouped.SetGroups("https://a.example")
	require.NoError(t, state.PurgeGroups(t.Context(), "https://a.example", "g"))
	want(meta, nil)
	e, ok := state.VoidedBy(grouped)
	require.True(t, ok)
	require.Len(t, e.Groups, 1)
	state.Apply(cirque.PurgeEvent{Epoch: 2, EveryGroup: true})
	want(grouped, &cirque.PurgeEvent{EveryGroup: true})
	require.NoError(t, state.PurgeAll(t.Context()))
	want(meta, &cirque.PurgeEvent{All: true})
	want(grouped, &cirque.PurgeEvent{All: true})
}
