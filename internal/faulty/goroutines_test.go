package faulty

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// recorder is a test that keeps its failures and cleanups to itself.
type recorder struct {
	testing.TB
	failures []string
	cleanups []func()
}

func (r *recorder) Helper()             {}
func (r *recorder) Cleanup(done func()) { r.cleanups = append(r.cleanups, done) }
func (r *recorder) Errorf(format string, args ...any) {
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

// finish ends the recorded test; grace periods pass at once.
func (r *recorder) finish(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		for _, done := range slices.Backward(r.cleanups) {
			done()
		}
	})
}

func leak(release <-chan struct{}) { <-release }

func TestCheckGoroutines(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	started := make(chan struct{})
	go func() {
		close(started)
		leak(release)
	}()
	<-started

	var clean recorder
	CheckGoroutines(&clean)
	brief := make(chan struct{})
	go leak(brief)
	clean.Cleanup(func() { close(brief) })
	clean.finish(t)
	require.Empty(t, clean.failures, "older goroutines and those that end are no leak")

	var leaking recorder
	CheckGoroutines(&leaking)
	go leak(release)
	leaking.finish(t)
	require.Len(t, leaking.failures, 1)
	require.Contains(t, leaking.failures[0], "1 goroutines outlive the test")
	require.Contains(t, leaking.failures[0], "faulty.leak(")
	require.Contains(t, leaking.failures[0], "goroutines_test.go:")
}
