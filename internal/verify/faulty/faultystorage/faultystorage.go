// Package faultystorage wraps a Storage so that chosen calls fail, wait or panic.
//
//	broken := errors.New("disk on fire")
//	storage, tally := faultystorage.Wrap(memcache.New(memcache.Config{}),
//		faultystorage.Nth(faultystorage.MissWrite, 2, faultystorage.Fault{Err: broken}))
//
// The wrapper streams if the Storage does, and its hits are io.WriterTo if the Storage's are.
package faultystorage

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cirquecache/cirque"
)

// Op is one of the calls that can fail.
type Op uint8

const (
	Lookup Op = iota + 1
	LookupStreaming
	MissHandler
	Purge
	UpdateMeta

	HitRead
	HitWriteTo
	HitSeekRange
	HitClose

	MissWrite
	MissFinish
	MissAbort
	MissNewReader

	opEnd
)

var ops = [opEnd]string{
	Lookup:          "Lookup",
	LookupStreaming: "LookupStreaming",
	MissHandler:     "MissHandler",
	Purge:           "Purge",
	UpdateMeta:      "UpdateMeta",
	HitRead:         "HitHandler.Read",
	HitWriteTo:      "HitHandler.WriteTo",
	HitSeekRange:    "HitHandler.SeekRange",
	HitClose:        "HitHandler.Close",
	MissWrite:       "MissHandler.Write",
	MissFinish:      "MissHandler.Finish",
	MissAbort:       "MissHandler.Abort",
	MissNewReader:   "MissHandler.NewReader",
}

// Ops returns every Op.
func Ops() []Op {
	var all []Op
	for op := Lookup; op < opEnd; op++ {
		all = append(all, op)
	}
	return all
}

// String returns the name of op, such as "HitHandler.Read".
func (op Op) String() string {
	if op == 0 || op >= opEnd {
		return fmt.Sprintf("Op(%d)", uint8(op))
	}
	return ops[op]
}

// Fault says what goes wrong in one call. Its parts take effect in this order. The zero Fault means
// none.
type Fault struct {
	// The call first waits for Delay, and then until Hold is closed. The wait ends with the
	// context's error when the context of the call ends; for a handler, that is the context of its
	// Lookup or MissHandler call.
	Delay time.Duration
	Hold  <-chan struct{}

	// Panic, if not nil, is the value that the call panics with.
	Panic any

	// Err, if not nil, is returned and the call does nothing else, with three exceptions: HitClose
	// still closes, MissFinish aborts the write, and MissAbort cannot fail.
	Err error

	// Partial is the number of bytes that a read or write with an Err transfers before it fails.
	Partial int
}

// Script returns the fault of a call of op. call counts the calls of op on this Storage and its
// handlers, from 1. A Script is called from many goroutines.
type Script func(op Op, call int) Fault

// Nth returns a Script with fault at the n-th call of op, or at every call if n is 0.
func Nth(op Op, n int, fault Fault) Script {
	return func(o Op, call int) Fault {
		if o == op && (n == 0 || call == n) {
			return fault
		}
		return Fault{}
	}
}

// Tally counts the calls of a wrapped Storage. It is safe for concurrent use.
type Tally struct {
	script Script

	mu    sync.Mutex
	calls [opEnd]int
	open  map[any]string
}

// Calls returns how often op was called, with or without success.
func (t *Tally) Calls(op Op) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[op]
}

// Open describes the handlers still open: hits that were not closed, writes that were neither
// finished nor aborted.
func (t *Tally) Open() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var open []string
	for _, what := range t.open {
		open = append(open, what)
	}
	return open
}

func (t *Tally) opened(handler any, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open[handler] = what
}

func (t *Tally) done(handler any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.open, handler)
}

// strike counts a call and plays its fault. It returns the fault, whose Partial the caller needs,
// and the error of the fault or of ctx.
func (t *Tally) strike(ctx context.Context, op Op) (Fault, error) {
	t.mu.Lock()
	t.calls[op]++
	call := t.calls[op]
	t.mu.Unlock()

	if t.script == nil {
		return Fault{}, nil
	}
	fault := t.script(op, call)
	if err := fault.wait(ctx); err != nil {
		return fault, err
	}
	if fault.Panic != nil {
		panic(fault.Panic)
	}
	return fault, fault.Err
}

func (f Fault) wait(ctx context.Context) error {
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if f.Hold != nil {
		select {
		case <-f.Hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Wrap returns base with the faults of script, and a tally of the calls. A nil script has no
// faults.
func Wrap(base cirque.Storage, script Script) (cirque.Storage, *Tally) {
	tally := &Tally{script: script, open: make(map[any]string)}
	wrapped := &storage{base, tally}
	if streaming, ok := base.(cirque.StreamingStorage); ok {
		return &streamingStorage{wrapped, streaming}, tally
	}
	return wrapped, tally
}
