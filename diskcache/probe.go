package diskcache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// probeReads returns nil if the directory can be read again.
func (s *Store) probeReads() error {
	if err := s.root.check(); err != nil {
		return s.reattach(err)
	}
	var b [1]byte
	_, err := readFile(filepath.Join(s.root.dir, lockName), b[:])
	if isMissing(err) || errors.Is(err, errDamaged) {
		return nil // somebody removed or replaced the lock file; reading the directory worked
	}
	return err
}

// probeUpdates returns nil if the directory can be written to again.
func (s *Store) probeUpdates() error {
	if err := s.root.check(); err != nil {
		if err := s.reattach(err); err != nil {
			return err
		}
	}
	path := filepath.Join(s.root.dir, "probe")
	f, err := createNew(path)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 64<<10))
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(path)
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	if err := s.journal.catchUp(); err != nil {
		return err
	}
	s.dropPurged()
	return nil
}

// reattach takes over the directory that now stands in the place of the store's own, if mayAttach
// allows it, and scans that directory. reason is why the old directory cannot be used.
func (s *Store) reattach(reason error) error {
	if err := s.root.mayAttach(); err != nil {
		return fmt.Errorf("%w: %w", reason, err)
	}
	if _, err := s.root.attach(); err != nil {
		return err
	}
	if err := s.journal.reattached(); err != nil {
		return err
	}
	// The eviction manager forgets the entries of the old directory; the scan tells it of those in
	// the new one.
	for len(s.ledger.eviction.Evict(s.ledger.budget.Limit()/64)) > 0 {
	}
	s.spawn(s.rescan)
	return nil
}
