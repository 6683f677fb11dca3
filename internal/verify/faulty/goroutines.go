package faulty

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"
)

const (
	// ours is in the stack of each goroutine that runs code of this module or was started by it.
	ours = "github.com/cirquecache/cirque"

	// grace is how long goroutines and bodies may take to end after a test.
	grace = 2 * time.Second
)

// CheckGoroutines fails t if goroutines of this module that started after the call are still
// running after t's end. They get two seconds to end. Call it first, so that it checks after all
// other cleanups.
//
// It cannot tell to which of several parallel tests a goroutine belongs, so t must not be parallel.
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

// WatchGoroutines records the running goroutines of this module. The function that it returns gives
// newer ones two seconds to end, and returns the stacks of those that still run.
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

// goroutines returns the stacks of the module's goroutines by goroutine number, without the caller
// and without the goroutines of tests.
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

// settle waits until done returns true, at most for the grace period, and returns the last result.
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
