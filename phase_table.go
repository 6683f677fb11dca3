package cirque

import "fmt"

// op is a step of HttpCache, for the table of legal moves and for PhaseError.
type op uint8

const (
	opEnable op = iota
	opDisable
	opBypass
	opSetKey
	opLookup
	opVaryLookup
	opSelectVariant
	opFound
	opMiss
	opTryLock
	opWaitLock
	opStartOver
	opSetWriteLock
	opStaleUpdating
	opSetMeta
	opUpdateVariance
	opStartFill
	opRevalidate
	opRevalidateUncacheable
	opSupersede
	opFinishHit
	opTakeHit
	opPurge
	opPurgeInBackground
	opCount
)

var opNames = [opCount]string{
	"Enable", "Disable", "Bypass", "SetKey", "Lookup", "VaryLookup", "SelectVariant", "Found", "Miss",
	"TryLock", "WaitLock", "StartOver", "SetWriteLock", "StaleUpdating", "SetMeta", "UpdateVariance", "StartFill",
	"Revalidate", "RevalidateUncacheable", "Supersede", "FinishHit", "TakeHit",
	"Purge", "PurgeInBackground",
}

// phaseSet is a set of phases.
type phaseSet uint16

func in(phases ...CachePhase) phaseSet {
	var s phaseSet
	for _, p := range phases {
		s |= 1 << p
	}
	return s
}

func (s phaseSet) has(p CachePhase) bool { return s&(1<<p) != 0 }

// Sets of phases that several steps use.
const anyPhase phaseSet = 1<<phaseCount - 1

var (
	withKey = anyPhase &^ in(PhaseDisabled, PhaseUninit)
	serving = in(PhaseHit, PhaseMiss, PhaseStale, PhaseStaleUpdating, PhaseExpired, PhaseRevalidated, PhaseRevalidatedNoCache)
)

// need is what a step needs beside the right phase.
type need bool

const (
	nothing need = false
	aMeta   need = true // SetMeta must have been called
)

// legalMoves is the only table of the walk: it says in which phases a step is legal, to which
// phases it leads, and whether SetMeta must have been called. A step with an empty "to" does not
// change the phase.
var legalMoves = [opCount]struct {
	from, to phaseSet
	needs    need
}{
	opEnable:                {in(PhaseDisabled), in(PhaseUninit), nothing},
	opDisable:               {anyPhase, in(PhaseDisabled), nothing},
	opBypass:                {in(PhaseCacheKey), in(PhaseBypass), nothing},
	opSetKey:                {in(PhaseUninit, PhaseCacheKey), in(PhaseCacheKey), nothing},
	opLookup:                {in(PhaseCacheKey), 0, nothing},
	opVaryLookup:            {in(PhaseCacheKey), 0, nothing},
	opSelectVariant:         {in(PhaseCacheKey, PhaseMiss, PhaseStale), in(PhaseCacheKey), nothing},
	opFound:                 {in(PhaseCacheKey), in(PhaseHit, PhaseStale, PhaseMiss), nothing},
	opMiss:                  {in(PhaseCacheKey, PhaseStale), in(PhaseMiss), nothing},
	opTryLock:               {in(PhaseCacheKey, PhaseStale, PhaseMiss), 0, nothing},
	opWaitLock:              {in(PhaseCacheKey, PhaseStale, PhaseMiss), in(PhaseCacheKey), nothing},
	opStartOver:             {in(PhaseCacheKey, PhaseStale, PhaseMiss), in(PhaseCacheKey), nothing},
	opSetWriteLock:          {withKey, 0, nothing},
	opStaleUpdating:         {in(PhaseStale), in(PhaseStaleUpdating), nothing},
	opSetMeta:               {in(PhaseBypass, PhaseMiss, PhaseStale, PhaseExpired), in(PhaseMiss, PhaseExpired), nothing},
	opUpdateVariance:        {in(PhaseMiss, PhaseExpired), 0, aMeta},
	opStartFill:             {in(PhaseMiss, PhaseExpired), 0, aMeta},
	opRevalidate:            {in(PhaseStale), in(PhaseRevalidated), nothing},
	opRevalidateUncacheable: {in(PhaseStale), in(PhaseRevalidatedNoCache), nothing},
	opSupersede:             {withKey, 0, nothing},
	opFinishHit:             {serving, 0, nothing},
	opTakeHit:               {serving, 0, nothing},
	opPurge:                 {withKey, 0, nothing},
	opPurgeInBackground:     {withKey, 0, nothing},
}

// PhaseError is the panic value of a step that the phase does not allow. UpdateVariance and
// StartFill also panic with it if SetMeta was not called. It is a bug in the code that drives the
// HttpCache, never an event at run time.
type PhaseError struct {
	Op    string     // the method that was called
	Phase CachePhase // the phase it was called in
}

// Error implements error.
func (e *PhaseError) Error() string {
	return fmt.Sprintf("cirque: HttpCache.%s is not legal in phase %s", e.Op, e.Phase)
}

// require panics unless o is legal now.
func (c *HttpCache) require(o op) {
	move := &legalMoves[o]
	if !move.from.has(c.phase) || move.needs == aMeta && c.meta == nil {
		panic(&PhaseError{opNames[o], c.phase})
	}
}

// transition is the only place that changes the phase.
func (c *HttpCache) transition(o op, to CachePhase) {
	c.require(o)
	if !legalMoves[o].to.has(to) {
		panic(&PhaseError{opNames[o], c.phase})
	}
	c.phase = to
}
