package diskcache

import (
	"context"
	"encoding/hex"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/metric"
)

// ErrClosed is the error that the methods of a closed Store return.
var ErrClosed = errors.New("diskcache: store is closed")

const stripeCount = 1024

// Store is a [cirque.StreamingStorage] in a directory. It is safe for concurrent use. [Open] makes
// one.
//
// Lock order: a write's mu, a shard of the registry, a stream.Buffer, a stripe, a shard of the
// index. No budget is reserved while one of these is held, the first excepted, because making room
// calls Purge.
type Store struct {
	config   Config
	root     root
	ledger   ledger
	index    index
	writes   registry
	stripes  [stripeCount]stripe
	reads    gate
	updates  gate // for everything that writes
	firstTag cirque.Tag
	tags     atomic.Uint64 // number of tags given out since firstTag
	open     atomic.Int64  // number of files open for hits
	held     atomic.Int64  // see Held
	scanner  scanner
	purges   cirque.PurgeState
	journal  journal // of purges
	counts   counts

	operations metric.Operations

	closed atomic.Bool
	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	background struct {
		sync.Mutex
		sync.WaitGroup
		closed bool
	}
}

var (
	_ cirque.StreamingStorage = (*Store)(nil)
	_ cirque.HoldingStorage   = (*Store)(nil)
	_ cirque.BudgetedStorage  = (*Store)(nil)
)

// stripe serialises the changes to the files of some of the keys. It also knows which of these
// files are open for hits.
type stripe struct {
	mu   sync.Mutex
	open map[cirque.HashBinary]*generation
	held *atomic.Int64 // Store.held
	owed *atomic.Int64 // ledger.owed
}

func (s *Store) stripe(hash cirque.HashBinary) *stripe {
	return &s.stripes[(uint(hash[1])|uint(hash[2])<<8)%stripeCount]
}

// spawn runs f in the background. Close ends f's context and waits for f. After Close, spawn does
// nothing.
func (s *Store) spawn(f func(context.Context)) {
	b := &s.background
	b.Lock()
	defer b.Unlock()
	if !b.closed {
		b.Go(func() { f(s.ctx) })
	}
}

// Purges implements [cirque.Storage]. Purges of everything and of groups are kept in a file of the
// directory, of up to 3 MiB, which MaxBytes does not count. They are on disk when they return nil.
func (s *Store) Purges() *cirque.PurgeState { return &s.purges }

// Budget returns the budget of the disk space.
func (s *Store) Budget() *cirque.Budget { return s.ledger.budget }

// Budgets implements [cirque.BudgetedStorage].
func (s *Store) Budgets() []*cirque.Budget { return []*cirque.Budget{s.ledger.budget} }

// Held implements [cirque.HoldingStorage]. It returns the weight of the entries whose files are
// open: those with bodies above 64 KiB.
func (s *Store) Held() int64 { return s.held.Load() }

// Eviction returns the manager that decides which entries leave. The cache that uses the Store must
// tell the manager of hits and new entries, so pass both on together. If nobody does, a full Store
// tells the manager which entries it has, and the choice of what leaves is as good as random.
func (s *Store) Eviction() cirque.EvictionManager { return s.config.Eviction }

// Err returns why the disk is not used at present, for reading or for writing. It returns nil if
// the disk is used.
func (s *Store) Err() error { return errors.Join(s.reads.err(), s.updates.err()) }

// path returns the path of the file of hash: a directory named after the first byte, and a name
// made of the whole hash.
func (s *Store) path(hash cirque.HashBinary) string {
	b := make([]byte, 0, len(s.root.dir)+4+2*len(hash))
	b = append(b, s.root.dir...)
	b = append(b, filepath.Separator)
	b = hex.AppendEncode(b, hash[:1])
	b = append(b, filepath.Separator)
	return string(hex.AppendEncode(b, hash[:]))
}

// newTag returns the tag of the next write. Tags start at a random number, so they differ from
// those of earlier processes.
func (s *Store) newTag() cirque.Tag {
	for {
		if tag := s.firstTag + cirque.Tag(s.tags.Add(1)); tag != 0 {
			return tag
		}
	}
}

// issued reports whether tag was given out by this Store.
func (s *Store) issued(tag cirque.Tag) bool {
	n := uint64(tag - s.firstTag)
	return n != 0 && n <= s.tags.Load()
}
