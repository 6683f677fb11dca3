package diskcache

import (
	"sync/atomic"
	"time"
)

// counts are what the store has counted since Open.
type counts struct {
	damaged atomic.Int64
}

// Stats describe a Store at one moment.
type Stats struct {
	Entries    int   // known to be on disk; more may be, until Scanned
	IndexBytes int64 // memory that the index takes
	UsedBytes  int64 // of the budget
	OpenFiles  int64 // for hits

	Damaged  int64 // entries that were found damaged, and removed, since Open
	Bypassed int64 // operations that were turned away because the disk was failing, since Open

	ScanTime time.Duration // of the last scan; zero until one has ended
}

// Stats returns the store's figures.
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
