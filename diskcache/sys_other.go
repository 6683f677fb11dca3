//go:build !unix

package diskcache

import (
	"io"
	"os"
	"time"
)

func stampOf(info os.FileInfo) (stamp uint64, changed time.Time) {
	return makeStamp(0, info.Size(), info.ModTime(), info.ModTime()), info.ModTime()
}

func sameFileSystem(a, b os.FileInfo) bool { return false }

func isBusy(error) bool { return false }

func isFull(error) bool { return false }

func openFile(path string) (*os.File, error) { return os.Open(path) }

// readFile reads as much of the file at path as fits into buf.
func readFile(path string, buf []byte) (n int, err error) {
	f, err := os.Open(path)
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
