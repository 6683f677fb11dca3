package cirque_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/memcache"
)

// metaAt returns the meta of a response in these groups that was fetched at that epoch.
func metaAt(epoch cirque.PurgeEpoch, groups ...string) *cirque.CacheMeta {
	header := http.Header{}
	for _, name := range groups {
		header.Add("Cache-Groups", `"`+name+`"`)
	}
	now := time.Now()
	m := cirque.NewCacheMeta(http.StatusOK, header, now, now.Add(time.Hour), 0, 0)
	m.SetGroups("https://example.com")
	m.SetPurgeEpoch(epoch)
	return m
}

func group(name string) cirque.HashBinary { return cirque.GroupHash("https://example.com", name) }

func TestPurgeStateVoidsOlderResponses(t *testing.T) {
	var s cirque.PurgeState
	require.False(t, s.Voids(metaAt(0, "a")))
	require.True(t, s.Voids(metaAt(1, "a")), "from another history")

	require.NoError(t, s.PurgeGroups(t.Context()))
	require.Zero(t, s.Epoch(), "there was no purge")
	require.NoError(t, s.PurgeGroups(t.Context(), group("a"), group("b")))
	require.EqualValues(t, 1, s.Epoch())
	require.True(t, s.Voids(metaAt(0, "x", "b")))
	require.False(t, s.Voids(metaAt(0, "x")))
	require.False(t, s.Voids(metaAt(0)))
	require.False(t, s.Voids(metaAt(1, "a")))
	elsewhere := metaAt(0, "a")
	elsewhere.SetGroups("https://example.org")
	require.False(t, s.Voids(elsewhere), "a group of another origin")

	require.NoError(t, s.PurgeAll(t.Context()))
	require.True(t, s.Voids(metaAt(1)))
	require.False(t, s.Voids(metaAt(2, "a")))

	require.NoError(t, s.PurgeGroups(t.Context(), group("a")))
	require.True(t, s.Voids(metaAt(2, "a")))
	require.False(t, s.Voids(metaAt(2, "b")))
	require.False(t, s.Voids(metaAt(3, "a")))
}

// Events may come twice, or late. A snapshot makes the same state as all events.
func TestPurgeStateIsRestoredFromItsSnapshot(t *testing.T) {
	events := []cirque.PurgeEvent{
		{Epoch: 10, Scope: cirque.PurgeScopeAll},
		{Epoch: 12, Scope: cirque.PurgeScopeGroups, Groups: []cirque.HashBinary{group("a"), group("b")}},
		{Epoch: 11, Scope: cirque.PurgeScopeEveryGroup},
		{Epoch: 14, Scope: cirque.PurgeScopeGroups, Groups: []cirque.HashBinary{group("a")}},
		{Epoch: 13, Scope: cirque.PurgeScopeGroups, Groups: []cirque.HashBinary{group("a")}},
		{Epoch: 10, Scope: cirque.PurgeScopeAll},
		{Epoch: 20, Scope: cirque.PurgeScopeGroups},
	}
	var first, second cirque.PurgeState
	first.Restore(nil, events...)
	second.Restore(nil, first.Snapshot()...)
	for _, s := range []*cirque.PurgeState{&first, &second} {
		require.EqualValues(t, 20, s.Epoch())
		for epoch := range cirque.PurgeEpoch(23) {
			require.Equal(t, epoch < 10 || epoch > 20, s.Voids(metaAt(epoch)), epoch)
			require.Equal(t, epoch < 11 || epoch > 20, s.Voids(metaAt(epoch, "x")), epoch)
			require.Equal(t, epoch < 12 || epoch > 20, s.Voids(metaAt(epoch, "b")), epoch)
			require.Equal(t, epoch < 14 || epoch > 20, s.Voids(metaAt(epoch, "a")), epoch)
		}
	}
}

// The memory for purged groups is bounded, whatever their number and their names, and no purge is
// lost.
func TestPurgedGroupsAreBounded(t *testing.T) {
	before := heap()
	s := new(cirque.PurgeState)
	long := strings.Repeat("n", 60_000)
	old := metaAt(0, "in a group that is never purged")
	var last *cirque.CacheMeta
	for n := range 3 * cirque.MaxPurgedGroups {
		name := fmt.Sprint(n)
		if n%1000 == 0 {
			name += long
		}
		m := metaAt(s.Epoch(), name)
		require.NoError(t, s.PurgeGroups(t.Context(), group(name)))
		require.True(t, s.Voids(m))
		if n%5000 == 0 {
			last = m
		}
		require.True(t, s.Voids(last))
		require.False(t, s.Voids(metaAt(s.Epoch(), name)))
	}
	require.False(t, s.Voids(metaAt(0)), "it is in no group")
	require.True(t, s.Voids(old), "its group was forgotten, so it counts as purged")
	require.LessOrEqual(t, len(s.Snapshot()), cirque.MaxPurgedGroups+3)
	recent := metaAt(s.Epoch(), "recent")
	for n := range cirque.MaxPurgedGroups / 2 {
		require.NoError(t, s.PurgeGroups(t.Context(), group(fmt.Sprint("more", n))))
	}
	require.False(t, s.Voids(recent), "half of the groups are remembered")
	require.Less(t, heap()-before, int64(3<<20))
	runtime.KeepAlive(s)

	var again cirque.PurgeState
	again.Restore(nil, s.Snapshot()...)
	require.False(t, again.Voids(recent))
	require.True(t, again.Voids(old))
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// Before the first purge a PurgeState is small, because the log of purged keys is made for that.
func TestPurgeStateIsSmall(t *testing.T) {
	before := heap()
	states := make([]*cirque.PurgeState, 100)
	for i := range states {
		states[i] = new(cirque.PurgeState)
	}
	require.Less(t, heap()-before, int64(100<<10))
	runtime.KeepAlive(states)
}

// scriptedJournal is a journal that another process writes to as well.
type scriptedJournal struct {
	events []cirque.PurgeEvent
	skip   cirque.PurgeEpoch // that other processes take
	none   bool
	err    error
	hold   chan struct{}
}

func (j *scriptedJournal) Append(ctx context.Context, e cirque.PurgeEvent) (cirque.PurgeEpoch, error) {
	if j.hold != nil {
		<-j.hold
	}
	if j.none {
		return 0, j.err
	}
	e.Epoch += j.skip
	j.events = append(j.events, e)
	return e.Epoch, j.err
}

func TestPurgeJournalDecidesAboutThePurge(t *testing.T) {
	j := &scriptedJournal{skip: 5}
	var s cirque.PurgeState
	s.Restore(j, cirque.NewPurgeHistory(time.Unix(0, 1000)))
	require.True(t, s.Voids(metaAt(0)))
	require.True(t, s.Voids(metaAt(999)))
	require.False(t, s.Voids(metaAt(1000)))
	require.NoError(t, s.PurgeAll(t.Context()))
	require.EqualValues(t, 1006, s.Epoch(), "the epoch is the journal's")
	require.True(t, s.Voids(metaAt(1005)))

	j.err = errors.New("full")
	require.ErrorIs(t, s.PurgeAll(t.Context()), j.err)
	require.EqualValues(t, 1012, s.Epoch(), "the purge has effect in this process")
	j.none = true
	require.ErrorIs(t, s.PurgeAll(t.Context()), j.err)
	require.EqualValues(t, 1012, s.Epoch(), "the purge has no effect")
	j.err = nil
	require.Error(t, s.PurgeAll(t.Context()), "no epoch")

	*j = scriptedJournal{hold: make(chan struct{})}
	done := make(chan error)
	go func() { done <- s.PurgeAll(context.Background()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	time.Sleep(10 * time.Millisecond)
	require.False(t, s.Voids(metaAt(1012, "a")), "not before it is kept; and lookups do not wait for the journal")
	require.ErrorIs(t, s.PurgeAll(ctx), context.DeadlineExceeded)
	close(j.hold)
	require.NoError(t, <-done)
	require.True(t, s.Voids(metaAt(1012)))
}

func TestPurgeStateUnderConcurrency(t *testing.T) {
	var s cirque.PurgeState
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 500 {
				before := metaAt(s.Epoch(), fmt.Sprint(i))
				if n%50 == 0 {
					_ = s.PurgeAll(t.Context())
				} else {
					_ = s.PurgeGroups(t.Context(), group(fmt.Sprint(i)))
				}
				if !s.Voids(before) {
					t.Error("its own purge went unseen")
				}
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 2000, s.Epoch())
}

// Of two caches on one Storage, a purge by one voids the fetches of the other, also a purge of a
// key.
func TestPurgeVoidsTheFetchesOfOtherCachesOnTheStorage(t *testing.T) {
	for name, purge := range map[string]func(o *cirque.CacheOptions) error{
		"key": func(o *cirque.CacheOptions) error { return o.Purge(context.Background(), keyA) },
		"all": func(o *cirque.CacheOptions) error { return o.Storage.Purges().PurgeAll(context.Background()) },
		"group": func(o *cirque.CacheOptions) error {
			return o.PurgeGroups(context.Background(), "https://example.com", "g")
		},
	} {
		for kind, storage := range map[string]func() cirque.Storage{
			"streaming": func() cirque.Storage { return memcache.New(memcache.Config{}) },
			"plain":     func() cirque.Storage { return newPlainStore() },
		} {
			for _, when := range []string{"before the header", "in the body"} {
				t.Run(name+", "+kind+", "+when, func(t *testing.T) {
					store := storage()
					one, other := &cirque.CacheOptions{Storage: store}, &cirque.CacheOptions{Storage: store}
					var c cirque.HttpCache
					c.Enable(one)
					defer c.Release()
					c.SetKey(keyA)
					_, _, err := c.Lookup(t.Context())
					require.ErrorIs(t, err, cirque.ErrNotFound)
					c.Miss()
					if when == "before the header" {
						err := purge(other)
						require.True(t, err == nil || errors.Is(err, cirque.ErrNotFound))
					}
					c.SetMeta(metaAt(0, "g"))
					f, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context()})
					if when == "before the header" {
						require.ErrorIs(t, err, cirque.ErrPurged)
						return
					}
					require.NoError(t, err)
					_, err = f.Write([]byte("bo"))
					require.NoError(t, err)
					err = purge(other)
					require.True(t, err == nil || errors.Is(err, cirque.ErrNotFound))
					require.False(t, finds(t, other, keyA))
					_, err = f.Write([]byte("dy"))
					require.NoError(t, err)
					require.ErrorIs(t, f.Finish(), cirque.ErrNotFound)
					require.False(t, finds(t, other, keyA))
					require.False(t, finds(t, one, keyA))
				})
			}
		}
	}
}

// finds reports whether a cache finds an entry or a write under way.
func finds(t *testing.T, o *cirque.CacheOptions, key cirque.CacheKey) bool {
	t.Helper()
	var c cirque.HttpCache
	c.Enable(o)
	defer c.Release()
	c.SetKey(key)
	_, hit, err := c.Lookup(t.Context())
	if err != nil {
		require.ErrorIs(t, err, cirque.ErrNotFound)
		return false
	}
	require.NoError(t, hit.Close())
	return true
}

// If a purge comes between the lookup and the request to the origin, the answer does not make the
// entry valid again.
func TestValidationDoesNotUndoAPurge(t *testing.T) {
	store := memcache.New(memcache.Config{})
	opts := &cirque.CacheOptions{Storage: store}
	h := newHouse(t, store, nil)
	h.put(keyA, staleMeta("a"), "body")
	var c cirque.HttpCache
	c.Enable(opts)
	defer c.Release()
	c.SetKey(keyA)
	meta, hit, err := c.Lookup(t.Context())
	require.NoError(t, err)
	c.Found(meta, hit, cirque.HitExpired)
	require.NoError(t, opts.Storage.Purges().PurgeAll(t.Context()))
	c.SetPurgeEpoch(opts.Storage.Purges().Epoch()) // the origin is asked now
	require.ErrorIs(t, c.Revalidate(t.Context(), freshMeta("a")), cirque.ErrNotFound)
	require.False(t, finds(t, opts, keyA))
}

// A request after a purge of everything does not wait for a fetch from before it.
func TestRequestAfterAPurgeOfAllDoesNotWaitForAnOlderFetch(t *testing.T) {
	h := inMemory(t)
	before := h.miss(keyA)
	require.NoError(t, h.Storage.Purges().PurgeAll(t.Context()))
	after := h.miss(keyA)
	require.True(t, before.IsWriter() && after.IsWriter())
	third := h.begin(keyA)
	_, _, err := third.Lookup(t.Context())
	require.ErrorIs(t, err, cirque.ErrNotFound)
	third.TryLock()
	require.True(t, third.IsLocked())
}
