package cirque

// What the tests in package cirque_test use of this one.
var (
	ErrNotLocked    = errNotLocked
	LookupStreaming = lookupStreaming
)

const MaxPurgedGroups = maxPurgedGroups
