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
	served  = in(PhaseHit, PhaseMiss, PhaseStale, PhaseStaleUpdating, PhaseExpired, PhaseRevalidated, PhaseRevalidatedNoCache)
)

// legalMoves is the only table of the walk: it says in which phases a step is legal, and to which
// phases it leads. A step with an empty "to" does not change the phase.
var legalMoves = [opCount]struct{ from, to phaseSet }{
	opEnable:                {in(PhaseDisabled), in(PhaseUninit)},
	opDisable:               {anyPhase, in(PhaseDisabled)},
	opBypass:                {in(PhaseCacheKey), in(PhaseBypass)},
	opSetKey:                {in(PhaseUninit, PhaseCacheKey), in(PhaseCacheKey)},
	opLookup:                {in(PhaseCacheKey), 0},
	opVaryLookup:            {in(PhaseCacheKey), 0},
	opSelectVariant:         {in(PhaseCacheKey, PhaseMiss, PhaseStale), in(PhaseCacheKey)},
	opFound:                 {in(PhaseCacheKey), in(PhaseHit, PhaseStale, PhaseMiss)},
	opMiss:                  {in(PhaseCacheKey, PhaseStale), in(PhaseMiss)},
	opTryLock:               {in(PhaseCacheKey, PhaseStale, PhaseMiss), 0},
	opWaitLock:              {in(PhaseCacheKey, PhaseStale, PhaseMiss), in(PhaseCacheKey)},
	opStartOver:             {in(PhaseCacheKey, PhaseStale, PhaseMiss), in(PhaseCacheKey)},
	opSetWriteLock:          {withKey, 0},
	opStaleUpdating:         {in(PhaseStale), in(PhaseStaleUpdating)},
	opSetMeta:               {in(PhaseBypass, PhaseMiss, PhaseStale, PhaseExpired), in(PhaseMiss, PhaseExpired)},
	opUpdateVariance:        {in(PhaseMiss, PhaseExpired), 0},
	opStartFill:             {in(PhaseMiss, PhaseExpired), 0},
	opRevalidate:            {in(PhaseStale), in(PhaseRevalidated)},
	opRevalidateUncacheable: {in(PhaseStale), in(PhaseRevalidatedNoCache)},
	opSupersede:             {withKey, 0},
	opFinishHit:             {served, 0},
	opTakeHit:               {served, 0},
	opPurge:                 {withKey, 0},
	opPurgeInBackground:     {withKey, 0},
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

// require panics unless o is legal in the present phase.
func (c *HttpCache) require(o op) {
	if !legalMoves[o].from.has(c.phase) {
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
