package faulty

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// recorder is a testing.TB that only records its failures and cleanups.
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

func (r *recorder) finish() {
	for _, done := range slices.Backward(r.cleanups) {
		done()
	}
}

// finishFailing is finish for a test that fails in its cleanup. The grace period passes at once.
func (r *recorder) finishFailing(t *testing.T) {
	synctest.Test(t, func(*testing.T) { r.finish() })
}

// leak starts a goroutine that runs until release is closed.
func leak(release <-chan struct{}) {
	started := make(chan struct{})
	go func() {
		close(started)
		<-release
	}()
	<-started
}

func TestCheckGoroutines(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	leak(release)

	var clean recorder
	CheckGoroutines(&clean)
	brief := make(chan struct{})
	leak(brief)
	clean.Cleanup(func() { close(brief) })
	clean.finish()
	require.Empty(t, clean.failures, "older goroutines, and goroutines that end in time, are no leak")

	var leaking recorder
	CheckGoroutines(&leaking)
	leak(release)
	leaking.finishFailing(t)
	require.Len(t, leaking.failures, 1)
	require.Contains(t, leaking.failures[0], "1 goroutines outlive the test")
	require.Contains(t, leaking.failures[0], "faulty.leak.")
	require.Contains(t, leaking.failures[0], "goroutines_test.go:")
}
