package storagetest

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/cirquecache/cirque"
)

// recorder is a testing.TB that records the failure of a case instead of failing the test.
type recorder struct {
	testing.TB // provides the private method, Helper, Name and TempDir

	mu       sync.Mutex
	cleanups []func()
	failed   bool
	skipped  bool
	log      string
}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.mu.Lock()
	r.failed = true
	r.log += fmt.Sprintf(format, args...) + "\n"
	r.mu.Unlock()
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

func (r *recorder) Skip(...any) {
	r.skipped = true
	runtime.Goexit()
}

// record runs c as Run does, and returns what c reported.
func record(t *testing.T, c testCase, newStorage func(testing.TB) cirque.Storage, features Features) *recorder {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for i := len(r.cleanups) - 1; i >= 0; i-- {
				r.cleanups[i]()
			}
		}()
		c.test(r, newStorage, features)
	}()
	<-done
	return r
}
