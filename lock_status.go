package cirque

import "fmt"

// LockStatus tells a waiter what became of a key's writer.
type LockStatus uint8

// The statuses.
const (
	// LockWaiting: the writer is at work. As the result of Wait: the context ended first.
	LockWaiting LockStatus = iota + 1
	// LockDone: the response is in the Storage; look it up.
	LockDone
	// LockTransientError: the writer failed for a reason of its own, not of the origin; another may
	// try.
	LockTransientError
	// LockGiveUp: the response cannot be shared; each request must fetch its own.
	LockGiveUp
	// LockDangling: the permit was lost without a release; another may try.
	LockDangling
	// LockWaitTimeout: the waiter's timeout has passed; fetch without the cache.
	LockWaitTimeout
	// LockAgeTimeout: the writer has taken too long; another may try.
	LockAgeTimeout
	// LockUpstreamError: the origin failed for the writer. Another may try, or may treat the error
	// as its own (RFC 5861 §4).
	LockUpstreamError
)

// String returns the status's name.
func (s LockStatus) String() string {
	names := [...]string{
		"", "Waiting", "Done", "TransientError", "GiveUp", "Dangling", "WaitTimeout", "AgeTimeout", "UpstreamError",
	}
	if s == 0 || int(s) >= len(names) {
		return fmt.Sprintf("LockStatus(%d)", uint8(s))
	}
	return names[s]
}

// lockStatusFor returns the status that the waiters get when a fill ended for reason.
//
//   - The empty reason means success: LockDone.
//   - OriginNotCache, ResponseTooLarge and PredictedResponseTooLarge come from the response, so the
//     next writer would meet them too: LockGiveUp.
//   - UpstreamError: LockUpstreamError.
//   - For a custom reason custom decides; if custom is nil: LockGiveUp.
//   - Every other reason concerns this one attempt: LockTransientError. That includes NeverEnabled,
//     CacheLockGiveUp and CacheLockTimeout, which no writer should have.
func lockStatusFor(reason NoCacheReason, custom func(NoCacheReason) LockStatus) LockStatus {
	switch reason {
	case "":
		return LockDone
	case OriginNotCache, ResponseTooLarge, PredictedResponseTooLarge:
		return LockGiveUp
	case UpstreamError:
		return LockUpstreamError
	}
	switch {
	case !reason.IsCustom():
		return LockTransientError
	case custom != nil:
		return custom(reason)
	}
	return LockGiveUp
}
