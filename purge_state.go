package cirque

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// PurgeEpoch counts the purges of everything and of groups that a Storage has seen. A fetch notes
// the epoch when it asks the origin, and the meta of what it stores carries it
// ([CacheMeta.PurgeEpoch]): a purge with a greater number came later, and voids the response. No
// clock takes part.
type PurgeEpoch uint64

// PurgeScope says what a purge of more than one key is about.
type PurgeScope uint8

const (
	// PurgeScopeAll is everything in the Storage, in all namespaces.
	PurgeScopeAll PurgeScope = iota + 1
	// PurgeScopeGroups is every response in one of the event's Groups.
	PurgeScopeGroups
	// PurgeScopeEveryGroup is every response in any group. It stands for purges whose groups were
	// forgotten.
	PurgeScopeEveryGroup
)

// PurgeEvent is one purge of everything or of groups.
type PurgeEvent struct {
	Epoch  PurgeEpoch
	Scope  PurgeScope
	Groups []HashBinary // with PurgeScopeGroups; see GroupHash. With none, nothing but the epoch changes
}

// PurgeJournal keeps purges beyond this process: on disk, or in a store that other processes use
// too.
type PurgeJournal interface {
	// Append keeps e, durably, and returns the epoch that it counts from: e.Epoch, which is one
	// more than the present one, or a greater one where other processes purge as well. Calls for
	// one PurgeState never overlap.
	//
	// With an error and a zero epoch the purge counts nowhere. With an error and another epoch it
	// counts in this process, and is not sure to outlive it.
	Append(ctx context.Context, e PurgeEvent) (PurgeEpoch, error)
}

// maxPurgedGroups is how many names of purged groups a PurgeState remembers, at up to 64 bytes
// each: at most 2 MiB. When there are more, the older half is forgotten, and every response in any
// group that was fetched before those purges counts as purged.
const maxPurgedGroups = 1 << 15

// PurgeState is what all users of one Storage in one process share about purges ([Storage.Purges]):
// the purges of everything and of groups, the latest purges of keys, and the writes under way. So
// two Caches on one Storage see each other's purges, and neither stores what it fetched before a
// purge by the other.
//
// The zero PurgeState is ready for use, and lives as long as its Storage does in memory. A Storage
// whose entries outlive the process calls Restore before anybody uses it. A PurgeState must not be
// copied. It is safe for concurrent use.
type PurgeState struct {
	epoch atomic.Uint64            // of the latest purge
	all   atomic.Uint64            // of the latest purge of everything
	floor atomic.Uint64            // of the latest purge of every group
	keys  atomic.Pointer[purgeLog] // nil: no key was purged yet
	base  uint64                   // all, as Restore found it

	inFlight inFlight

	journal PurgeJournal
	mu      struct {
		sync.RWMutex
		turn         chan struct{} // held by the purge whose turn it is
		newer, older purgedGroups
	}
}

// purgedGroups are the latest purges of some groups.
type purgedGroups struct {
	at     map[HashBinary]PurgeEpoch
	latest PurgeEpoch
}

// Restore sets what the Storage had kept when it was closed: events, in any order, and the journal
// for those to come. It must be called before the PurgeState is used. A nil journal is none.
//
// Where a journal was lost, or there never was one, everything stored before is void: pass
// [NewPurgeHistory].
func (s *PurgeState) Restore(journal PurgeJournal, events ...PurgeEvent) {
	s.journal = journal
	for _, e := range events {
		s.Apply(e)
	}
	s.base = s.all.Load()
}

// NewPurgeHistory returns the first event of a history of purges that replaces a lost one: it voids
// everything stored before. Epochs of histories begin at the time of their start in Unix
// nanoseconds, so that those of one are not taken for those of another.
func NewPurgeHistory(now time.Time) PurgeEvent {
	return PurgeEvent{Epoch: PurgeEpoch(now.UnixNano()), Scope: PurgeScopeAll}
}

// Epoch returns the epoch of the latest purge.
func (s *PurgeState) Epoch() PurgeEpoch { return PurgeEpoch(s.epoch.Load()) }

// PurgeAll voids everything that is stored, and every fetch under way. The room is given back as
// new responses need it. An error says that the purge was not kept: see [PurgeJournal].
func (s *PurgeState) PurgeAll(ctx context.Context) error {
	return s.purge(ctx, PurgeEvent{Scope: PurgeScopeAll})
}

// PurgeGroups does the same for the responses in one of groups.
func (s *PurgeState) PurgeGroups(ctx context.Context, groups ...HashBinary) error {
	if len(groups) == 0 {
		return nil
	}
	return s.purge(ctx, PurgeEvent{Scope: PurgeScopeGroups, Groups: groups})
}

var errNoEpoch = errors.New("cirque: the purge journal gave no epoch")

// purge keeps e, then has it count: one purge after the other.
func (s *PurgeState) purge(ctx context.Context, e PurgeEvent) error {
	s.mu.Lock()
	if s.mu.turn == nil {
		s.mu.turn = make(chan struct{}, 1)
	}
	turn := s.mu.turn
	s.mu.Unlock()
	select {
	case turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-turn }()
	e.Epoch = s.Epoch() + 1
	if s.journal == nil {
		s.Apply(e)
		return nil
	}
	epoch, err := s.journal.Append(ctx, e)
	if epoch == 0 {
		if err == nil {
			err = errNoEpoch
		}
		return err
	}
	e.Epoch = epoch
	s.Apply(e)
	return err
}

// Apply has a purge count that is kept already: one that another process made, as a journal that is
// followed tells. To apply an event twice, or after a later one, does no harm.
func (s *PurgeState) Apply(e PurgeEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Scope {
	case PurgeScopeAll:
		if e.Epoch >= s.Epoch() {
			s.mu.newer, s.mu.older = purgedGroups{}, purgedGroups{} // nothing that they are about counts any more
		}
		raise(&s.all, e.Epoch)
	case PurgeScopeGroups:
		for _, group := range e.Groups {
			s.enter(group, e.Epoch)
		}
	case PurgeScopeEveryGroup:
		raise(&s.floor, e.Epoch)
	}
	raise(&s.epoch, e.Epoch) // last: who finds it finds the rest
}

// enter notes the purge of one group. Called with mu held.
func (s *PurgeState) enter(group HashBinary, epoch PurgeEpoch) {
	if _, known := s.mu.newer.at[group]; !known && len(s.mu.newer.at) >= maxPurgedGroups/2 {
		raise(&s.floor, s.mu.older.latest)
		s.mu.older, s.mu.newer = s.mu.newer, purgedGroups{}
	}
	if s.mu.newer.at == nil {
		s.mu.newer.at = make(map[HashBinary]PurgeEpoch)
	}
	s.mu.newer.at[group] = max(s.mu.newer.at[group], epoch)
	s.mu.newer.latest = max(s.mu.newer.latest, epoch)
}

// raise sets v to epoch, unless it is greater already. The caller is the only one to change v.
func raise(v *atomic.Uint64, epoch PurgeEpoch) { v.Store(max(v.Load(), uint64(epoch))) }

// Snapshot returns events that Restore makes the same state of: what a journal begins with after it
// was compacted.
func (s *PurgeState) Snapshot() []PurgeEvent {
	s.mu.RLock()
	defer s.mu.RUnlock()
	events := make([]PurgeEvent, 0, 3+len(s.mu.newer.at)+len(s.mu.older.at))
	if all := s.all.Load(); all != 0 {
		events = append(events, PurgeEvent{Epoch: PurgeEpoch(all), Scope: PurgeScopeAll})
	}
	if floor := s.floor.Load(); floor > s.all.Load() {
		events = append(events, PurgeEvent{Epoch: PurgeEpoch(floor), Scope: PurgeScopeEveryGroup})
	}
	for _, groups := range []*purgedGroups{&s.mu.older, &s.mu.newer} { // those forgotten first are entered first
		for group, epoch := range groups.at {
			events = append(events, PurgeEvent{Epoch: epoch, Scope: PurgeScopeGroups, Groups: []HashBinary{group}})
		}
	}
	return append(events, PurgeEvent{Epoch: s.Epoch(), Scope: PurgeScopeGroups}) // whatever was of that epoch
}

// Voids reports whether what is stored with meta m was purged with everything or with a group. So
// does an epoch that is yet to come: it is another history's. m must have been looked up before.
func (s *PurgeState) Voids(m *CacheMeta) bool {
	now := s.epoch.Load()
	return m.purgeEpoch != now && s.voidsOlder(m, now)
}

// voidsOlder is Voids for what does not know of the latest purge.
func (s *PurgeState) voidsOlder(m *CacheMeta, now uint64) bool {
	if m.purgeEpoch > now || m.purgeEpoch < s.all.Load() {
		return true
	}
	groups := m.groups()
	if groups == "" {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	// With the lock held, as names are forgotten in favour of these two.
	if m.purgeEpoch < max(s.all.Load(), s.floor.Load()) {
		return true
	}
	var group HashBinary
	for ; len(groups) >= len(group); groups = groups[len(group):] {
		copy(group[:], groups)
		if max(s.mu.newer.at[group], s.mu.older.at[group]) > m.PurgeEpoch() {
			return true
		}
	}
	return false
}

// log returns the log of purges of keys, which is large, and made for the first of them.
func (s *PurgeState) log() *purgeLog {
	if l := s.keys.Load(); l != nil {
		return l
	}
	s.keys.CompareAndSwap(nil, new(purgeLog))
	return s.keys.Load()
}

// mark returns the present point in the log of purges of keys.
func (s *PurgeState) mark(primary HashBinary) purgeMark {
	if l := s.keys.Load(); l != nil {
		return l.mark(primary)
	}
	return purgeMark{}
}

// purgedSince reports whether key was purged by name after m, or is being purged.
func (s *PurgeState) purgedSince(primary HashBinary, m purgeMark) bool {
	l := s.keys.Load()
	return l != nil && l.purgedSince(primary, m)
}

// countSince counts the purges of key by name since m.
func (s *PurgeState) countSince(primary HashBinary, m purgeMark) int {
	if l := s.keys.Load(); l != nil {
		return l.countSince(primary, m)
	}
	return 0
}

// generation tells those who came before a purge of everything, in this process, from those after
// it.
func (s *PurgeState) generation() uint64 { return s.all.Load() - s.base }
