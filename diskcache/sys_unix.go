//go:build unix

package diskcache

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// stampOf returns a number that changes whenever the file does, and when it last did. Change time and inode are among
// what it stands for: they tell of changes that leave size and modification time as they were.
func stampOf(info os.FileInfo) (stamp uint64, changed time.Time) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return makeStamp(0, info.Size(), info.ModTime(), info.ModTime()), info.ModTime()
	}
	changed = time.Unix(changeTime(st))
	return makeStamp(uint64(st.Ino), info.Size(), info.ModTime(), changed), changed
}

// sameFileSystem reports whether two files are on one file system.
func sameFileSystem(a, b os.FileInfo) bool {
	sa, ok := a.Sys().(*syscall.Stat_t)
	sb, ok2 := b.Sys().(*syscall.Stat_t)
	return ok && ok2 && sa.Dev == sb.Dev
}

// isBusy reports whether err says that this process has no file descriptor to spare, which is not the disk's fault.
func isBusy(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// isFull reports whether err says that there is no room on the disk.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// openFD opens a file for reading. It is os.Open without what that does for files which may block: a third less time.
func openFD(path string) (int, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		switch err {
		case nil:
			return fd, nil
		case syscall.EINTR:
			continue
		}
		return 0, &os.PathError{Op: "open", Path: path, Err: err}
	}
}

// openFile opens a file for reading.
func openFile(path string) (*os.File, error) {
	fd, err := openFD(path)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// readFile reads as much of the file at path as fits into buf.
func readFile(path string, buf []byte) (n int, err error) {
	fd, err := openFD(path)
	if err != nil {
		return 0, err
	}
	defer syscall.Close(fd)
	for n < len(buf) {
		m, err := syscall.Pread(fd, buf[n:], int64(n))
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return n, &os.PathError{Op: "read", Path: path, Err: err}
		case m == 0:
			return n, nil
		}
		n += m
	}
	return n, nil
}
