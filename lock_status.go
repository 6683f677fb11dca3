package cirque

import "fmt"

// LockStatus is what one who waits for a key's writer learns.
type LockStatus uint8

// The statuses.
const (
	// LockWaiting: the writer is at work. From a wait: it was cut short by its context.
	LockWaiting LockStatus = iota + 1
	// LockDone: the response is in the Storage; look it up.
	LockDone
	// LockTransientError: the writer failed for a reason of its own; another may try.
	LockTransientError
	// LockGiveUp: the response cannot be shared; everybody fetches on their own.
	LockGiveUp
	// LockDangling: the writer was lost without a word; another may try.
	LockDangling
	// LockWaitTimeout: the waiter's own patience is at an end; fetch without the cache.
	LockWaitTimeout
	// LockAgeTimeout: the writer takes too long; another may try.
	LockAgeTimeout
	// LockUpstreamError: the writer met with an error of the origin; another may try, or take that for an error that
	// it met with itself (RFC 5861 §4).
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

// LockStatusFor returns what those who wait for a fill learn when it ended for reason.
//
// The empty reason, no hindrance, is LockDone. What the response itself caused would meet the next
// writer too: LockGiveUp. So would a custom reason, unless custom, where not nil, says otherwise. UpstreamError is
// LockUpstreamError. Every other reason is a matter of this one attempt: LockTransientError. NeverEnabled,
// CacheLockGiveUp and CacheLockTimeout, which no writer should have, count among those.
func LockStatusFor(reason NoCacheReason, custom func(NoCacheReason) LockStatus) LockStatus {
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
