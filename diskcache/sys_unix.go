//go:build unix

package diskcache

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// stampOf returns a number that changes whenever the file does, and when it last did. Change time
// and inode are among what it stands for: they tell of changes that leave size and modification
// time as they were.
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

// isBusy reports whether err says that this process has no file descriptor to spare, which is not
// the disk's fault.
func isBusy(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// isFull reports whether err says that there is no room on the disk.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// isMissing reports whether err says that there is no file, for want of its directory perhaps.
func isMissing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// openFD opens a file. It neither waits for the other end of a FIFO nor follows a symbolic link. It
// is os.OpenFile without what that does for files which may block: a third less time.
func openFD(path string, flag int) (int, error) {
	for {
		fd, err := syscall.Open(path, flag|syscall.O_CLOEXEC|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
		switch err {
		case nil:
			return fd, nil
		case syscall.EINTR:
			continue
		}
		return 0, misplaced(path, &os.PathError{Op: "open", Path: path, Err: err})
	}
}

// openRegular opens the regular file at path. If something else is there, the error wraps
// errDamaged.
func openRegular(path string, flag int) (*os.File, os.FileInfo, error) {
	fd, err := openFD(path, flag)
	if err != nil {
		return nil, nil, err
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		syscall.Close(fd)
		return nil, nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		syscall.Close(fd)
		return nil, nil, damaged("not a file")
	}
	// For a regular file the flag means nothing, but os.NewFile would go by it and ask the poller.
	_ = syscall.SetNonblock(fd, false)
	f := os.NewFile(uintptr(fd), path)
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// stateOf returns size and modification time of f, in nanoseconds. It is f.Stat without its
// allocation.
func stateOf(f *os.File) (size, modified int64, err error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return 0, 0, &os.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return st.Size, modifyTime(&st), nil
}

// readFile reads as much of the file at path as fits into buf. If something else is there, the
// error wraps errDamaged, or what is read is not an entry.
func readFile(path string, buf []byte) (n int, err error) {
	fd, err := openFD(path, syscall.O_RDONLY)
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
			return n, misplaced(path, &os.PathError{Op: "read", Path: path, Err: err})
		case m == 0:
			return n, nil
		}
		n += m
	}
	return n, nil
}
