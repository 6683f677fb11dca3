//go:build unix

package diskcache

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// sameFileSystem reports whether two files are on the same file system.
func sameFileSystem(a, b os.FileInfo) bool {
	sa, ok := a.Sys().(*syscall.Stat_t)
	sb, ok2 := b.Sys().(*syscall.Stat_t)
	return ok && ok2 && sa.Dev == sb.Dev
}

// isBusy reports whether err means that this process has no free file descriptor, which is not a
// failure of the disk.
func isBusy(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// isFull reports whether err means that the disk is full.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// isMissing reports whether err means that there is no such file, or no such directory for it.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
