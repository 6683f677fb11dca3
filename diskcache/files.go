package diskcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cespare/xxhash/v2"
)

// errDamaged is wrapped by all errors about a damaged file. A damaged entry file is a miss, and is
// removed.
var errDamaged = errors.New("diskcache: damaged entry")

func damaged(what string) error { return fmt.Errorf("%w: %s", errDamaged, what) }

// misplaced returns an error that wraps errDamaged if what is at path is not a regular file: a
// FIFO, a socket, a device, a directory or a symbolic link. Otherwise it returns err, the error of
// an operation on path.
func misplaced(path string, err error) error {
	if isMissing(err) || isBusy(err) {
		return err
	}
	if info, statErr := os.Lstat(path); statErr == nil && !info.Mode().IsRegular() {
		return damaged("not a file")
	}
	return err
}

// removeFile removes whatever is at path. A directory that is not empty is renamed instead: its
// content does not belong to the store.
func removeFile(path string) error {
	err := os.Remove(path)
	if err == nil || isMissing(err) {
		return err
	}
	if info, statErr := os.Lstat(path); statErr != nil || !info.IsDir() {
		return err
	}
	dir, name := filepath.Split(path)
	return os.Rename(path, fmt.Sprintf("%smisplaced-%s-%d", dir, name, time.Now().UnixNano()))
}

// rename moves a file to path and replaces whatever is there.
func rename(file, path string) error {
	err := os.Rename(file, path)
	if err == nil {
		return nil
	}
	if info, statErr := os.Lstat(path); statErr != nil || !info.IsDir() {
		return err
	}
	if err := removeFile(path); err != nil {
		return err
	}
	return os.Rename(file, path)
}

// makeDir makes a directory at path unless there is one. It replaces anything else that is there.
func makeDir(path string) error {
	err := os.Mkdir(path, 0o700)
	if !errors.Is(err, fs.ErrExist) || isDir(path) {
		return ignoreExisting(err)
	}
	if err := removeFile(path); err != nil && !isMissing(err) {
		return err
	}
	return ignoreExisting(os.Mkdir(path, 0o700))
}

func ignoreExisting(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// isDir reports whether there is a directory at path, or a symbolic link to one.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// createNew creates a file for writing at path and replaces whatever is there.
func createNew(path string) (*os.File, error) {
	if err := removeFile(path); err != nil && !isMissing(err) {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// syncDir makes the names in a directory survive a power cut.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// makeStamp returns a hash that tells one state of a file from another. It is never zero.
func makeStamp(inode uint64, size int64, modified, changed time.Time) uint64 {
	var b [32]byte
	le := binary.LittleEndian
	le.PutUint64(b[0:], inode)
	le.PutUint64(b[8:], uint64(size))
	le.PutUint64(b[16:], uint64(modified.UnixNano()))
	le.PutUint64(b[24:], uint64(changed.UnixNano()))
	return max(xxhash.Sum64(b[:]), 1)
}
