package diskcache

import (
	"sync/atomic"
	"time"
)

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
