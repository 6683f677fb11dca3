package diskcache

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

var (
	errSlow = errors.New("diskcache: the disk does not answer in time")
	errBusy = errors.New("diskcache: too many operations under way")
)

const (
	// maxBusy bounds how many threads a disk that hangs can take with it.
	maxBusy = 512

	firstProbe = 100 * time.Millisecond
	lastProbe  = 2 * time.Second
)

// gate keeps requests off a disk that fails or hangs, so that they go on without it. It shuts when
// operations fail, and opens by itself when a probe succeeds.
//
// An operation that the kernel does not return from holds up its caller; those who come after it
// are turned away.
type gate struct {
	slow     time.Duration
	tolerate int32 // failures in a row that don't shut the gate
	probe    func() error
	report   func(error)
	spawn    func(func(context.Context)) // runs it until the store is closed; not at all if it is
	start    time.Time

	down     atomic.Pointer[error]
	failures atomic.Int32 // in a row
	busy     atomic.Int32 // operations under way
	progress atomic.Int64 // when an operation ended, or began with no other under way
	turned   atomic.Int64 // operations turned away

	// reopened counts how often the gate was opened again, and hung the operations under way that
	// were so before it last was. They say nothing of the disk any more: it works, and has not come
	// back to them.
	reopened atomic.Int32
	hung     atomic.Int32
}

// operation is one that was let in.
type operation struct {
	began    int64
	reopened int32 // how often the gate had been, then
}

func (g *gate) now() int64 { return int64(time.Since(g.start)) }

// err returns why the gate is shut, or nil.
func (g *gate) err() error {
	if err := g.down.Load(); err != nil {
		return *err
	}
	return nil
}

// enter begins an operation, which leave has to end, or says why the disk is not to be used.
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

// leave ends an operation. failure is what the disk did wrong, if anything.
func (g *gate) leave(op operation, failure error) {
	now := g.now()
	g.progress.Store(now)
	g.busy.Add(-1)
	switch {
	case op.reopened != g.reopened.Load():
		g.settle()
	case failure != nil:
		g.fail(failure)
	case now-op.began > int64(g.slow):
		g.shut(errSlow)
	case g.failures.Load() != 0:
		g.failures.Store(0)
	}
}

// fail is for an operation that failed.
func (g *gate) fail(reason error) {
	if g.failures.Add(1) > g.tolerate {
		g.shut(reason)
	}
}

// shut turns everybody away until a probe succeeds.
func (g *gate) shut(reason error) {
	if g.down.CompareAndSwap(nil, &reason) {
		g.spawn(func(ctx context.Context) { g.recover(ctx, reason) })
	}
}

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

// settle takes note that a hung operation has come back.
func (g *gate) settle() {
	for {
		n := g.hung.Load()
		if n <= 0 || g.hung.CompareAndSwap(n, n-1) {
			return
		}
	}
}
