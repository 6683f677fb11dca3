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

// The purge journal has the purges of everything and of groups: a magic, then records of 40 bytes,
// all numbers little-endian:
//
//	scope 8 · epoch 8 · group 16 (zero: none) · xxhash64 of what comes before 8
//
// A purge of several groups is as many records. A purge is written and synced before it counts. The
// file is written anew, beside the old one, when most of its records say nothing any more, and when
// the store is opened. What a crash left unfinished at its end is a purge that nobody was told had
// happened. Where the file is missing or damaged, it is not known what was purged, and everything
// in the directory is void.
const (
	journalName       = "purges"
	journalMagic      = "cirque purges 1\n"
	journalRecordSize = 8 + 8 + 16 + 8

	journalSlack = 1024     // records that say nothing, beside as many as say something
	maxJournal   = 16 << 20 // bytes; several times what the library remembers
)

// epochGap is added to the epoch at each start, with the clock's help: epochs that counted in a
// process and were not kept are not given out a second time.
const epochGap = 1 << 20

// journal is the store's cirque.PurgeJournal.
type journal struct {
	store *Store

	mu      sync.Mutex
	file    *os.File
	records int               // in the file
	kept    cirque.PurgeEpoch // of the latest purge in the file
	broken  bool              // the file is not what it should be

	missed atomic.Uint64 // epoch of the latest purge that may not be in the file
}

// behind reports whether the file has to be written anew. Called with mu held.
func (j *journal) behind() bool {
	return j.broken || j.missed.Load() > uint64(j.kept)
}

var _ cirque.PurgeJournal = (*journal)(nil)

func (j *journal) path() string { return filepath.Join(j.store.root.dir, journalName) }

// restore gives the store the purges of its directory. It is called before anybody uses it.
func (j *journal) restore() {
	events, err := readJournal(j.path())
	if err != nil {
		events = []cirque.PurgeEvent{cirque.NewPurgeHistory(time.Now())}
	}
	purges := &j.store.purges
	purges.Restore(j, append(events, nextEpoch(events))...)
	j.mu.Lock()
	defer j.mu.Unlock()
	// Where this fails the disk cannot be written to. Then no purge can be kept, which its caller
	// is told.
	_ = j.rewrite(purges.Snapshot())
}

// nextEpoch returns an event that purges nothing, with an epoch that nothing in the directory can
// have.
func nextEpoch(events []cirque.PurgeEvent) cirque.PurgeEvent {
	epoch := cirque.PurgeEpoch(time.Now().UnixNano())
	for _, e := range events {
		epoch = max(epoch, e.Epoch+epochGap)
	}
	return cirque.PurgeEvent{Epoch: epoch, Scope: cirque.PurgeScopeGroups}
}

// reattached is for a directory that has taken the place of the store's. Its purges count as well
// as those that the store knows of.
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

// Append implements cirque.PurgeJournal. A purge that the disk does not take, or not in time,
// counts until the process ends. A disk that hangs must not hold up the purges to come.
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
	// What is written to a directory that is gone, or is another's by now, is written for nobody.
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

// catchUp writes the file anew if it is not what it should be. Where a purge is being written, the
// next one sees to that.
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

// rewrite replaces the file by one that has these events. Called with mu held.
func (j *journal) rewrite(events []cirque.PurgeEvent) (err error) {
	j.broken = true
	if j.store.closed.Load() {
		return ErrClosed
	}
	// Another directory in the place of the store's has purges of its own.
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
		_ = j.file.Close() // of which nothing is read any more
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

func journalSize(records int) int64 {
	return int64(len(journalMagic)) + int64(records)*journalRecordSize
}

// appendEvent appends the records of e and returns how many they are.
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

// readJournal reads the events in the file at path. An error says that there may have been others.
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

func parseJournal(b []byte) (events []cirque.PurgeEvent, err error) {
	if len(b) < len(journalMagic) || string(b[:len(journalMagic)]) != journalMagic {
		return nil, damaged("purge journal")
	}
	le := binary.LittleEndian
	for b = b[len(journalMagic):]; len(b) >= journalRecordSize; b = b[journalRecordSize:] {
		sum := b[journalRecordSize-8:]
		if le.Uint64(sum) != xxhash.Sum64(b[:journalRecordSize-8]) {
			if isZero(sum) {
				break // it was not finished
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
