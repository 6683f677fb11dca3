package diskcache

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/cirquecache/cirque"
)

// The purge journal holds the purges of everything and of groups: a magic, then records of 40
// bytes. All numbers are little-endian:
//
//	scope 8 · epoch 8 · group 16 (zero: none) · xxhash64 of the bytes before it 8
//
// A purge of several groups has one record for each. A purge is written and synced before it
// counts. The file is rewritten, by way of a new file beside it, when most of its records are
// obsolete, and when the store is opened. An unfinished record at its end comes from a crash:
// nobody was told that this purge had happened. If the file is missing or damaged, nobody knows
// what was purged, so everything in the directory is void.
const (
	journalName       = "purges"
	journalMagic      = "cirque purges 1\n"
	journalRecordSize = 8 + 8 + 16 + 8

	journalSlack = 1024     // obsolete records that may stay, in addition to one for each that counts
	maxJournal   = 16 << 20 // bytes; several times the purges that the library remembers
)

// epochGap is added to the last epoch at each start, unless the clock is further ahead. So the
// store never gives out again an epoch that a former process used and did not write down.
const epochGap = 1 << 20

// journal is the store's cirque.PurgeJournal.
type journal struct {
	store *Store

	mu      sync.Mutex
	file    *os.File
	records int               // number of records in the file
	kept    cirque.PurgeEpoch // epoch of the latest purge in the file
	broken  bool              // the file may not hold what it should

	missed atomic.Uint64 // epoch of the latest purge that may not be in the file
}

// behind reports whether the file must be rewritten. Called with mu held.
func (j *journal) behind() bool {
	return j.broken || j.missed.Load() > uint64(j.kept)
}

var _ cirque.PurgeJournal = (*journal)(nil)

func (j *journal) path() string { return filepath.Join(j.store.root.dir, journalName) }

// restore loads the purges of the directory into the store. It is called before the store is used.
func (j *journal) restore() {
	events, err := readJournal(j.path())
	if err != nil {
		events = []cirque.PurgeEvent{cirque.NewPurgeHistory(time.Now())}
	}
	purges := &j.store.purges
	purges.Restore(j, append(events, nextEpoch(events))...)
	j.mu.Lock()
	defer j.mu.Unlock()
	// If this fails, the disk cannot be written to. Then no purge can be kept, and its caller gets
	// an error.
	_ = j.rewrite(purges.Snapshot())
}

// nextEpoch returns an event that purges nothing. Its epoch is higher than that of anything in the
// directory.
func nextEpoch(events []cirque.PurgeEvent) cirque.PurgeEvent {
	epoch := cirque.PurgeEpoch(time.Now().UnixNano())
	for _, e := range events {
		epoch = max(epoch, e.Epoch+epochGap)
	}
	return cirque.PurgeEvent{Epoch: epoch, Scope: cirque.PurgeScopeGroups}
}

// reattached loads the journal of a directory that has taken the place of the store's own. Both its
// purges and those that the store knows of count.
func (j *journal) reattached() error {
	purges := &j.store.purges
	events, err := readJournal(j.path())
	if err != nil {
		all := cirque.NewPurgeHistory(time.Now())
		all.Epoch = max(all.Epoch, purges.Epoch()+1)
		events = []cirque.PurgeEvent{all}
	}
	for _, e := range append(events, nextEpoch(append(events, purges.Snapshot()...))) {
		purges.Apply(e)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.rewrite(purges.Snapshot())
}

// Append implements cirque.PurgeJournal. If the disk does not write the purge, or not in time, the
// purge counts until the process ends. A hanging disk must not block later purges.
func (j *journal) Append(_ context.Context, e cirque.PurgeEvent) (cirque.PurgeEpoch, error) {
	s := j.store
	if s.closed.Load() {
		return 0, ErrClosed
	}
	began, err := s.updates.enter()
	if err == nil {
		done := make(chan error, 1)
		go func() {
			err := j.append(e)
			s.updates.leave(began, diskFailure(err))
			done <- err
		}()
		slow := time.NewTimer(s.config.SlowAfter)
		defer slow.Stop()
		select {
		case err = <-done:
		case <-slow.C:
			err = errSlow
			s.updates.shut(err)
		}
	}
	if err != nil {
		j.missed.Store(uint64(e.Epoch))
	}
	return e.Epoch, err
}

// append writes e to the file and syncs it.
func (j *journal) append(e cirque.PurgeEvent) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.behind() {
		return j.rewrite(append(j.store.purges.Snapshot(), e))
	}
	if j.records > journalSlack {
		if known := j.store.purges.Snapshot(); j.records > 2*len(known)+journalSlack {
			return j.rewrite(append(known, e))
		}
	}
	// The directory may be gone, or another one may have taken its place. Then the record would be
	// lost.
	if err := j.store.root.check(); err != nil {
		return err
	}
	b, n := appendEvent(nil, e)
	_, err := j.file.WriteAt(b, journalSize(j.records))
	if err == nil {
		err = j.file.Sync()
	}
	if err == nil {
		j.records, j.kept = j.records+n, e.Epoch
	}
	return err
}

// catchUp rewrites the file if it must be rewritten. If a purge is being written, the next purge
// does it.
func (j *journal) catchUp() error {
	if !j.mu.TryLock() {
		return nil
	}
	defer j.mu.Unlock()
	if !j.behind() {
		return nil
	}
	return j.rewrite(j.store.purges.Snapshot())
}

// rewrite replaces the file with one that holds these events. Called with mu held.
func (j *journal) rewrite(events []cirque.PurgeEvent) (err error) {
	j.broken = true
	if j.store.closed.Load() {
		return ErrClosed
	}
	// If another directory has taken the place of the store's own, its journal must not be
	// overwritten.
	if err := j.store.root.check(); err != nil {
		return err
	}
	temp := j.path() + ".tmp"
	f, err := createNew(temp)
	if err != nil {
		return err
	}
	b, records := []byte(journalMagic), 0
	for _, e := range events {
		var n int
		b, n = appendEvent(b, e)
		records += n
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = rename(temp, j.path())
	}
	if err == nil {
		err = syncDir(j.store.root.dir)
	}
	if err != nil {
		_ = os.Remove(temp)
		return errors.Join(err, f.Close())
	}
	if j.file != nil {
		_ = j.file.Close() // nobody reads the old file any more
	}
	j.file, j.records, j.broken = f, records, false
	for _, e := range events {
		j.kept = max(j.kept, e.Epoch)
	}
	return nil
}

func (j *journal) close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

// journalSize returns the size of a journal file with that many records.
func journalSize(records int) int64 {
	return int64(len(journalMagic)) + int64(records)*journalRecordSize
}

// appendEvent appends the records of e and returns their number.
func appendEvent(b []byte, e cirque.PurgeEvent) (_ []byte, records int) {
	groups := e.Groups
	if len(groups) == 0 {
		groups = []cirque.HashBinary{{}}
	}
	le := binary.LittleEndian
	for _, group := range groups {
		start := len(b)
		b = le.AppendUint64(b, uint64(e.Scope))
		b = le.AppendUint64(b, uint64(e.Epoch))
		b = append(b, group[:]...)
		b = le.AppendUint64(b, xxhash.Sum64(b[start:]))
	}
	return b, len(groups)
}

// readJournal reads the events in the file at path. After an error nobody knows which events there
// were.
func readJournal(path string) ([]cirque.PurgeEvent, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxJournal {
		return nil, damaged("purge journal")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseJournal(b)
}

// parseJournal decodes the content of a journal file.
func parseJournal(b []byte) (events []cirque.PurgeEvent, err error) {
	if len(b) < len(journalMagic) || string(b[:len(journalMagic)]) != journalMagic {
		return nil, damaged("purge journal")
	}
	le := binary.LittleEndian
	for b = b[len(journalMagic):]; len(b) >= journalRecordSize; b = b[journalRecordSize:] {
		sum := b[journalRecordSize-8:]
		if le.Uint64(sum) != xxhash.Sum64(b[:journalRecordSize-8]) {
			if isZero(sum) {
				break // the record is unfinished
			}
			return nil, damaged("purge journal checksum")
		}
		e := cirque.PurgeEvent{Scope: cirque.PurgeScope(b[0]), Epoch: cirque.PurgeEpoch(le.Uint64(b[8:]))}
		switch e.Scope {
		case cirque.PurgeScopeAll, cirque.PurgeScopeEveryGroup:
		case cirque.PurgeScopeGroups:
			if group := cirque.HashBinary(b[16:32]); !group.IsZero() {
				e.Groups = []cirque.HashBinary{group}
			}
		default:
			return nil, damaged(fmt.Sprintf("purge journal: scope %d", e.Scope))
		}
		events = append(events, e)
	}
	if len(events) == 0 {
		return nil, damaged("empty purge journal")
	}
	return events, nil
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
