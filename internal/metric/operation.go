package metric

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque/stats"
)

// Operations are those of a Storage that are measured. The zero value is ready.
type Operations struct {
	Lookup, Write, Purge, Update Operation
}

// Stats returns what was counted, by the names that [stats.Storage] gives the operations.
func (o *Operations) Stats() map[string]stats.Operation {
	return map[string]stats.Operation{
		"lookup": o.Lookup.stats(),
		"write":  o.Write.stats(),
		"purge":  o.Purge.stats(),
		"update": o.Update.stats(),
	}
}

// Operation counts how one kind of operation does. It is safe for concurrent use, and ready when it
// is zero.
type Operation struct {
	errors atomic.Uint64
	time   Histogram
}

// Since counts an operation that began then and ends now.
func (o *Operation) Since(began time.Time) { o.time.Observe(time.Since(began)) }

// Took counts an operation that took d.
func (o *Operation) Took(d time.Duration) { o.time.Observe(d) }

// Failed counts an operation that the store could not do.
func (o *Operation) Failed() { o.errors.Add(1) }

func (o *Operation) stats() stats.Operation {
	s := stats.Operation{Errors: o.errors.Load()}
	o.time.AddTo(&s.Time)
	return s
}

// SampleRate says how many operations there are for each that [Sampled] chooses, on average.
const SampleRate = 64

// Sampled reports whether to measure an operation that is too frequent to measure each. It costs
// one random number.
func Sampled() bool { return rand.Uint32()%SampleRate == 0 }
