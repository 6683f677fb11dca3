package cirque

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPhaseNames(t *testing.T) {
	want := map[CachePhase]string{
		PhaseDisabled: "Disabled", PhaseUninit: "Uninit", PhaseBypass: "Bypass", PhaseCacheKey: "CacheKey", PhaseHit: "Hit",
		PhaseMiss: "Miss", PhaseStale: "Stale", PhaseStaleUpdating: "StaleUpdating", PhaseExpired: "Expired",
		PhaseRevalidated: "Revalidated", PhaseRevalidatedNoCache: "RevalidatedNoCache",
	}
	require.Len(t, want, int(phaseCount))
	for phase, name := range want {
		require.Equal(t, name, phase.String())
	}
	require.Equal(t, PhaseDisabled, CachePhase(0), "the zero phase is disabled")
	require.Equal(t, fmt.Sprintf("CachePhase(%d)", phaseCount), phaseCount.String())
	require.Equal(t, "CachePhase(255)", CachePhase(255).String())
}

func TestNoCacheReasons(t *testing.T) {
	reasons := []NoCacheReason{
		NeverEnabled, OriginNotCache, ResponseTooLarge, PredictedResponseTooLarge, StorageError, InternalError, Deferred,
		DeclinedToUpstream, UpstreamError, CacheLockGiveUp, CacheLockTimeout,
	}
	seen := map[NoCacheReason]bool{}
	for _, reason := range reasons {
		require.False(t, reason.IsCustom())
		require.NotEmpty(t, reason)
		require.False(t, seen[reason])
		seen[reason] = true
	}
	require.True(t, Custom("mine").IsCustom())
	require.True(t, Custom("").IsCustom())
	require.Equal(t, NoCacheReason("Custom:mine"), Custom("mine"))
	require.NotEqual(t, OriginNotCache, Custom("OriginNotCache"))
	require.False(t, NoCacheReason("").IsCustom())
}

func TestHitStatus(t *testing.T) {
	for status, c := range map[HitStatus]struct {
		name        string
		fresh, miss bool
	}{
		HitExpired:      {"Expired", false, false},
		HitForceExpired: {"ForceExpired", false, false},
		HitForceMiss:    {"ForceMiss", false, true},
		HitFailedFilter: {"FailedHitFilter", false, true},
		HitFresh:        {"Fresh", true, false},
		HitForceFresh:   {"ForceFresh", true, false},
		0:               {"HitStatus(0)", false, false},
		7:               {"HitStatus(7)", false, false},
	} {
		require.Equal(t, c.name, status.String())
		require.Equal(t, c.fresh, status.IsFresh(), status)
		require.Equal(t, c.miss, status.isMiss(), status)
	}
}
