package cirque

// Unexported names that the tests in package cirque_test use.
var (
	ErrNotLocked    = errNotLocked
	LookupStreaming = lookupStreaming
	GroupHash       = groupHash
)

const (
	MaxPurgedGroups = maxPurgedGroups
	MaxVariants     = maxVariants
)

func (r *VaryRecord) Epoch() uint64 { return r.epoch }
