//go:build !unix

package diskcache

import (
	"io"
	"os"
	"time"
)

// openRegular opens the regular file at path. If path holds anything else, the error wraps
// errDamaged.
func openRegular(path string, flag int) (*os.File, os.FileInfo, error) {
	if err := misplaced(path, nil); err != nil {
		return nil, nil, err
	}
	f, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = damaged("not a file")
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// stateOf returns the size of f, and its modification time in Unix nanoseconds.
func stateOf(f *os.File) (size, modified int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	return info.Size(), info.ModTime().UnixNano(), nil
}

// readFile reads as much of the file at path as fits into buf.
func readFile(path string, buf []byte) (n int, err error) {
	f, _, err := openRegular(path, os.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n, err = f.ReadAt(buf, 0)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func stampOf(info os.FileInfo) (stamp uint64, changed time.Time) {
	return makeStamp(0, info.Size(), info.ModTime(), info.ModTime()), info.ModTime()
}
