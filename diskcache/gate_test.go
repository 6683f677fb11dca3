package diskcache

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// testDisk is the disk that a gate's probe finds.
type testDisk struct {
	mu  sync.Mutex
	err error
}

func (d *testDisk) set(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

func (d *testDisk) probe() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// testGate returns a gate that probes disk, and the list of its reports.
func testGate(t *testing.T, tolerate int32, disk *testDisk) (*gate, *[]error) {
	var mu sync.Mutex
	var reports []error
	return &gate{
		slow:     time.Second,
		tolerate: tolerate,
		probe:    disk.probe,
		report: func(err error) {
			mu.Lock()
			defer mu.Unlock()
			reports = append(reports, err)
		},
		spawn: func(f func(context.Context)) { go f(t.Context()) },
		start: time.Now(),
	}, &reports
}

func TestGateShutsAndOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		disk := testDisk{err: broken}
		g, reports := testGate(t, 2, &disk)
		operation := func(failure error) error {
			began, err := g.enter()
			if err == nil {
				g.leave(began, failure)
			}
			return err
		}
		for range 2 {
			require.NoError(t, operation(broken))
			require.NoError(t, operation(broken))
			require.NoError(t, operation(nil), "two failures in a row shut the gate")
		}
		for range 3 {
			require.NoError(t, operation(broken))
		}
		require.ErrorIs(t, operation(nil), broken)
		require.ErrorIs(t, g.err(), broken)
		time.Sleep(time.Minute)
		require.ErrorIs(t, operation(nil), broken, "the probe still fails")
		disk.set(nil)
		time.Sleep(lastProbe)
		synctest.Wait()
		require.NoError(t, operation(nil))
		require.NoError(t, g.err())
		require.Equal(t, []error{broken, nil}, *reports)
		require.EqualValues(t, 2, g.turned.Load())
	})
}

// TestGateTurnsAwayWhileTheDiskHangs lets operations hang: later ones are turned away.
func TestGateTurnsAwayWhileTheDiskHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var disk testDisk
		g, reports := testGate(t, 2, &disk)
		time.Sleep(time.Hour) // an idle disk is not slow
		hung, err := g.enter()
		require.NoError(t, err)
		time.Sleep(500 * time.Millisecond)
		_, err = g.enter()
		require.NoError(t, err)
		time.Sleep(600 * time.Millisecond)
		_, err = g.enter()
		require.ErrorIs(t, err, errSlow)
		_, err = g.enter()
		require.ErrorIs(t, err, errSlow)

		time.Sleep(firstProbe)
		synctest.Wait()
		require.NoError(t, g.err(), "the gate stays shut after a quick probe")
		g.leave(hung, nil)
		// The gate shut because this operation hung, and the probe has succeeded since. So its end
		// changes nothing.
		require.NoError(t, g.err())
		slow, err := g.enter()
		require.NoError(t, err)
		time.Sleep(1100 * time.Millisecond)
		g.leave(slow, nil)
		require.ErrorIs(t, g.err(), errSlow, "a slow operation does not shut the gate")
		time.Sleep(firstProbe)
		synctest.Wait()
		require.Equal(t, []error{errSlow, nil, errSlow, nil}, *reports)
	})
}

func TestGateLimitsOperations(t *testing.T) {
	var disk testDisk
	g, _ := testGate(t, 0, &disk)
	var began []operation
	for range maxBusy {
		b, err := g.enter()
		require.NoError(t, err)
		began = append(began, b)
	}
	_, err := g.enter()
	require.ErrorIs(t, err, errBusy)
	for _, b := range began {
		g.leave(b, nil)
	}
	_, err = g.enter()
	require.NoError(t, err)
}

// TestGateIgnoresHungOperations checks that an operation that never returns does not keep a working
// disk from being used, however long the pauses between other operations are, and that it is no
// failure when it returns at last.
func TestGateIgnoresHungOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var disk testDisk
		g, _ := testGate(t, 2, &disk)
		hung, err := g.enter()
		require.NoError(t, err)
		time.Sleep(2 * time.Second)
		_, err = g.enter()
		require.ErrorIs(t, err, errSlow)
		time.Sleep(lastProbe)
		synctest.Wait()
		for range 3 {
			began, err := g.enter()
			require.NoError(t, err)
			g.leave(began, nil)
			time.Sleep(time.Minute)
		}
		g.leave(hung, errors.New("broken"))
		require.NoError(t, g.err())
		require.Zero(t, g.busy.Load())
	})
}
