//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package diskcache

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the exclusive lock on f. The lock ends when f is closed or the process ends.
// tryLock returns false if another process or file has it.
func tryLock(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, &os.PathError{Op: "flock", Path: f.Name(), Err: err}
		}
	}
}
