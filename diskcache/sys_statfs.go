//go:build darwin || freebsd || linux

package diskcache

import (
	"os"
	"syscall"
)

// freeBytes returns how many bytes an unprivileged process may still write to the file system of
// dir.
func freeBytes(dir string) (free int64, known bool, err error) {
	var st syscall.Statfs_t
	for {
		err := syscall.Statfs(dir, &st)
		if err == nil {
			return int64(st.Bavail) * int64(st.Bsize), true, nil
		}
		if err != syscall.EINTR {
			return 0, false, &os.PathError{Op: "statfs", Path: dir, Err: err}
		}
	}
}
