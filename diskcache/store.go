package diskcache

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
)

// ErrClosed is what the methods of a closed Store return.
var ErrClosed = errors.New("diskcache: store is closed")

const stripeCount = 1024

// Store is a [cirque.StreamingStorage] in a directory. It is safe for concurrent use. Use Open.
//
// Lock order: stripe, then a shard of the index or of the registry. A stream.Buffer's lock comes
// before a stripe. Nothing is reserved while one of these is held.
type Store struct {
	config   Config
	root     root
	ledger   ledger
	index    index
	writes   registry
	stripes  [stripeCount]stripe
	reads    gate
	updates  gate // all that writes
	firstTag cirque.Tag
	tags     atomic.Uint64 // given out since firstTag
	open     atomic.Int64  // files open for hits
	held     atomic.Int64  // see Held
	scanner  scanner
	purges   cirque.PurgeState
	journal  journal // of purges
	counts   counts

	closed atomic.Bool
	ctx    context.Context // until Close
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
	_ cirque.LimitedStorage   = (*Store)(nil)
)

// stripe serialises what changes the files of some of the keys, and knows which of those files hits
// have open.
type stripe struct {
	mu   sync.Mutex
	open map[cirque.HashBinary]*generation
	held *atomic.Int64 // Store.held
}

func (s *Store) stripe(hash cirque.HashBinary) *stripe {
	return &s.stripes[(uint(hash[1])|uint(hash[2])<<8)%stripeCount]
}

// Open opens the store in dir, which is created if missing, and locks it; ErrInUse says that
// somebody else has it. A nil config is the zero Config. What is in the directory is looked into in
// the background: entries are served from the first moment on.
//
// The directory must be the store's own. Files in it that don't have a name of the store's are left
// alone.
func Open(dir string, config *Config) (*Store, error) {
	return open(dir, config, nil)
}

// open is Open with a budget that is not the store's own, unless that is nil.
func open(dir string, config *Config, budget *cirque.Budget) (*Store, error) {
	if config == nil {
		config = new(Config)
	}
	c, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if c.Eviction == nil {
		if c.Eviction, err = eviction.New("", c.MaxBytes); err != nil {
			return nil, err
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	s := &Store{config: c, root: root{dir: dir}}
	if budget == nil {
		budget = cirque.NewBudget(c.MaxBytes)
		budget.SetMedium(cirque.MediumDisk)
		budget.EvictWith(c.Eviction, s)
	}
	s.ledger = ledger{
		budget: budget, eviction: c.Eviction, storage: s, root: &s.root, minFree: c.MinFreeBytes,
		step: cmp.Or(budget.Limit()/64, 1),
	}
	s.firstTag = cirque.Tag(rand.Uint64())
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for i := range s.stripes {
		s.stripes[i].held = &s.held
	}
	now := time.Now()
	s.reads = gate{slow: c.SlowAfter, tolerate: 2, probe: s.probeReads, report: c.OnHealth, spawn: s.spawn, start: now}
	s.updates = gate{slow: c.SlowAfter, probe: s.probeUpdates, report: c.OnHealth, spawn: s.spawn, start: now}

	used, err := s.root.attach()
	if err != nil {
		return nil, err
	}
	s.ledger.setAside(used)
	s.journal.store = s
	s.journal.restore()
	s.scanner.first = make(chan struct{})
	s.spawn(s.start)
	return s, nil
}

// spawn runs f in the background until Close, which ends its context and waits for it. After Close
// it does nothing.
func (s *Store) spawn(f func(context.Context)) {
	b := &s.background
	b.Lock()
	defer b.Unlock()
	if !b.closed {
		b.Go(func() { f(s.ctx) })
	}
}

// Close saves the index and the eviction manager's state, for a quick start, and unlocks the
// directory. Hits that are open can be read to their end; writes under way are not stored. The
// Store cannot be used any more.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return ErrClosed
	}
	s.cancel()
	s.background.Lock()
	s.background.closed = true
	s.background.Unlock()
	s.background.Wait()
	s.dropPurged()
	// Whoever changes a file looks at closed with the stripe locked.
	for i := range s.stripes {
		s.stripes[i].mu.Lock()
		//lint:ignore SA2001 to wait for those who came before
		s.stripes[i].mu.Unlock()
	}
	return errors.Join(s.saveIndex(), s.saveEviction(), s.journal.close(), s.root.close())
}

// Purges implements [cirque.Storage]. Purges of everything and of groups are kept in a file of the
// directory, up to 3 MiB that MaxBytes does not count, and are on disk when they return nil.
func (s *Store) Purges() *cirque.PurgeState { return &s.purges }

// Budget returns the account of the disk space that is taken.
func (s *Store) Budget() *cirque.Budget { return s.ledger.budget }

// Budgets implements [cirque.BudgetedStorage].
func (s *Store) Budgets() []*cirque.Budget { return []*cirque.Budget{s.ledger.budget} }

// Limit implements [cirque.LimitedStorage].
func (s *Store) Limit() int64 { return s.ledger.budget.Limit() }

// Held implements [cirque.HoldingStorage], for the entries whose files are open: those with bodies
// above 64 KiB.
func (s *Store) Held() int64 { return s.held.Load() }

// Eviction returns the manager that decides what leaves. The cache that uses the Store is to tell
// it of hits and new entries: pass both on together. If nobody does, the Store tells it what it has
// when it is full, and what leaves is as good as random.
func (s *Store) Eviction() cirque.EvictionManager { return s.config.Eviction }

// Err returns why the disk is not used at present, for reading or for writing; nil if it is.
func (s *Store) Err() error { return errors.Join(s.reads.err(), s.updates.err()) }

// path returns the path of the file of hash: a directory for the first byte, and the whole of it.
func (s *Store) path(hash cirque.HashBinary) string {
	b := make([]byte, 0, len(s.root.dir)+4+2*len(hash))
	b = append(b, s.root.dir...)
	b = append(b, filepath.Separator)
	b = hex.AppendEncode(b, hash[:1])
	b = append(b, filepath.Separator)
	return string(hex.AppendEncode(b, hash[:]))
}

// newTag returns the tag of the next write. Tags start at a random number, which tells those of
// this process from older ones.
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

// probeReads reports whether the directory can be read again.
func (s *Store) probeReads() error {
	if err := s.root.check(); err != nil {
		return s.reattach(err)
	}
	var b [1]byte
	_, err := readFile(filepath.Join(s.root.dir, lockName), b[:])
	if isMissing(err) || errors.Is(err, errDamaged) {
		return nil // somebody has removed or replaced it, and the directory could tell
	}
	return err
}

// probeUpdates reports whether the directory can be written to again.
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

// reattach moves the store into the directory that has taken the place of its own, if it may, and
// looks into that.
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
	// It forgets what was there before; the scan tells it of what is there now.
	for len(s.ledger.eviction.Evict(s.ledger.budget.Limit()/64)) > 0 {
	}
	s.spawn(s.rescan)
	return nil
}

// diskFailure returns err if it says that the disk failed, and nil where it is about one file, or
// about this process.
func diskFailure(err error) error {
	for _, harmless := range [...]error{errDamaged, errBusy, errMetaTooLarge, ErrClosed, cirque.ErrNotFound} {
		if errors.Is(err, harmless) {
			return nil
		}
	}
	if isBusy(err) || isMissing(err) {
		return nil
	}
	return err
}
