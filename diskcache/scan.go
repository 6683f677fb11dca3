package diskcache

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cirquecache/cirque"
)

// scanWorkers is how many directories are scanned at once. It gives the disk a queue of a few reads
// and leaves room for requests.
const scanWorkers = 4

// scanner reads the directories to learn which entries they hold. Until it has come to an entry,
// lookups find it by its file name.
type scanner struct {
	mu    sync.Mutex    // one scan at a time
	first chan struct{} // closed when the first scan has ended
	took  atomic.Int64  // nanoseconds that the last scan took

	tracking atomic.Bool // trackAll is running

	// untracked is true if the eviction manager may not know all entries of the saved index.
	// Written before the first scan.
	untracked bool
}

// Scanned returns a channel that is closed when the scan that Open began has ended. By then damaged
// and unfinished files are removed, and all other entries are in the index.
func (s *Store) Scanned() <-chan struct{} { return s.scanner.first }

// start loads what the last process saved, and scans the directory. It runs in the background.
func (s *Store) start(ctx context.Context) {
	defer close(s.scanner.first)
	s.loadIndex()
	entries, _ := s.index.stats()
	s.scanner.untracked = !s.loadEviction(ctx) || s.ledger.eviction.TotalItems() != entries
	s.scanner.mu.Lock()
	defer s.scanner.mu.Unlock()
	s.scan(ctx)
}

// rescan scans a directory that has taken the place of the store's own.
func (s *Store) rescan(ctx context.Context) {
	s.scanner.mu.Lock()
	defer s.scanner.mu.Unlock()
	s.index.distrust()
	s.scan(ctx)
}

// scan scans all directories.
func (s *Store) scan(ctx context.Context) {
	began := time.Now()
	var workers errgroup.Group
	workers.SetLimit(scanWorkers)
	for shard := range shardCount {
		workers.Go(func() error {
			if ctx.Err() == nil {
				// If this fails, requests fail as well and handle the failure.
				_ = s.scanDir(ctx, shard)
			}
			return nil
		})
	}
	_ = workers.Wait()
	if ctx.Err() == nil {
		s.ledger.lost(s.ledger.budget.Limit())
		s.scanner.took.Store(int64(time.Since(began)))
	}
}

// scanDir scans the directory of one shard.
func (s *Store) scanDir(ctx context.Context, shard int) error {
	path := filepath.Join(s.root.dir, hex.EncodeToString([]byte{byte(shard)}))
	var dir *os.File
	err := fs.ErrNotExist
	if isDir(path) { // opening a FIFO would block
		dir, err = os.Open(path)
	}
	switch {
	case isMissing(err):
		if err := s.root.check(); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		defer dir.Close()
		if err := s.scanNames(ctx, dir, shard); err != nil {
			return err
		}
	}
	for _, r := range s.index.collect(shard, func(r *record) bool { return r.flags&flagSeen == 0 }) {
		s.confirm(r.hash)
	}
	s.index.completed(shard)
	return nil
}

// scanNames scans the files in dir.
func (s *Store) scanNames(ctx context.Context, dir *os.File, shard int) error {
	for {
		names, err := dir.Readdirnames(512)
		for _, name := range names {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			s.scanFile(dir.Name(), name, shard)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// scanFile adopts the entry in a file, or removes the file if it is a leftover. Files whose names
// the store does not use are left alone.
func (s *Store) scanFile(dir, name string, shard int) {
	if tag, ok := strings.CutPrefix(name, tempPrefix); ok {
		if n, err := strconv.ParseUint(tag, 16, 64); err == nil && !s.issued(cirque.Tag(n)) {
			_ = os.Remove(filepath.Join(dir, name))
		}
		return
	}
	key, err := cirque.ParseCompactCacheKey(name)
	hash := key.Primary
	if err != nil || hash.String() != name {
		return
	}
	if int(hash[0]) != shard {
		_ = os.Remove(filepath.Join(dir, name)) // no lookup would find it
		return
	}
	rec, known, _ := s.index.get(hash)
	if rec.flags&(flagSeen|flagPurged) != 0 {
		return
	}
	if known && !s.scanner.untracked {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err == nil && info.Mode().IsRegular() && blocksOf(info.Size()) == rec.blocks {
			s.index.update(hash, func(r *record) { r.flags |= flagSeen })
			return
		}
	}
	s.adopt(hash)
}

// adopt puts the entry in the file of hash into the index, unless the index already has it as
// confirmed, and makes the eviction manager track it.
func (s *Store) adopt(hash cirque.HashBinary) {
	for range 3 {
		e, info, err := s.inspect(hash)
		if errors.Is(err, errDamaged) {
			s.discardDamaged(hash)
		}
		if err != nil {
			return
		}
		weight := weightOf(blocksOf(info.Size()))
		if !s.ledger.found(weight) {
			// The budget is smaller than it was.
			_ = s.remove(hash)
			s.ledger.eviction.Remove(e.compact())
			return
		}
		surplus, outcome := s.enlist(hash, info)
		s.ledger.release(surplus)
		if outcome == enlisted {
			s.track(e.compact(), weight, e.meta.FreshUntil())
		}
		if outcome != changed {
			return
		}
	}
}

// track makes the eviction manager track an entry.
func (s *Store) track(key cirque.CompactCacheKey, weight int64, freshUntil time.Time) {
	if s.ledger.eviction.Peek(key) {
		return
	}
	s.ledger.evict(s.ledger.eviction.Admit(key, weight, freshUntil, 0))
	if _, known, _ := s.index.get(key.Combined()); !known {
		s.ledger.eviction.Remove(key) // it was purged before it was tracked
	}
}

// trackAll makes the eviction manager track all entries, in the background, if it tracks at most
// half of them. That happens if the cache was not given the manager and tells it nothing: then a
// full store would never store anything again.
func (s *Store) trackAll() {
	entries, _ := s.index.stats()
	if s.ledger.eviction.TotalItems() > entries/2 || !s.scanner.tracking.CompareAndSwap(false, true) {
		return
	}
	s.spawn(func(ctx context.Context) {
		defer s.scanner.tracking.Store(false)
		for shard := range shardCount {
			for _, r := range s.index.collect(shard, func(*record) bool { return true }) {
				if ctx.Err() != nil {
					return
				}
				if e, _, err := s.inspect(r.hash); err == nil {
					s.track(e.compact(), r.weight(), e.meta.FreshUntil())
				}
			}
		}
	})
}

// inspect reads the entry in the file of hash, except the body.
func (s *Store) inspect(hash cirque.HashBinary) (*entry, os.FileInfo, error) {
	f, info, err := openRegular(s.path(hash), os.O_RDONLY)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	buf := getBuffer(blockSize)
	defer putBuffer(buf)
	e := new(entry)
	if _, err := e.read(f, info.Size(), *buf); err != nil {
		return nil, nil, err
	}
	if e.combined() != hash {
		return nil, nil, damaged("entry of another key")
	}
	return e, info, nil
}

// discardDamaged removes the file of hash if it is still damaged once the stripe is locked, when
// nobody is changing it.
func (s *Store) discardDamaged(hash cirque.HashBinary) {
	st := s.stripe(hash)
	st.mu.Lock()
	var release int64
	if _, _, err := s.inspect(hash); errors.Is(err, errDamaged) {
		release, _ = s.discard(st, hash, err)
	}
	st.mu.Unlock()
	s.ledger.release(release)
}

// outcome is the result of enlist.
type outcome int

const (
	enlisted outcome = iota
	obsolete         // the entry is gone, or the index already has it as confirmed
	changed          // the file is not the one that was inspected
)

// enlist puts the file of hash into the index, if it is still the one that info describes. The
// file's weight must be reserved. surplus is the bytes to release: the weight of an older record,
// or the whole weight if the file is not put into the index.
func (s *Store) enlist(hash cirque.HashBinary, info os.FileInfo) (surplus int64, _ outcome) {
	st := s.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	blocks := blocksOf(info.Size())
	now, err := os.Lstat(s.path(hash))
	rec, _, _ := s.index.get(hash)
	switch {
	case err != nil || rec.flags&(flagSeen|flagPurged) != 0:
		return weightOf(blocks), obsolete
	case !os.SameFile(now, info) || blocksOf(now.Size()) != blocks:
		return weightOf(blocks), changed
	}
	s.index.put(record{hash: hash, blocks: blocks, flags: flagSeen})
	return rec.weight(), enlisted
}

// confirm looks for the file of a record that a saved index has and that the directory did not
// list.
func (s *Store) confirm(hash cirque.HashBinary) {
	st := s.stripe(hash)
	st.mu.Lock()
	_, err := os.Lstat(s.path(hash))
	var release int64
	if isMissing(err) {
		release, _ = s.discard(st, hash, err)
	}
	st.mu.Unlock()
	s.ledger.release(release)
	if err == nil {
		s.adopt(hash)
	}
}
