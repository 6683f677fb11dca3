package diskcache

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/metric"
	"github.com/cirquecache/cirque/stats"
)

var _ stats.StorageReporter = (*Store)(nil)

// counts holds the numbers that the store counts since Open.
type counts struct {
	damaged atomic.Int64
}

// Stats describes a Store at one moment.
type Stats struct {
	Entries    int   // known to be on disk; until Scanned there may be more
	IndexBytes int64 // memory of the index
	UsedBytes  int64 // taken from the budget
	OpenFiles  int64 // files open for hits

	Damaged  int64 // entries found damaged and removed since Open
	Bypassed int64 // operations turned away since Open, because the disk failed or too much was under way

	ScanTime time.Duration // duration of the last scan; zero until one has ended
}

// Stats returns the store's numbers.
func (s *Store) Stats() Stats {
	entries, bytes := s.index.stats()
	return Stats{
		Entries:    entries,
		IndexBytes: bytes,
		UsedBytes:  s.ledger.budget.Used(),
		OpenFiles:  s.open.Load(),
		Damaged:    s.counts.damaged.Load(),
		Bypassed:   s.reads.turned.Load() + s.updates.turned.Load(),
		ScanTime:   time.Duration(s.scanner.took.Load()),
	}
}

// StorageStats implements [stats.StorageReporter]. It is safe for concurrent use, and locks one
// shard of the index after the other for reading.
//
// All bytes are of disk space, as MaxBytes counts it. The index part is the bookkeeping of 512
// bytes for each entry; [Stats] has the memory of the index. Until a scan has ended, entries are
// those that were found, while the bytes of those that are yet to be found are in Entries. A write
// counts as in flight until Finish or Abort, and if it has left no entry, until its last reader has
// left. An entry that was purged or replaced is open until the last hit on its file is closed.
//
// Refused are writes and new metas that found no room. One of 64 lookups is measured, and each
// other operation. The time of a write is that of all its operations on the disk together. An error
// is a failure of the disk, or that the store makes nobody wait for it; ErrNotFound and a lack of
// room are none.
func (s *Store) StorageStats() []stats.Storage {
	entries, _ := s.index.stats()
	counted, weight := s.index.weigh()
	overhead := int64(counted) * entryOverhead
	return []stats.Storage{{
		Name:    "disk",
		Entries: int64(entries),
		Limit:   s.ledger.budget.Limit(),
		Bytes: stats.StorageBytes{
			Entries:  weight - overhead + s.ledger.unscanned.Load(),
			Index:    overhead,
			InFlight: s.ledger.inFlight.Load(),
			Open:     s.ledger.owed.Load(),
		},
		Refused:    s.ledger.refused.Load(),
		Operations: s.operations.Stats(),
	}}
}

// measure counts an operation that ends now with err. A zero began means that its time is not
// measured.
func (s *Store) measure(o *metric.Operation, began time.Time, err *error) {
	if !began.IsZero() {
		o.Since(began)
	}
	if *err != nil && !errors.Is(*err, cirque.ErrNotFound) && !errors.Is(*err, cirque.ErrUnlinked) {
		o.Failed()
	}
}
