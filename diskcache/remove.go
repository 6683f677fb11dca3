package diskcache

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/cirquecache/cirque"
)

// Purge implements [cirque.Storage]. If an invalidation voids a linked write under way, that counts
// as a removal. If the disk refuses to remove the file, Purge returns that error. Lookups do not
// find the entry any more all the same, and the file is removed when the disk is writable again.
// The entry comes back only if the process ends before that.
func (s *Store) Purge(_ context.Context, key cirque.CompactCacheKey, typ cirque.PurgeType) (err error) {
	defer s.measure(&s.operations.Purge, time.Now(), &err)
	if s.closed.Load() {
		return ErrClosed
	}
	// A write that was voided too late has put its entry in place before the stripe is locked
	// below, so remove finds it.
	voided := typ != cirque.PurgeEviction && s.writes.void(key)
	if err = s.remove(key.Combined()); err != cirque.ErrNotFound || !voided {
		return err
	}
	return nil
}

// remove removes the entry of hash.
func (s *Store) remove(hash cirque.HashBinary) error {
	st := s.stripe(hash)
	st.mu.Lock()
	release, err := s.unlink(st, hash)
	st.mu.Unlock()
	s.ledger.release(release)
	return err
}

// unlink removes the file of hash. It returns the bytes to release at once; what readers still hold
// is released when the last of them has closed the file. The error is ErrNotFound if there is no
// entry, or no file for it. Called with the stripe locked.
func (s *Store) unlink(st *stripe, hash cirque.HashBinary) (release int64, err error) {
	if s.closed.Load() {
		return 0, ErrClosed
	}
	rec, known, missing := s.index.get(hash)
	if missing {
		return 0, cirque.ErrNotFound
	}
	path := s.path(hash)
	if !known {
		info, err := os.Lstat(path)
		if err != nil {
			return 0, s.notFound(err)
		}
		rec = record{hash: hash, blocks: blocksOf(info.Size()), flags: flagSeen | flagUncounted}
	}
	err = removeFile(path)
	if err != nil {
		if err = s.notFound(err); err != cirque.ErrNotFound {
			s.updates.fail(err)
			rec.flags |= flagPurged
			s.index.put(rec)
			return 0, err
		}
	}
	if known {
		s.index.remove(hash)
		return st.vacate(hash, rec.weight()), err
	}
	s.ledger.lost(weightOf(rec.blocks))
	return 0, err
}

// notFound returns ErrNotFound if err says that the file of an entry is missing, and the error of
// root.check instead if the whole directory is gone. Other errors stay as they are.
func (s *Store) notFound(err error) error {
	if !isMissing(err) {
		return err
	}
	if gone := s.root.check(); gone != nil {
		return gone
	}
	return cirque.ErrNotFound
}

// discard removes the entry of hash because of reason: its file is damaged or missing. The error is
// ErrNotFound unless the disk fails. Called with the stripe locked.
func (s *Store) discard(st *stripe, hash cirque.HashBinary, reason error) (release int64, err error) {
	if errors.Is(reason, errDamaged) {
		s.counts.damaged.Add(1)
		release, _ = s.unlink(st, hash)
		return release, cirque.ErrNotFound
	}
	if err := s.notFound(reason); err != cirque.ErrNotFound {
		return 0, err
	}
	rec := s.index.remove(hash)
	return st.vacate(hash, rec.weight()), cirque.ErrNotFound
}

// dropPurged removes the files of purged entries that the disk refused to remove at the time of the
// purge. Files that it still cannot remove wait for the next call.
func (s *Store) dropPurged() {
	isPurged := func(r *record) bool { return r.flags&flagPurged != 0 }
	for shard := range shardCount {
		for _, r := range s.index.collect(shard, isPurged) {
			st := s.stripe(r.hash)
			st.mu.Lock()
			var release int64
			if now, _, _ := s.index.get(r.hash); isPurged(&now) && s.removed(r.hash) {
				s.index.remove(r.hash)
				release = st.vacate(r.hash, now.weight())
			}
			st.mu.Unlock()
			s.ledger.release(release)
		}
	}
}

// removed removes the file of hash and reports whether there is none any more.
func (s *Store) removed(hash cirque.HashBinary) bool {
	err := removeFile(s.path(hash))
	return err == nil || isMissing(err)
}
