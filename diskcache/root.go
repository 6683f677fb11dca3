package diskcache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// ErrInUse means that another process, or another Store of this process, has the directory.
var ErrInUse = errors.New("diskcache: directory is in use")

const (
	lockName     = "lock"
	indexName    = "index"
	evictionName = "eviction"

	lockFormat = "cirque-diskcache 1 pid %d used %020d\n"
)

// root is the directory of a store, locked against other stores. It notices when the directory
// vanishes or another one takes its place, as happens when the file system is unmounted.
//
// The lock file says how many bytes the store may hold at present. After a crash they stay reserved
// until the scan has found the entries.
type root struct {
	dir string

	mu       sync.Mutex
	info     os.FileInfo // of dir when it was attached
	lock     *os.File
	recorded int64
	gone     time.Time // when check first failed; zero: the last check succeeded
}

// attach locks dir, which it creates if missing, and returns the bytes that the last owner
// recorded.
func (r *root) attach() (used int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return 0, err
	}
	lock, err := openLock(filepath.Join(r.dir, lockName))
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(r.dir)
	if err != nil {
		lock.Close()
		return 0, err
	}
	if r.lock != nil {
		r.lock.Close()
	}
	_, used = readLock(lock)
	r.info, r.lock, r.recorded = info, lock, used
	r.write()
	return used, nil
}

// openLock opens and locks the lock file.
func openLock(path string) (*os.File, error) {
	for range 10 {
		// If path is a FIFO, opening it for both reading and writing does not wait.
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err == nil {
			err = regular(f)
		} else {
			err = misplaced(path, err)
		}
		if errors.Is(err, errDamaged) {
			// A lock on this would not keep other processes out.
			if f != nil {
				f.Close()
			}
			if err := removeFile(path); err != nil && !isMissing(err) {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		locked, err := tryLock(f)
		if err == nil && !locked {
			pid, _ := readLock(f)
			err = fmt.Errorf("%w: %s is locked by process %d", ErrInUse, path, pid)
		}
		if err != nil {
			f.Close()
			return nil, err
		}
		// If the file was removed or replaced meanwhile, the lock on it does not keep other
		// processes out.
		if here, err := os.Stat(path); err == nil {
			if mine, err := f.Stat(); err == nil && os.SameFile(here, mine) {
				return f, nil
			}
		}
		f.Close()
	}
	return nil, fmt.Errorf("diskcache: %s does not stay in place", path)
}

// regular returns an error that wraps errDamaged if f is not a regular file.
func regular(f *os.File) error {
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = damaged("not a file")
	}
	return err
}

// readLock returns what the lock file says: the owner's process and the bytes that it may hold.
func readLock(f *os.File) (pid int, used int64) {
	var b [80]byte
	n, _ := f.ReadAt(b[:], 0)
	// What cannot be read stays zero. Then the bytes are counted as the scan finds them.
	_, _ = fmt.Sscanf(string(b[:n]), lockFormat, &pid, &used)
	return pid, max(used, 0)
}

// record notes that the store may hold up to n bytes.
func (r *root) record(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recorded = n
	r.write()
}

// write writes the lock file. It ignores errors: other operations report a failing disk, and after
// a crash only the recorded bytes are less precise. Called with mu held.
func (r *root) write() {
	if r.lock != nil {
		_, _ = r.lock.WriteAt(fmt.Appendf(nil, lockFormat, os.Getpid(), r.recorded), 0)
	}
}

// check returns an error unless the directory is the one that was attached. The error does not wrap
// fs.ErrNotExist, which means a missing entry.
func (r *root) check() error {
	info, err := os.Stat(r.dir)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && os.SameFile(info, r.info) {
		r.gone = time.Time{}
		return nil
	}
	if r.gone.IsZero() {
		r.gone = time.Now()
	}
	if err == nil {
		return fmt.Errorf("diskcache: %s is another directory than before", r.dir)
	}
	return fmt.Errorf("diskcache: the directory is gone: %v", err)
}

// recreateAfter is how long the store waits for a vanished directory before it makes a new one.
const recreateAfter = 5 * time.Second

// mayAttach is called after check failed. It returns nil if the store may take over what is at dir
// now. That may be a store's directory on any file system, or, if the directory was removed and
// perhaps made again, any directory on the same file system. An empty mount point is neither: by
// filling it the store would fill somebody else's disk.
func (r *root) mayAttach() error {
	if _, err := os.Stat(filepath.Join(r.dir, lockName)); err == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	place := r.dir
	info, err := os.Stat(place)
	if errors.Is(err, fs.ErrNotExist) && time.Since(r.gone) < recreateAfter {
		return errors.New("waiting for it to come back")
	}
	for errors.Is(err, fs.ErrNotExist) && filepath.Dir(place) != place {
		place = filepath.Dir(place)
		info, err = os.Stat(place)
	}
	if err != nil {
		return err
	}
	if !sameFileSystem(info, r.info) {
		return errors.New("its file system is not there")
	}
	return nil
}

// close unlocks the directory.
func (r *root) close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lock == nil {
		return nil
	}
	err := r.lock.Close()
	r.lock = nil
	return err
}
