package cirque

import "fmt"

// op names a step of HttpCache for the table of legal moves and for PhaseError.
type op uint8

const (
	opEnable op = iota
	opDisable
	opBypass
	opSetKey
	opLookup
	opVaryLookup
	opFound
	opMiss
	opLock
	opWaitLock
	opStaleUpdating
	opSetMeta
	opUpdateVariance
	opStartFill
	opRevalidate
	opRevalidateUncacheable
	opFinishHit
	opPurge
	opCount
)

var opNames = [opCount]string{
	"Enable", "Disable", "Bypass", "SetKey", "Lookup", "VaryLookup", "Found", "Miss", "TryLock", "WaitLock",
	"StaleUpdating", "SetMeta", "UpdateVariance", "StartFill", "Revalidate", "RevalidateUncacheable",
	"FinishHit", "Purge",
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

const anyPhase phaseSet = 1<<phaseCount - 1

// legalMoves is the one table of the walk: from which phases each step may be taken, and to which
// it leads. A step that leads nowhere leaves the phase as it is.
var legalMoves = [opCount]struct{ from, to phaseSet }{
	opEnable:         {in(PhaseDisabled), in(PhaseUninit)},
	opDisable:        {anyPhase, in(PhaseDisabled)},
	opBypass:         {in(PhaseUninit, PhaseCacheKey), in(PhaseBypass)},
	opSetKey:         {in(PhaseUninit, PhaseCacheKey), in(PhaseCacheKey)},
	opLookup:         {in(PhaseCacheKey), 0},
	opVaryLookup:     {in(PhaseCacheKey, PhaseMiss, PhaseStale), in(PhaseCacheKey)},
	opFound:          {in(PhaseCacheKey), in(PhaseHit, PhaseStale, PhaseMiss)},
	opMiss:           {in(PhaseCacheKey, PhaseStale), in(PhaseMiss)},
	opLock:           {in(PhaseCacheKey, PhaseStale, PhaseMiss), 0},
	opWaitLock:       {in(PhaseCacheKey, PhaseStale, PhaseMiss), in(PhaseCacheKey)},
	opStaleUpdating:  {in(PhaseStale), in(PhaseStaleUpdating)},
	opSetMeta:        {in(PhaseBypass, PhaseMiss, PhaseStale, PhaseExpired), in(PhaseMiss, PhaseExpired)},
	opUpdateVariance: {in(PhaseMiss, PhaseExpired), 0},
	opStartFill:      {in(PhaseMiss, PhaseExpired), 0},
	opRevalidate:     {in(PhaseStale), in(PhaseRevalidated)},
	opRevalidateUncacheable: {
		in(PhaseStale), in(PhaseRevalidatedNoCache),
	},
	opFinishHit: {
		in(PhaseHit, PhaseMiss, PhaseStale, PhaseStaleUpdating, PhaseExpired, PhaseRevalidated, PhaseRevalidatedNoCache), 0,
	},
	opPurge: {anyPhase &^ in(PhaseDisabled, PhaseUninit), 0},
}

// PhaseError is the panic value of a step that HttpCache's phase does not allow. It is a bug in
// the code that drives the HttpCache, never an event at run time.
type PhaseError struct {
	Op    string     // the method that was called
	Phase CachePhase // the phase it was called in
}

// Error implements error.
func (e *PhaseError) Error() string {
	return fmt.Sprintf("cirque: HttpCache.%s is not legal in phase %s", e.Op, e.Phase)
}

// require panics unless o may be taken now.
func (c *HttpCache) require(o op) {
	if !legalMoves[o].from.has(c.phase) {
		panic(&PhaseError{opNames[o], c.phase})
	}
}

// transition is the only place that changes the phase.
func (c *HttpCache) transition(o op, to CachePhase) {
	c.require(o)
	if !legalMoves[o].to.has(to) {
		panic(&PhaseError{opNames[o], to})
	}
	c.phase = to
}
