package cirque_test

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// moves says what each method does in each phase: it panics (!), keeps the phase (.), or leads to
// the named phase. It is written from the documentation, not from the code.
const moves = `
                           Disabled Uninit   Bypass   CacheKey Hit      Miss     Stale    StaleUpdating Expired  Revalidated RevalidatedNoCache

Enable                     Uninit   !        !        !        !        !        !        !        !        !        !
Disable                    .        Disabled Disabled Disabled Disabled Disabled Disabled Disabled Disabled Disabled Disabled
Bypass                     !        !        !        Bypass   !        !        !        !        !        !        !
SetKey                     !        CacheKey !        .        !        !        !        !        !        !        !
Lookup                     !        !        !        .        !        !        !        !        !        !        !
VaryLookup                 !        !        !        .        !        !        !        !        !        !        !
SelectVariant              !        !        !        .        !        CacheKey CacheKey !        !        !        !
Found,fresh                !        !        !        Hit      !        !        !        !        !        !        !
Found,stale                !        !        !        Stale    !        !        !        !        !        !        !
Found,miss                 !        !        !        Miss     !        !        !        !        !        !        !
Miss                       !        !        !        Miss     !        !        Miss     !        !        !        !
StaleUpdating              !        !        !        !        !        !        StaleUpdating ! !        !        !
SetMeta                    !        !        Miss     !        !        .        Expired  !        .        !        !
UpdateVariance             !        !        !        !        !        .        !        !        .        !        !
StartFill                  !        !        !        !        !        .        !        !        .        !        !
Revalidate                 !        !        !        !        !        !        Revalidated ! !        !        !
RevalidateUncacheable      !        !        !        !        !        !        RevalidatedNoCache ! ! !        !
Supersede                  !        !        .        .        .        .        .        .        .        .        .
FinishHit                  !        !        !        !        .        .        .        .        .        .        .
TakeHit                    !        !        !        !        .        .        .        .        .        .        .
Purge                      !        !        .        .        .        .        .        .        .        .        .
PurgeInBackground          !        !        .        .        .        .        .        .        .        .        .

TryLock                    !        !        !        .        !        .        .        !        !        !        !
WaitLock                   !        !        !        .        !        .        .        !        !        !        !
WaitLock,locked            !        !        !        .        !        CacheKey CacheKey !        !        !        !
StartOver                  !        !        !        .        !        CacheKey CacheKey !        !        !        !
SetWriteLock               !        !        .        .        .        .        .        .        .        .        .
IsWriter                   .        .        .        .        .        .        .        .        .        .        .
IsLocked                   .        .        .        .        .        .        .        .        .        .        .
TakeWriteLock              .        .        .        .        .        .        .        .        .        .        .
ReleaseWriteLock           .        .        .        .        .        .        .        .        .        .        .

Phase                      .        .        .        .        .        .        .        .        .        .        .
NoCacheReason              .        .        .        .        .        .        .        .        .        .        .
UpstreamUsed               .        .        .        .        .        .        .        .        .        .        .
Key                        .        .        .        .        .        .        .        .        .        .        .
PredictionKey              .        .        .        .        .        .        .        .        .        .        .
Meta                       .        .        .        .        .        .        .        .        .        .        .
Hit                        .        .        .        .        .        .        .        .        .        .        .
HitStatus                  .        .        .        .        .        .        .        .        .        .        .
VaryRecord                 .        .        .        .        .        .        .        .        .        .        .
Durations                  .        .        .        .        .        .        .        .        .        .        .
SetTrace                   .        .        .        .        .        .        .        .        .        .        .
SetValidAfter              .        .        .        .        .        .        .        .        .        .        .
SetPurgeEpoch              .        .        .        .        .        .        .        .        .        .        .
SetMaxObjectBytes          .        .        .        .        .        .        .        .        .        .        .
TrackBodyBytes             .        .        .        .        .        .        .        .        .        .        .
ExceedsMaxObject           .        .        .        .        .        .        .        .        .        .        .
SetLockClass               .        .        .        .        .        .        .        .        .        .        .
PredictCacheable           .        .        .        .        .        .        .        .        .        .        .
ResponseBecameUncacheable  .        .        .        .        .        .        .        .        .        .        .
ResponseBecameCacheable    .        .        .        .        .        .        .        .        .        .        .
Release                    .        .        .        .        .        .        .        .        .        .        .
Reset                      .        Disabled Disabled Disabled Disabled Disabled Disabled Disabled Disabled Disabled Disabled
`

// facts are the results of the accessors in each phase, in the order of the columns above.
var facts = map[string][]any{
	"Phase": {
		cirque.PhaseDisabled, cirque.PhaseUninit, cirque.PhaseBypass, cirque.PhaseCacheKey, cirque.PhaseHit, cirque.PhaseMiss,
		cirque.PhaseStale, cirque.PhaseStaleUpdating, cirque.PhaseExpired, cirque.PhaseRevalidated, cirque.PhaseRevalidatedNoCache,
	},
	"UpstreamUsed": {true, false, true, false, false, true, false, false, true, true, true},
	"NoCacheReason": {
		cirque.NeverEnabled, cirque.NoCacheReason(""), cirque.NoCacheReason(""), cirque.NoCacheReason(""),
		cirque.NoCacheReason(""), cirque.NoCacheReason(""), cirque.NoCacheReason(""), cirque.NoCacheReason(""),
		cirque.NoCacheReason(""), cirque.NoCacheReason(""), cirque.OriginNotCache,
	},
	"HitStatus": {
		cirque.HitStatus(0), cirque.HitStatus(0), cirque.HitStatus(0), cirque.HitStatus(0), cirque.HitFresh, cirque.HitStatus(0),
		cirque.HitExpired, cirque.HitExpired, cirque.HitExpired, cirque.HitExpired, cirque.HitExpired,
	},
	"Key": {
		cirque.CacheKey{}, cirque.CacheKey{}, keyA, keyA, keyA, keyA, keyA, keyA, keyA, keyA, keyA,
	},
	"PredictionKey": { // without a class, it is the key
		cirque.CacheKey{}, cirque.CacheKey{}, keyA, keyA, keyA, keyA, keyA, keyA, keyA, keyA, keyA,
	},
}

// stage is a house with a walk in a phase.
type stage struct {
	*house
	c     *cirque.HttpCache
	phase cirque.CachePhase
	meta  *cirque.CacheMeta // what the walk's Meta returns
	found bool              // the walk has found an entry in the Storage
	open  bool              // the entry's body is open
}

// reach walks to phase.
func reach(t *testing.T, phase cirque.CachePhase) *stage {
	s := &stage{house: inMemory(t), phase: phase, c: new(cirque.HttpCache)}
	t.Cleanup(s.c.Release)
	if phase == cirque.PhaseDisabled {
		return s
	}
	s.c.Enable(s.CacheOptions)
	if phase == cirque.PhaseUninit {
		return s
	}
	s.c.SetKey(keyA)
	switch phase {
	case cirque.PhaseCacheKey:
		return s
	case cirque.PhaseBypass:
		s.c.Bypass()
		return s
	case cirque.PhaseMiss:
		s.c.Miss()
		s.meta = freshMeta("new")
		s.c.SetMeta(s.meta)
		return s
	}
	s.put(keyA, freshMeta("stored"), "body")
	meta, hit, err := s.c.Lookup(t.Context())
	require.NoError(t, err)
	s.meta, s.found, s.open = meta, true, true
	if phase == cirque.PhaseHit {
		s.c.Found(meta, hit, cirque.HitFresh)
		return s
	}
	s.c.Found(meta, hit, cirque.HitExpired)
	switch phase {
	case cirque.PhaseStaleUpdating:
		s.c.StaleUpdating()
	case cirque.PhaseExpired:
		s.meta, s.open = freshMeta("new"), false
		s.c.SetMeta(s.meta)
	case cirque.PhaseRevalidated:
		s.meta = freshMeta("validated")
		require.NoError(t, s.c.Revalidate(t.Context(), s.meta))
	case cirque.PhaseRevalidatedNoCache:
		s.meta, s.found = freshMeta("validated"), false
		require.NoError(t, s.c.RevalidateUncacheable(t.Context(), s.meta, cirque.OriginNotCache))
	}
	return s
}

// wantGone requires the result of removing the entry: nil if there was one, else ErrNotFound.
func (s *stage) wantGone(err error) {
	s.t.Helper()
	if s.found {
		require.NoError(s.t, err)
	} else {
		require.ErrorIs(s.t, err, cirque.ErrNotFound)
	}
	s.wantStored(keyA, "")
}

// hand returns the meta and the open body of another key than the walk's.
func (s *stage) hand(varied bool) (*cirque.CacheMeta, cirque.HitHandler) {
	s.t.Helper()
	if varied {
		s.putVariant(keyB, "en", "hello")
	} else {
		s.put(keyB, freshMeta("b"), "body")
	}
	meta, hit, err := s.begin(keyB).Lookup(s.t.Context())
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = hit.Close() })
	return meta, hit
}

// steps call the methods. If the step is legal, they also check what the method is documented to
// do.
var steps = map[string]func(s *stage){
	"Enable": func(s *stage) {
		s.c.Enable(s.CacheOptions)
		require.Equal(s.t, cirque.PhaseUninit, s.c.Phase())
		require.Empty(s.t, s.c.NoCacheReason())
	},
	"Disable": func(s *stage) {
		s.c.Disable(cirque.InternalError)
		require.Equal(s.t, cirque.InternalError, s.c.NoCacheReason())
		require.Nil(s.t, s.c.Meta())
		require.Nil(s.t, s.c.Hit())
		require.Empty(s.t, s.tally.Open())
	},
	"Bypass": func(s *stage) {
		s.c.Bypass()
		require.Equal(s.t, cirque.PhaseBypass, s.c.Phase())
	},
	"SetKey": func(s *stage) {
		s.c.SetKey(keyB)
		require.Equal(s.t, keyB, s.c.Key())
	},
	"Lookup": func(s *stage) {
		_, _, err := s.c.Lookup(s.t.Context())
		require.ErrorIs(s.t, err, cirque.ErrNotFound)
	},
	"VaryLookup": func(s *stage) {
		meta, hit := s.hand(true)
		if s.phase == cirque.PhaseCacheKey {
			s.c.SetKey(keyB)
		}
		meta, variant, err := s.c.VaryLookup(s.t.Context(), meta, hit, languages("en"), nil)
		require.NoError(s.t, err)
		require.NoError(s.t, variant.Close())
		require.Equal(s.t, `"en"`, meta.Header().Get("Etag"))
		require.Equal(s.t, meta.Variance(), s.c.Key().Variance())
		require.NotNil(s.t, s.c.VaryRecord())
		require.Empty(s.t, s.tally.Open(), "the record's hit must be closed")
	},
	"SelectVariant": func(s *stage) {
		_, _, err := s.c.SelectVariant(s.t.Context(), cirque.HashBinary{1})
		require.ErrorIs(s.t, err, cirque.ErrNotFound)
		require.Equal(s.t, cirque.HashBinary{1}, s.c.Key().Variance())
		require.Nil(s.t, s.c.Hit())
		require.Nil(s.t, s.c.Meta())
	},
	"Found,fresh": func(s *stage) {
		meta, hit := s.hand(false)
		s.c.Found(meta, hit, cirque.HitForceFresh)
		require.Same(s.t, meta, s.c.Meta())
		require.Equal(s.t, hit, s.c.Hit())
		require.Equal(s.t, cirque.HitForceFresh, s.c.HitStatus())
	},
	"Found,stale": func(s *stage) {
		meta, hit := s.hand(false)
		s.c.Found(meta, hit, cirque.HitForceExpired)
		require.Same(s.t, meta, s.c.Meta())
		require.Equal(s.t, hit, s.c.Hit())
	},
	"Found,miss": func(s *stage) {
		meta, hit := s.hand(false)
		s.c.Found(meta, hit, cirque.HitFailedFilter)
		require.Nil(s.t, s.c.Meta())
		require.Nil(s.t, s.c.Hit())
		require.Equal(s.t, cirque.HitFailedFilter, s.c.HitStatus())
		require.Empty(s.t, s.tally.Open())
	},
	"Miss": func(s *stage) {
		s.c.Miss()
		require.Nil(s.t, s.c.Meta())
		require.Nil(s.t, s.c.Hit())
	},
	"StaleUpdating": func(s *stage) {
		s.c.StaleUpdating()
		require.NotNil(s.t, s.c.Hit())
	},
	"SetMeta": func(s *stage) {
		meta := freshMeta("other")
		s.c.SetMeta(meta)
		require.Same(s.t, meta, s.c.Meta())
		require.Nil(s.t, s.c.Hit())
	},
	"UpdateVariance": func(s *stage) {
		s.c.UpdateVariance(s.t.Context(), []string{"Accept-Language"}, languages("en"), nil)
		require.False(s.t, s.c.Key().Variance().IsZero())
		require.Equal(s.t, s.c.Key().Variance(), s.c.Meta().Variance())
		require.Equal(s.t, []string{"Accept-Language"}, s.c.VaryRecord().Fields)
	},
	"StartFill": func(s *stage) {
		f, err := s.c.StartFill(s.t.Context(), cirque.FillOptions{Reader: s.t.Context()})
		require.NoError(s.t, err)
		s.write(f, "new body")
		require.NoError(s.t, f.Finish())
		require.Equal(s.t, "new body", s.read(s.c))
		s.wantStored(keyA, "new body")
	},
	"Revalidate": func(s *stage) {
		fresh := freshMeta("validated")
		require.NoError(s.t, s.c.Revalidate(s.t.Context(), fresh))
		require.Same(s.t, fresh, s.c.Meta())
		require.Equal(s.t, "body", s.read(s.c))
		etag, _, _ := s.stored(keyA, nil)
		require.Equal(s.t, "validated", etag)
	},
	"RevalidateUncacheable": func(s *stage) {
		fresh := freshMeta("validated")
		s.wantGone(s.c.RevalidateUncacheable(s.t.Context(), fresh, cirque.OriginNotCache))
		require.Same(s.t, fresh, s.c.Meta())
		require.Equal(s.t, cirque.OriginNotCache, s.c.NoCacheReason())
		require.Equal(s.t, "body", s.read(s.c))
	},
	"Supersede": func(s *stage) { s.wantGone(s.c.Supersede(s.t.Context(), answerNow())) },
	"FinishHit": func(s *stage) {
		require.Equal(s.t, s.open, s.c.Hit() != nil)
		require.NoError(s.t, s.c.FinishHit())
		require.Nil(s.t, s.c.Hit())
		require.Empty(s.t, s.tally.Open())
	},
	"TakeHit": func(s *stage) {
		hit := s.c.TakeHit()
		require.Equal(s.t, s.open, hit != nil)
		require.Nil(s.t, s.c.Hit())
		if hit != nil {
			require.NoError(s.t, hit.Close())
		}
	},
	"Purge": func(s *stage) { s.wantGone(s.c.Purge(s.t.Context())) },
	"PurgeInBackground": func(s *stage) {
		ctx, cancel := context.WithCancel(s.t.Context())
		cancel() // the purge goes on regardless
		report := make(chan error)
		s.c.PurgeInBackground(ctx, func(err error) { report <- err })
		s.wantGone(<-report)
	},
	"TryLock": func(s *stage) {
		s.c.TryLock()
		require.True(s.t, s.c.IsWriter())
		s.c.TryLock() // a second call does nothing
		permit, key := s.c.TakeWriteLock()
		_, waiting := s.Lock.Lock(key, false)
		require.Equal(s.t, s.phase == cirque.PhaseStale, waiting.StaleWriter())
		s.Lock.Release(key, permit, cirque.LockDone)
	},
	"WaitLock": func(s *stage) {
		hit := s.c.Hit()
		_, err := s.c.WaitLock(s.t.Context())
		require.ErrorIs(s.t, err, cirque.ErrNotLocked)
		require.Equal(s.t, hit, s.c.Hit(), "the hit has changed")
	},
	"StartOver": func(s *stage) {
		s.c.StartOver()
		require.Nil(s.t, s.c.Hit())
		require.Nil(s.t, s.c.Meta())
		require.True(s.t, s.c.Key().Variance().IsZero())
	},
	"WaitLock,locked": func(s *stage) {
		writer := s.begin(keyA)
		writer.TryLock()
		if s.phase == cirque.PhaseCacheKey || s.phase == cirque.PhaseMiss || s.phase == cirque.PhaseStale {
			s.c.TryLock()
			require.True(s.t, s.c.IsLocked())
		}
		writer.ReleaseWriteLock("")
		status, err := s.c.WaitLock(s.t.Context())
		require.NoError(s.t, err)
		require.Equal(s.t, cirque.LockDone, status)
		require.False(s.t, s.c.IsLocked())
		require.Nil(s.t, s.c.Hit())
		require.Nil(s.t, s.c.Meta())
	},
	"SetWriteLock": func(s *stage) {
		other := s.begin(keyB)
		other.TryLock()
		permit, key := other.TakeWriteLock()
		s.t.Cleanup(func() { s.Lock.Release(key, permit, cirque.LockDone) })
		s.c.SetWriteLock(permit, key)
		require.True(s.t, s.c.IsWriter())
		s.c.ReleaseWriteLock("")
		require.False(s.t, s.c.IsWriter())
	},
	"IsWriter": func(s *stage) { require.False(s.t, s.c.IsWriter()) },
	"IsLocked": func(s *stage) { require.False(s.t, s.c.IsLocked()) },
	"TakeWriteLock": func(s *stage) {
		permit, _ := s.c.TakeWriteLock()
		require.Nil(s.t, permit)
	},
	"ReleaseWriteLock": func(s *stage) { s.c.ReleaseWriteLock(cirque.OriginNotCache) },
	"Phase":            func(s *stage) { s.fact("Phase", s.c.Phase()) },
	"NoCacheReason":    func(s *stage) { s.fact("NoCacheReason", s.c.NoCacheReason()) },
	"UpstreamUsed":     func(s *stage) { s.fact("UpstreamUsed", s.c.UpstreamUsed()) },
	"Key":              func(s *stage) { s.fact("Key", s.c.Key()) },
	"PredictionKey":    func(s *stage) { s.fact("PredictionKey", s.c.PredictionKey()) },
	"HitStatus":        func(s *stage) { s.fact("HitStatus", s.c.HitStatus()) },
	"Meta":             func(s *stage) { require.Equal(s.t, s.meta, s.c.Meta()) },
	"Hit":              func(s *stage) { require.Equal(s.t, s.open, s.c.Hit() != nil) },
	"VaryRecord":       func(s *stage) { require.Nil(s.t, s.c.VaryRecord()) },
	"Durations": func(s *stage) {
		lookup, lock := s.c.Durations()
		require.Zero(s.t, lookup)
		require.Zero(s.t, lock)
	},
	"SetTrace":          func(s *stage) { s.c.SetTrace(new(cirque.CacheTrace)) },
	"SetValidAfter":     func(s *stage) { s.c.SetValidAfter(time.Now()) },
	"SetPurgeEpoch":     func(s *stage) { s.c.SetPurgeEpoch(1) },
	"SetMaxObjectBytes": func(s *stage) { s.c.SetMaxObjectBytes(7); require.True(s.t, s.c.ExceedsMaxObject(8)) },
	"TrackBodyBytes":    func(s *stage) { require.True(s.t, s.c.TrackBodyBytes(1)) },
	"ExceedsMaxObject":  func(s *stage) { require.False(s.t, s.c.ExceedsMaxObject(1)) },
	"SetLockClass":      func(s *stage) { s.c.SetLockClass("other") },
	"PredictCacheable":  func(s *stage) { require.True(s.t, s.c.PredictCacheable()) },
	"ResponseBecameUncacheable": func(s *stage) {
		s.c.ResponseBecameUncacheable(cirque.OriginNotCache)
		require.Equal(s.t, s.c.Phase() == cirque.PhaseDisabled, s.c.PredictCacheable())
	},
	"ResponseBecameCacheable": func(s *stage) {
		s.c.ResponseBecameCacheable()
		require.True(s.t, s.c.PredictCacheable())
	},
	"Release": func(s *stage) {
		s.c.Release()
		require.Nil(s.t, s.c.Hit())
		require.Empty(s.t, s.tally.Open())
	},
	"Reset": func(s *stage) {
		s.c.Release()
		*s.c = cirque.HttpCache{}
		require.Equal(s.t, cirque.HttpCache{}, *s.c)
	},
}

func (s *stage) fact(question string, answer any) {
	s.t.Helper()
	require.Equal(s.t, facts[question][s.phase], answer)
}

func TestEveryMethodInEveryPhase(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(moves), "\n")
	var phases []cirque.CachePhase
	for i, name := range strings.Fields(lines[0]) {
		phases = append(phases, cirque.CachePhase(i))
		require.Equal(t, phases[i].String(), name)
	}
	require.Equal(t, "CachePhase(11)", cirque.CachePhase(len(phases)).String(), "a phase is missing in the table")

	told := map[string]bool{}
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		if len(cells) == 0 {
			continue
		}
		row, cells := cells[0], cells[1:]
		require.Len(t, cells, len(phases), row)
		method, _, _ := strings.Cut(row, ",")
		told[method] = true
		for i, cell := range cells {
			t.Run(row+"/"+phases[i].String(), func(t *testing.T) {
				s := reach(t, phases[i])
				require.Equal(t, phases[i], s.c.Phase())
				if cell == "!" {
					wantPhaseError(t, method, phases[i], func() { steps[row](s) })
					require.Equal(t, phases[i], s.c.Phase())
					require.Equal(t, s.open, s.c.Hit() != nil, "the hit has changed")
					return
				}
				steps[row](s)
				if cell == "." {
					cell = phases[i].String()
				}
				require.Equal(t, cell, s.c.Phase().String())
			})
		}
	}
	for m := range reflect.TypeFor[*cirque.HttpCache]().Methods() {
		require.True(t, told[m.Name], "%s is not in the table", m.Name)
	}
}

func wantPhaseError(t *testing.T, op string, phase cirque.CachePhase, step func()) {
	t.Helper()
	defer func() {
		t.Helper()
		require.Equal(t, &cirque.PhaseError{Op: op, Phase: phase}, recover())
	}()
	step()
}

func TestPhaseErrorNamesMethodAndPhase(t *testing.T) {
	err := &cirque.PhaseError{Op: "Lookup", Phase: cirque.PhaseHit}
	require.EqualError(t, err, "cirque: HttpCache.Lookup is not legal in phase Hit")
}

func TestStoringWithoutMetaPanics(t *testing.T) {
	for op, step := range map[string]func(*cirque.HttpCache){
		"UpdateVariance": func(c *cirque.HttpCache) { c.UpdateVariance(t.Context(), nil, nil, nil) },
		"StartFill":      func(c *cirque.HttpCache) { _, _ = c.StartFill(t.Context(), cirque.FillOptions{}) },
	} {
		c := inMemory(t).begin(keyA)
		c.Miss()
		wantPhaseError(t, op, cirque.PhaseMiss, func() { step(c) })
	}
}

// answer is an answer of the origin, for Supersede.
func answer(asked, received time.Time) *cirque.CacheMeta {
	m := cirque.NewCacheMeta(0, nil, received, received, 0, 0)
	m.SetAsked(asked)
	return m
}

// answerNow is an answer of the origin that was asked for and received now.
func answerNow() *cirque.CacheMeta { return answer(time.Now(), time.Now()) }
