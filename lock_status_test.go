package cirque

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLockStatusString(t *testing.T) {
	for s, want := range map[LockStatus]string{
		LockWaiting: "Waiting", LockDone: "Done", LockTransientError: "TransientError", LockGiveUp: "GiveUp",
		LockDangling: "Dangling", LockWaitTimeout: "WaitTimeout", LockAgeTimeout: "AgeTimeout",
		LockUpstreamError: "UpstreamError",
		0:                 "LockStatus(0)", 9: "LockStatus(9)", 255: "LockStatus(255)",
	} {
		require.Equal(t, want, s.String())
	}
}

func TestLockStatusFor(t *testing.T) {
	for reason, want := range map[NoCacheReason]LockStatus{
		"":                         LockDone,
		OriginNotCache:             LockGiveUp,
		ResponseTooLarge:           LockGiveUp,
		PredictedResponseTooLarge:  LockGiveUp,
		Custom("tenant opted out"): LockGiveUp,
		NeverEnabled:               LockTransientError,
		StorageError:               LockTransientError,
		InternalError:              LockTransientError,
		Deferred:                   LockTransientError,
		DeclinedToUpstream:         LockTransientError,
		UpstreamError:              LockUpstreamError,
		CacheLockGiveUp:            LockTransientError,
		CacheLockTimeout:           LockTransientError,
		"not made by Custom":       LockTransientError,
	} {
		require.Equal(t, want, lockStatusFor(reason, nil), "reason %q", reason)
	}

	retry := func(reason NoCacheReason) LockStatus {
		require.True(t, reason.IsCustom(), "custom was called for %s", reason)
		return LockTransientError
	}
	require.Equal(t, LockTransientError, lockStatusFor(Custom("busy"), retry))
	require.Equal(t, LockGiveUp, lockStatusFor(OriginNotCache, retry))
	require.Equal(t, LockTransientError, lockStatusFor(StorageError, retry))
}
