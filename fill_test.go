package cirque_test

import (
	"context"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
)

func TestFinishEndsAFill(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		var done int
		c := h.miss(keyA)
		c.SetTrace(&cirque.CacheTrace{FillDone: func(cirque.TraceEvent) { done++ }})
		c.SetMeta(freshMeta("a"))
		f, err := c.StartFill(t.Context(), cirque.FillOptions{SizeHint: 4})
		require.NoError(t, err)
		h.write(f, "body")
		require.NoError(t, f.Finish())
		require.NoError(t, f.Finish())
		f.Abort(cirque.UpstreamError)
		require.Empty(t, f.NoCacheReason())
		require.Equal(t, 1, done)
		h.wantStored(keyA, "body")
	})
}

func TestAbortEndsAFill(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		var done int
		c := h.miss(keyA)
		c.SetTrace(&cirque.CacheTrace{FillDone: func(cirque.TraceEvent) { done++ }})
		c.SetMeta(freshMeta("a"))
		f, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context()})
		require.NoError(t, err)
		h.write(f, "half")
		f.Abort(cirque.UpstreamError)
		f.Abort(cirque.InternalError)
		require.NoError(t, f.Finish(), "the fill has ended already")
		require.Equal(t, cirque.UpstreamError, f.NoCacheReason())
		require.Equal(t, 1, done)
		body, err := io.ReadAll(c.Hit())
		require.ErrorIs(t, err, cirque.ErrAborted)
		require.Equal(t, "half", string(body))
		h.wantStored(keyA, "")
		require.False(t, h.Eviction.Peek(keyA.Compact()))
		require.True(t, h.begin(keyA).PredictCacheable(), "the reason does not hold for the next response")
	})
}

// A body above the maximum is not stored. Its reader gets all of it, and the predictor knows it for
// the next requests.
func TestBodyTooLarge(t *testing.T) {
	body := strings.Repeat("0123456789", 20_000)
	for name, hint := range map[string]int64{"announced": int64(len(body)), "not announced": -1} {
		t.Run(name, func(t *testing.T) {
			eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
				h := newHouse(t, nil)
				h.MaxObjectBytes = 100_000
				var done cirque.TraceEvent
				c := h.miss(keyA)
				c.SetTrace(&cirque.CacheTrace{FillDone: func(e cirque.TraceEvent) { done = e }})
				c.SetMeta(freshMeta("a"))
				f, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context(), SizeHint: hint})
				require.NoError(t, err)
				require.Equal(t, hint < 0, f.NoCacheReason() == "", "an announced length is known from the start")
				reading := readAll(c)
				h.write(f, body[:10_000])
				n, err := f.ReadFrom(strings.NewReader(body[10_000:150_000]))
				require.NoError(t, err)
				require.EqualValues(t, 140_000, n)
				for rest := body[150_000:]; rest != ""; rest = rest[10_000:] {
					h.write(f, rest[:10_000])
				}
				require.Equal(t, cirque.ResponseTooLarge, f.NoCacheReason())
				require.False(t, h.begin(keyA).PredictCacheable())
				require.ErrorIs(t, f.Finish(), cirque.ErrUnlinked)
				got, err := reading()
				require.NoError(t, err)
				require.True(t, body == got)
				h.wantStored(keyA, "")
				require.Equal(t, int64(len(body)), done.Size)
				require.Equal(t, cirque.ResponseTooLarge, done.Reason)
				require.ErrorIs(t, done.Err, cirque.ErrUnlinked)
			})
		})
	}
}

// If the Storage has no room for a write, the request that caused the fill gets the whole body, and
// the waiters are released.
func TestWriteWithoutRoomIsNotStored(t *testing.T) {
	body := strings.Repeat("0123456789", 20_000)
	h := newHouse(t, memcache.New(memcache.Config{Budget: cirque.NewBudget(100)}), nil)
	c := h.miss(keyA)
	c.TryLock()
	waiter := h.begin(keyA)
	waiter.TryLock()
	c.SetMeta(freshMeta("a"))
	f, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context(), SizeHint: int64(len(body))})
	require.NoError(t, err)
	require.Equal(t, cirque.ResponseTooLarge, f.NoCacheReason())
	require.ErrorIs(t, f.Err(), cirque.ErrUnlinked)
	status, err := waiter.WaitLock(t.Context())
	require.NoError(t, err)
	require.Equal(t, cirque.LockGiveUp, status)
	reading := readAll(c)
	h.write(f, body)
	require.ErrorIs(t, f.Finish(), cirque.ErrUnlinked)
	got, err := reading()
	require.NoError(t, err)
	require.True(t, body == got)
	h.wantStored(keyA, "")
	require.True(t, h.begin(keyA).PredictCacheable(), "there may be room the next time")
}

func TestBodyOfTheMaximumIsStored(t *testing.T) {
	h := inMemory(t)
	h.MaxObjectBytes = 4
	c := h.miss(keyA)
	c.SetMeta(freshMeta("a"))
	f, err := c.StartFill(t.Context(), cirque.FillOptions{SizeHint: 4})
	require.NoError(t, err)
	h.write(f, "body")
	require.NoError(t, f.Finish())
	h.wantStored(keyA, "body")
	require.True(t, h.begin(keyA).PredictCacheable())
}

// A variant that is announced as too large does not replace a sibling.
func TestVariantThatIsTooLargeIsNotRecorded(t *testing.T) {
	h := inMemory(t)
	h.MaxObjectBytes = 10
	h.putVariant(keyA, "en", "hello")
	before := h.record(keyA)
	c, _, _ := h.look(keyA, languages("fr"), nil)
	c.Miss()
	c.SetMeta(freshMeta(`"fr"`))
	c.UpdateVariance(t.Context(), []string{"Accept-Encoding"}, nil, nil)
	f, err := c.StartFill(t.Context(), cirque.FillOptions{SizeHint: 11})
	require.NoError(t, err)
	_, err = io.WriteString(f, "bonjour")
	require.ErrorIs(t, err, cirque.ErrNoReaders, "the body has no reader and is not stored")
	f.Abort(cirque.ResponseTooLarge)
	require.Equal(t, before, h.record(keyA))
	h.wantVariant(keyA, "en", "hello")
}

// When a body turns out too large, its waiters are released at once.
func TestWaitersOfATooLargeBodyAreReleased(t *testing.T) {
	h := spooled(t, nil)
	h.MaxObjectBytes = 3
	c, f := h.fill(keyA, freshMeta("a"))
	waiting := h.wait(keyA)
	h.write(f, "one")
	require.Empty(t, waiting.status)
	h.write(f, "two")
	require.Equal(t, cirque.LockGiveUp, <-waiting.status)
	require.ErrorIs(t, f.Finish(), cirque.ErrUnlinked)
	require.Equal(t, "onetwo", h.read(c))
}

// If the Storage has no room, the waiters get the same status as for a body that is too large.
func TestStorageWithoutRoomReleasesTheWaiters(t *testing.T) {
	h := newHouse(t, memcache.New(memcache.Config{Budget: cirque.NewBudget(8 << 10)}), nil)
	body := strings.Repeat("0123456789", 10_000)
	c, f := h.fill(keyA, freshMeta("a"))
	reading := readAll(c)
	h.write(f, body)
	require.ErrorIs(t, f.Finish(), cirque.ErrUnlinked)
	require.Equal(t, cirque.ResponseTooLarge, f.NoCacheReason())
	require.False(t, h.begin(keyA).PredictCacheable())
	got, err := reading()
	require.NoError(t, err)
	require.True(t, body == got)
}

func TestEvictedEntriesLeaveTheStorage(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		manager, err := eviction.NewSimpleLRU(eviction.Config{Limit: 1 << 20, MaxItems: 2})
		require.NoError(t, err)
		h.Eviction = manager
		keyC := cirque.NewCacheKey("", "https://example.com/c", "")
		h.put(keyA, freshMeta("a"), "a")
		h.put(keyB, freshMeta("b"), "b")
		c := h.stale(keyA) // an access
		h.put(keyC, freshMeta("c"), "c")
		h.wantStored(keyB, "")
		h.wantStored(keyC, "c")
		require.Equal(t, "a", h.read(c))
		require.Equal(t, 2, manager.TotalItems())
		require.Equal(t, int64(1), manager.EvictedItems())
	})
}

// A Budget evicts with the same manager. So the manager tracks exactly the stored entries.
func TestBudgetMakesRoomForFills(t *testing.T) {
	const limit = 64 << 10
	budget := cirque.NewBudget(limit)
	store := memcache.New(memcache.Config{Budget: budget})
	h := newHouse(t, store, nil)
	manager, err := eviction.NewSimpleLRU(eviction.Config{Limit: limit})
	require.NoError(t, err)
	h.Eviction = manager
	budget.EvictWith(manager, h.Storage)
	var left []cirque.CompactCacheKey
	trace := &cirque.CacheTrace{Evicted: func(key cirque.CompactCacheKey, err error) {
		require.NoError(t, err)
		left = append(left, key)
	}}
	keys := make([]cirque.CacheKey, 60)
	for i := range keys {
		keys[i] = cirque.NewCacheKey("", strconv.Itoa(i), "")
		c := h.miss(keys[i])
		c.SetTrace(trace)
		c.SetMeta(freshMeta("a"))
		f, err := c.StartFill(t.Context(), cirque.FillOptions{})
		require.NoError(t, err)
		h.write(f, strings.Repeat("0123456789", 300))
		require.NoError(t, f.Finish())
		require.EqualValues(t, manager.EvictedItems(), len(left), "the trace is told of each")
		require.LessOrEqual(t, budget.Used(), int64(limit))
		require.Equal(t, budget.Used(), manager.TotalWeight())
		require.Equal(t, store.Len(), manager.TotalItems())
	}
	require.Positive(t, manager.EvictedItems())
	require.Equal(t, keys[0].Compact(), left[0])
	h.wantStored(keys[0], "")
	h.wantStored(keys[59], strings.Repeat("0123456789", 300))
	for _, key := range keys {
		_ = h.Purge(t.Context(), key)
	}
	require.Zero(t, budget.Used())
	require.Zero(t, manager.TotalWeight())
}

// An entry that the eviction manager declines is not stored. The predictor is not told.
func TestEntryThatTheEvictionManagerDeclines(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		manager, err := eviction.NewSimpleLRU(eviction.Config{Limit: 10})
		require.NoError(t, err)
		h.Eviction = manager
		c, f := h.fill(keyA, freshMeta("a"))
		h.write(f, "more than ten bytes")
		require.ErrorIs(t, f.Finish(), cirque.ErrUnlinked)
		require.Equal(t, cirque.ResponseTooLarge, f.NoCacheReason())
		require.Equal(t, "more than ten bytes", h.read(c))
		h.wantStored(keyA, "")
		require.Zero(t, manager.TotalItems())
		require.True(t, h.begin(keyA).PredictCacheable())
	})
}

// appending is a Storage whose writes add to an existing entry.
type appending struct{ cirque.Storage }

type appendingWrite struct{ cirque.MissHandler }

func (s appending) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	w, err := s.Storage.MissHandler(ctx, key, meta, opts)
	return appendingWrite{w}, err
}

func (w appendingWrite) Finish() (cirque.MissFinish, error) {
	done, err := w.MissHandler.Finish()
	return cirque.MissFinish{Appended: true, Size: done.Size, Max: 1500}, err
}

func TestAppendedEntryIsWeighed(t *testing.T) {
	h := spooled(t, nil)
	h.put(keyA, freshMeta("a"), strings.Repeat("x", 1000))
	weight := h.Eviction.TotalWeight()
	require.Less(t, weight, int64(1500))
	h.Storage = appending{h.Storage}
	_ = h.Purge(t.Context(), keyB)
	c := h.stale(keyA)
	c.SetMeta(freshMeta("b"))
	f, err := c.StartFill(t.Context(), cirque.FillOptions{})
	require.NoError(t, err)
	h.write(f, strings.Repeat("x", 1000))
	require.NoError(t, f.Finish())
	require.Equal(t, int64(1500), h.Eviction.TotalWeight(), "up to its maximum")
	require.Equal(t, 1, h.Eviction.TotalItems())
}

// A fill that is based on an entry is not stored if that entry is gone.
func TestFillThatReplacesAnEntryThatIsGoneIsNotStored(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		h.put(keyA, freshMeta("old"), "old")
		late := h.stale(keyA)
		tag := late.Hit().Tag()
		late.SetMeta(freshMeta("late"))
		lateFill, err := late.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context(), Replaces: tag})
		require.NoError(t, err)

		c := h.begin(keyA)
		c.Bypass()
		c.SetMeta(freshMeta("new"))
		f, err := c.StartFill(t.Context(), cirque.FillOptions{Replaces: tag})
		require.NoError(t, err)
		h.write(f, "new")
		require.NoError(t, f.Finish())

		h.write(lateFill, "late")
		require.ErrorIs(t, lateFill.Finish(), cirque.ErrNotFound)
		require.Equal(t, cirque.Deferred, lateFill.NoCacheReason())
		require.Equal(t, "late", h.read(late))
		h.wantStored(keyA, "new")
	})
}

// Each end of a fill gives its waiters the right status.
func TestWaitersLearnHowTheFillEnded(t *testing.T) {
	start := func(h *house, c *cirque.HttpCache) *cirque.Fill {
		c.SetMeta(freshMeta("a"))
		f, err := c.StartFill(h.t.Context(), cirque.FillOptions{})
		require.NoError(h.t, err)
		h.write(f, "body")
		return f
	}
	disable := func(reason cirque.NoCacheReason) func(*house, *cirque.HttpCache) {
		return func(_ *house, c *cirque.HttpCache) { c.Disable(reason) }
	}
	abort := func(reason cirque.NoCacheReason) func(*house, *cirque.HttpCache) {
		return func(h *house, c *cirque.HttpCache) { start(h, c).Abort(reason) }
	}
	for name, test := range map[string]struct {
		end  func(*house, *cirque.HttpCache)
		want cirque.LockStatus
	}{
		"Release":                           {func(_ *house, c *cirque.HttpCache) { c.Release() }, cirque.LockTransientError},
		"ReleaseWriteLock":                  {func(_ *house, c *cirque.HttpCache) { c.ReleaseWriteLock("") }, cirque.LockDone},
		"Disable OriginNotCache":            {disable(cirque.OriginNotCache), cirque.LockGiveUp},
		"Disable ResponseTooLarge":          {disable(cirque.ResponseTooLarge), cirque.LockGiveUp},
		"Disable PredictedResponseTooLarge": {disable(cirque.PredictedResponseTooLarge), cirque.LockGiveUp},
		"Disable StorageError":              {disable(cirque.StorageError), cirque.LockTransientError},
		"Disable InternalError":             {disable(cirque.InternalError), cirque.LockTransientError},
		"Disable Deferred":                  {disable(cirque.Deferred), cirque.LockTransientError},
		"Disable DeclinedToUpstream":        {disable(cirque.DeclinedToUpstream), cirque.LockTransientError},
		"Disable UpstreamError":             {disable(cirque.UpstreamError), cirque.LockUpstreamError},
		"Disable Custom":                    {disable(cirque.Custom("mine")), cirque.LockGiveUp},
		"Disable Custom with a status":      {disable(cirque.Custom("transient")), cirque.LockTransientError},
		"Finish":                            {func(h *house, c *cirque.HttpCache) { require.NoError(h.t, start(h, c).Finish()) }, cirque.LockDone},
		"Finish of a purged fill": {func(h *house, c *cirque.HttpCache) {
			f := start(h, c)
			_ = h.Storage.Purge(h.t.Context(), keyA.Compact(), cirque.PurgeInvalidation)
			require.ErrorIs(h.t, f.Finish(), cirque.ErrNotFound)
		}, cirque.LockTransientError},
		"Abort UpstreamError": {abort(cirque.UpstreamError), cirque.LockUpstreamError},
		"Abort on the last turn": {func(h *house, c *cirque.HttpCache) {
			c.SetMeta(freshMeta("a"))
			f, err := c.StartFill(h.t.Context(), cirque.FillOptions{LastTurn: true})
			require.NoError(h.t, err)
			f.Abort(cirque.UpstreamError)
		}, cirque.LockGiveUp},
		"Finish on the last turn": {func(h *house, c *cirque.HttpCache) {
			c.SetMeta(freshMeta("a"))
			f, err := c.StartFill(h.t.Context(), cirque.FillOptions{LastTurn: true})
			require.NoError(h.t, err)
			require.NoError(h.t, f.Finish())
		}, cirque.LockDone},
		"Abort OriginNotCache": {abort(cirque.OriginNotCache), cirque.LockGiveUp},
		"another walk": {func(h *house, c *cirque.HttpCache) {
			other := h.begin(keyB)
			other.SetWriteLock(c.TakeWriteLock())
			require.False(h.t, c.IsWriter())
			c.Release()
			require.True(h.t, other.IsWriter())
			other.Disable(cirque.OriginNotCache)
		}, cirque.LockGiveUp},
	} {
		t.Run(name, func(t *testing.T) {
			h := spooled(t, nil)
			h.CustomLockStatus = func(reason cirque.NoCacheReason) cirque.LockStatus {
				if reason == cirque.Custom("transient") {
					return cirque.LockTransientError
				}
				return cirque.LockGiveUp
			}
			c := h.miss(keyA)
			waiting := h.wait(keyA)
			test.end(h, c)
			require.Equal(t, test.want, <-waiting.status)
			require.False(t, waiting.IsLocked())
			require.Equal(t, cirque.PhaseCacheKey, waiting.Phase())
			waiting.TryLock()
			require.True(t, waiting.IsWriter(), "the waiter is the next writer")
			waiting.ReleaseWriteLock("")
		})
	}
}

// Requests that can read along do not wait for the end of the fill.
func TestWaitersReadAlong(t *testing.T) {
	h := inMemory(t)
	c := h.miss(keyA)
	waiting := h.wait(keyA)
	c.SetMeta(freshMeta("a"))
	f, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context(), SizeHint: -1})
	require.NoError(t, err)
	require.Equal(t, cirque.LockDone, <-waiting.status)
	meta, hit, err := waiting.Lookup(t.Context())
	require.NoError(t, err)
	waiting.Found(meta, hit, cirque.HitFresh)
	require.False(t, waiting.Hit().CountsAccess())
	require.Equal(t, 2, f.Readers())
	h.write(f, "body")
	require.NoError(t, f.Finish())
	require.Equal(t, "body", h.read(waiting.HttpCache))
	require.Equal(t, "body", h.read(c))
}

// If a fill cannot begin, the walk keeps its permit and its phase.
func TestFailedStartFillChangesNothing(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		for _, op := range []faultystorage.Op{faultystorage.MissHandler, faultystorage.MissNewReader} {
			h := newHouse(t, faultystorage.Nth(op, 1, faultystorage.Fault{Err: errBroken}))
			_, streams := h.Storage.(cirque.StreamingStorage)
			if op == faultystorage.MissNewReader && !streams {
				continue
			}
			c := h.miss(keyA)
			c.SetMeta(freshMeta("a"))
			_, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context()})
			require.ErrorIs(t, err, errBroken)
			require.True(t, c.IsWriter())
			require.Nil(t, c.Hit())
			require.Empty(t, h.tally.Open())
			f, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context()})
			require.NoError(t, err, "StartFill may be called again")
			f.Abort(cirque.UpstreamError)
		}
	})
}

func TestFillOutlivesItsRequest(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		request, leave := context.WithCancel(t.Context())
		c := h.miss(keyA)
		c.SetMeta(freshMeta("a"))
		f, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: request, SizeHint: -1})
		require.NoError(t, err)
		h.write(f, "half")
		reading := readAll(c)
		leave()
		_, err = reading()
		require.ErrorIs(t, err, context.Canceled)
		c.Release()
		*c = cirque.HttpCache{}
		h.write(f, " and half")
		require.NoError(t, f.Finish())
		h.wantStored(keyA, "half and half")
	})
}

// The second fill of a walk replaces the first.
func TestSecondFillOfAWalkReplacesTheFirst(t *testing.T) {
	h := inMemory(t)
	c, first := h.fill(keyA, freshMeta("a"))
	second, err := c.StartFill(t.Context(), cirque.FillOptions{Reader: t.Context(), SizeHint: -1})
	require.NoError(t, err)
	require.Zero(t, first.Readers())
	first.Abort(cirque.UpstreamError)
	h.write(second, "body")
	require.NoError(t, second.Finish())
	require.Equal(t, "body", h.read(c))
	h.wantStored(keyA, "body")
}

func TestCostReachesTheEvictionManager(t *testing.T) {
	h := inMemory(t)
	manager := &costs{EvictionManager: h.Eviction}
	h.Eviction = manager
	c := h.miss(keyA)
	meta := freshMeta("a")
	c.SetMeta(meta)
	f, err := c.StartFill(t.Context(), cirque.FillOptions{Cost: 3 * time.Second})
	require.NoError(t, err)
	require.NoError(t, f.Finish())
	require.Equal(t, 3*time.Second, manager.cost)
	require.True(t, meta.FreshUntil().Equal(manager.freshUntil))
}

type costs struct {
	cirque.EvictionManager
	cost       time.Duration
	freshUntil time.Time
}

func (c *costs) Admit(key cirque.CompactCacheKey, weight int64, freshUntil time.Time, cost time.Duration) []cirque.CompactCacheKey {
	c.cost, c.freshUntil = cost, freshUntil
	return c.EvictionManager.Admit(key, weight, freshUntil, cost)
}

// If a response must be validated before each use, its waiters are released as soon as that is
// known: to the validators in the Storage, or past the cache. The predictor keeps its mark.
func TestWaitersOfAnUnsharedFillAreReleased(t *testing.T) {
	eachKind(t, func(t *testing.T, newHouse func(*testing.T, faultystorage.Script) *house) {
		h := newHouse(t, nil)
		c := h.miss(keyA)
		waiting := h.wait(keyA)
		c.ResponseBecameUncacheable(cirque.OriginNotCache)
		c.SetMeta(freshMeta("a"))
		f, err := c.StartFill(t.Context(), cirque.FillOptions{Unshared: true})
		require.NoError(t, err)
		want := cirque.LockGiveUp
		if _, streams := h.Storage.(cirque.StreamingStorage); streams {
			want = cirque.LockDone
		}
		require.Equal(t, want, <-waiting.status)
		h.write(f, "body")
		require.NoError(t, f.Finish())
		h.wantStored(keyA, "body")
		require.False(t, h.begin(keyA).PredictCacheable())
	})
}
