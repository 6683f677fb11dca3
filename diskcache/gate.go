package diskcache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
)

var (
	errSlow = errors.New("diskcache: the disk does not answer in time")
	errBusy = errors.New("diskcache: too many operations under way")
)

const (
	// maxBusy limits how many threads a hanging disk can block.
	maxBusy = 512

	firstProbe = 100 * time.Millisecond
	lastProbe  = 2 * time.Second
)

// gate keeps requests away from a disk that fails or hangs, so that they go on without it. It shuts
// when operations fail, and opens again when a probe succeeds.
//
// An operation that the kernel does not return from blocks its caller. Later callers are turned
// away.
type gate struct {
	slow     time.Duration
	tolerate int32 // number of failures in a row that do not shut the gate
	probe    func() error
	report   func(error)
	spawn    func(func(context.Context)) // runs a function until the store is closed; does nothing after that
	start    time.Time

	down     atomic.Pointer[error] // why the gate is shut; nil: it is open
	failures atomic.Int32          // in a row
	busy     atomic.Int32          // operations under way
	progress atomic.Int64          // when an operation last ended, or began while no other was under way
	turned   atomic.Int64          // number of operations turned away

	// reopened counts how often the gate was opened again. hung counts the operations that were
	// under way when it was last opened and have not ended since. They are ignored: the disk works,
	// and only has not answered them.
	reopened atomic.Int32
	hung     atomic.Int32
}

// operation is one operation that was let in.
type operation struct {
	began    int64 // as of gate.now
	reopened int32 // the gate's count when the operation began
}

// now returns the nanoseconds since the gate's start.
func (g *gate) now() int64 { return int64(time.Since(g.start)) }

// err returns why the gate is shut, or nil.
func (g *gate) err() error {
	if err := g.down.Load(); err != nil {
		return *err
	}
	return nil
}

// enter begins an operation, which must end with leave. An error says why the disk must not be
// used.
func (g *gate) enter() (op operation, err error) {
	if err := g.err(); err != nil {
		g.turned.Add(1)
		return op, err
	}
	op = operation{g.now(), g.reopened.Load()}
	began := op.began
	n := g.busy.Add(1)
	switch {
	case n <= 1+g.hung.Load():
		g.progress.Store(began)
	case began-g.progress.Load() > int64(g.slow):
		g.shut(errSlow)
		err = errSlow
	case n > maxBusy:
		err = errBusy
	}
	if err != nil {
		g.busy.Add(-1)
		g.turned.Add(1)
	}
	return op, err
}

// leave ends an operation. failure is the error of the disk, or nil.
func (g *gate) leave(op operation, failure error) {
	now := g.now()
	g.progress.Store(now)
	g.busy.Add(-1)
	switch {
	case op.reopened != g.reopened.Load():
		g.hungReturned()
	case failure != nil:
		g.fail(failure)
	case now-op.began > int64(g.slow):
		g.shut(errSlow)
	case g.failures.Load() != 0:
		g.failures.Store(0)
	}
}

// fail counts an operation that failed, and shuts the gate if there were too many in a row.
func (g *gate) fail(reason error) {
	if g.failures.Add(1) > g.tolerate {
		g.shut(reason)
	}
}

// shut turns all operations away until a probe succeeds.
func (g *gate) shut(reason error) {
	if g.down.CompareAndSwap(nil, &reason) {
		g.spawn(func(ctx context.Context) { g.recover(ctx, reason) })
	}
}

// recover probes the disk until a probe succeeds, and then opens the gate.
func (g *gate) recover(ctx context.Context, reason error) {
	g.report(reason)
	for wait := firstProbe; ; wait = min(2*wait, lastProbe) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		began := g.now()
		if err := g.probe(); err == nil && g.now()-began <= int64(g.slow) {
			break
		}
	}
	g.failures.Store(0)
	g.reopened.Add(1)
	g.hung.Store(g.busy.Load())
	g.progress.Store(g.now())
	g.down.Store(nil)
	g.report(nil)
}

// hungReturned takes note that an operation counted in hung has ended.
func (g *gate) hungReturned() {
	for {
		n := g.hung.Load()
		if n <= 0 || g.hung.CompareAndSwap(n, n-1) {
			return
		}
	}
}

// diskFailure returns err if it is a failure of the disk. It returns nil if err is about one file,
// or about this process.
func diskFailure(err error) error {
	for _, harmless := range [...]error{errDamaged, errBusy, errMetaTooLarge, ErrClosed, cirque.ErrNotFound} {
		if errors.Is(err, harmless) {
			return nil
		}
	}
	if isBusy(err) || isMissing(err) {
		return nil
	}
	return err
}
