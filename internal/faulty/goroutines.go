package faulty

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"
)

const (
	// ours marks the stack of a goroutine that runs or was started by code of this module.
	ours = "github.com/cirquecache/cirque"

	// grace is how long things may take to end after a test.
	grace = 2 * time.Second
)

// CheckGoroutines fails t if, when it is over, there are goroutines of this module that were not there
// when CheckGoroutines was called. Call it first, so that it looks after all other cleanups are done. Goroutines
// get two seconds to end.
//
// It can't tell the goroutines of tests that run in parallel apart, so t must not be one of them.
func CheckGoroutines(t testing.TB) {
	t.Helper()
	outlasting := WatchGoroutines()
	t.Cleanup(func() {
		t.Helper()
		if left := outlasting(); len(left) > 0 {
			t.Errorf("%d goroutines outlive the test:\n\n%s", len(left), strings.Join(left, "\n\n"))
		}
	})
}

// WatchGoroutines notes the goroutines of this module that there are. The function that it returns gives those that have
// come since two seconds to end, and returns the stacks of the rest.
func WatchGoroutines() (left func() []string) {
	before := goroutines()
	return func() []string {
		var left []string
		settle(func() bool {
			left = left[:0]
			for id, stack := range goroutines() {
				if _, old := before[id]; !old {
					left = append(left, stack)
				}
			}
			return len(left) == 0
		})
		return left
	}
}

// goroutines returns the stacks of the module's goroutines, except the caller's and those that are tests
// themselves, by the goroutine's number.
func goroutines() map[string]string {
	buf := make([]byte, 64<<10)
	for n := runtime.Stack(buf, true); ; n = runtime.Stack(buf, true) {
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	found := make(map[string]string)
	for i, stack := range bytes.Split(buf, []byte("\n\n")) {
		// "goroutine 7 [running]:", then two lines a call. The caller comes first.
		text := string(stack)
		if i == 0 || !strings.Contains(text, ours) || strings.Contains(text, "\ntesting.tRunner(") {
			continue
		}
		id, _, _ := strings.Cut(strings.TrimPrefix(text, "goroutine "), " ")
		found[id] = text
	}
	return found
}

// settle waits until done, for the grace period at most, and returns whether it came to that.
func settle(done func() bool) bool {
	deadline := time.Now().Add(grace)
	for wait := time.Millisecond; !done(); wait = min(2*wait, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(wait)
	}
	return true
}
