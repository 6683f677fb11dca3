package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"
)

// bench is one run of the program.
type bench struct {
	ctx      context.Context
	stop     context.CancelFunc
	progress io.Writer
	slice    time.Duration
	rounds   int
	entries  int
	profiles string // directory; empty for none

	cleanups []func() // of the current experiment
}

// run runs one experiment and cleans up after it.
func (b *bench) run(experiment func(*bench) ([]row, error)) ([]row, error) {
	defer b.cleanUp()
	return experiment(b)
}

// cleanUp ends the processes of an experiment.
func (b *bench) cleanUp() {
	for _, cleanup := range slices.Backward(b.cleanups) {
		cleanup()
	}
	b.cleanups = nil
}

// sample is what was measured in one slice.
type sample struct {
	Ops    int
	Wall   time.Duration
	CPU    time.Duration // of the measured processes, with their garbage collections
	Waited time.Duration // for locks, by all goroutines together
	Allocs uint64
	Bytes  uint64 // allocated
}

// The figures of a sample, each per operation.
func (s sample) cpu() float64    { return float64(s.CPU) / float64(s.Ops) }  // nanoseconds
func (s sample) wall() float64   { return float64(s.Wall) / float64(s.Ops) } // nanoseconds
func (s sample) allocs() float64 { return float64(s.Allocs) / float64(s.Ops) }
func (s sample) bytes() float64  { return float64(s.Bytes) / float64(s.Ops) }

// occupied is how long an operation keeps a goroutine busy, or waiting for a lock.
func (s sample) occupied() float64 { return float64(s.CPU+s.Waited) / float64(s.Ops) }

// contender is one of several operations that take turns.
type contender struct {
	name  string
	slice func(time.Duration) (sample, error)
}

// contest lets the contenders take turns and returns their samples, in their order. The first of a
// round changes, so that no contender always follows the same one.
func (b *bench) contest(contenders ...contender) ([][]sample, error) {
	samples := make([][]sample, len(contenders))
	for round := range b.rounds + 1 {
		for i := range contenders {
			turn := (round + i) % len(contenders)
			c := contenders[turn]
			s, err := c.slice(b.slice)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if round > 0 { // the first round warms up
				samples[turn] = append(samples[turn], s)
			}
		}
	}
	return samples, nil
}

// spread is the distribution of one figure over the rounds: its quartiles.
type spread struct{ low, median, high float64 }

func (s spread) times(factor float64) spread {
	return spread{s.low * factor, s.median * factor, s.high * factor}
}

func spreadOf(values []float64) spread {
	slices.Sort(values)
	at := func(share float64) float64 {
		position := share * float64(len(values)-1)
		i := int(position)
		if i == len(values)-1 {
			return values[i]
		}
		return values[i] + (position-float64(i))*(values[i+1]-values[i])
	}
	return spread{at(0.25), at(0.5), at(0.75)}
}

// figure returns the spread of one figure of a contender's samples.
func figure(samples []sample, f func(sample) float64) spread {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = f(s)
	}
	return spreadOf(values)
}

// ratio returns the spread of a's figure divided by b's in the same round.
func ratio(a, b []sample, f func(sample) float64) spread {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = f(a[i]) / f(b[i])
	}
	return spreadOf(values)
}

// difference returns the spread of a's figure minus b's in the same round.
func difference(a, b []sample, f func(sample) float64) spread {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = f(a[i]) - f(b[i])
	}
	return spreadOf(values)
}
