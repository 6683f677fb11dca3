package diskcache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// misplaced returns an error that wraps errDamaged if something at path is not a regular file: a
// FIFO, a socket, a device, a directory or a symbolic link. Otherwise it returns err, what went
// wrong with path.
func misplaced(path string, err error) error {
	if isMissing(err) || isBusy(err) {
		return err
	}
	if info, statErr := os.Lstat(path); statErr == nil && !info.Mode().IsRegular() {
		return damaged("not a file")
	}
	return err
}

// removeFile removes whatever is at path. A directory that is not empty is moved aside: what is in
// it is not the store's.
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

// rename moves a file to path, in the place of whatever is there.
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

// makeDir makes the directory at path, if there is none, in the place of whatever is there.
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

// isDir reports whether there is a directory at path, by a symbolic link perhaps.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// createNew creates the file at path, in the place of whatever is there, for writing.
func createNew(path string) (*os.File, error) {
	if err := removeFile(path); err != nil && !isMissing(err) {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}
