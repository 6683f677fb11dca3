//go:build !unix

package diskcache

import (
	"errors"
	"io/fs"
	"os"
)

func sameFileSystem(a, b os.FileInfo) bool { return false }

func isBusy(error) bool { return false }

func isFull(error) bool { return false }

func isMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
