package diskcache

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/stats"
)

// Open opens the store in dir, which it creates if missing, and locks it. The error is ErrInUse if
// another process or Store has the directory. A nil config means the zero Config. A scan in the
// background finds out what the directory holds; entries are served from the start.
//
// The directory must belong to the store alone. Files whose names the store does not use are left
// alone.
func Open(dir string, config *Config) (*Store, error) {
	return open(dir, config, nil)
}

// open is Open with a budget that others may share; nil means a budget of the store's own.
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
		budget.SetMedium(stats.MediumDisk)
		budget.EvictWith(c.Eviction, s)
	}
	s.ledger = ledger{
		budget: budget, eviction: c.Eviction, storage: s, root: &s.root, minFree: c.MinFreeBytes,
		step: cmp.Or(budget.Limit()/64, 1),
	}
	s.firstTag = cirque.Tag(rand.Uint64())
	s.ctx, s.cancel = context.WithCancel(context.Background())
	for i := range s.stripes {
		s.stripes[i].held, s.stripes[i].owed = &s.held, &s.ledger.owed
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

// Close saves the index and the eviction manager's state, so that the next Open is quick, and
// unlocks the directory. Open hits can still be read to their end; writes under way are not stored.
// The Store cannot be used any more.
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
	// Every change to a file checks closed with the stripe locked. So after this loop no change is
	// under way.
	for i := range s.stripes {
		s.stripes[i].mu.Lock()
		//lint:ignore SA2001 waits for the changes that began before
		s.stripes[i].mu.Unlock()
	}
	return errors.Join(s.saveIndex(), s.saveEviction(), s.journal.close(), s.root.close())
}
