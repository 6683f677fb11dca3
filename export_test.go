package cirque

// Unexported names that the tests in package cirque_test use.
var (
	ErrNotLocked    = errNotLocked
	LookupStreaming = lookupStreaming
)

const MaxPurgedGroups = maxPurgedGroups
