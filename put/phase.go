package put

import (
	"fmt"
	"slices"
)

// Phase is the state of a put.
type Phase uint8

// The phases. The zero value is PhaseHeader.
const (
	// PhaseHeader: the header is not complete yet.
	PhaseHeader Phase = iota
	// PhaseBody: the response may be stored, and its body is being stored.
	PhaseBody
	// PhaseComplete: the body has ended. Finish makes it a stored response.
	PhaseComplete
	// PhaseFailed: nothing will be stored. Putter.Err says why.
	PhaseFailed
	// PhaseStored: the put has ended. The response is stored.
	PhaseStored
	// PhaseEnded: the put has ended. Nothing was stored.
	PhaseEnded
	phaseCount
)

var phaseNames = [phaseCount]string{"Header", "Body", "Complete", "Failed", "Stored", "Ended"}

// String returns the phase's name.
func (p Phase) String() string {
	if p < phaseCount {
		return phaseNames[p]
	}
	return fmt.Sprintf("Phase(%d)", uint8(p))
}

// legalMoves lists the phases that each phase can lead to.
var legalMoves = [phaseCount][]Phase{
	PhaseHeader:   {PhaseBody, PhaseFailed},
	PhaseBody:     {PhaseComplete, PhaseFailed, PhaseStored},
	PhaseComplete: {PhaseFailed, PhaseStored},
	PhaseFailed:   {PhaseEnded},
}

// PhaseError is the panic value of a method that is called after the end of the put. It means a bug
// in the calling code, never an event at run time.
type PhaseError struct {
	Op    string // the method that was called
	Phase Phase  // the phase it was called in
}

// Error implements error.
func (e *PhaseError) Error() string {
	return fmt.Sprintf("put: Putter.%s is not legal in phase %s", e.Op, e.Phase)
}

// require panics if the put has ended.
func (p *Putter) require(op string) {
	if p.phase >= PhaseStored {
		panic(&PhaseError{op, p.phase})
	}
}

// to changes the phase. Nothing else does.
func (p *Putter) to(op string, phase Phase) {
	if !slices.Contains(legalMoves[p.phase], phase) {
		panic(&PhaseError{op, p.phase})
	}
	p.phase = phase
}
