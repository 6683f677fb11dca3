package cirque

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// PurgeEpoch counts the purges of everything and of groups that a Storage has seen. A fetch notes
// the epoch when it asks the origin, and the meta of the stored response carries it
// ([CacheMeta.PurgeEpoch]). A purge with a greater epoch came later, and voids the response. Clocks
// are not compared.
type PurgeEpoch uint64

// PurgeScope says which responses a purge of more than one key voids.
type PurgeScope uint8

const (
	// PurgeScopeAll is everything in the Storage, in all namespaces.
	PurgeScopeAll PurgeScope = iota + 1
	// PurgeScopeGroups is every response in one of the event's Groups.
	PurgeScopeGroups
	// PurgeScopeEveryGroup is every response in any group. It replaces purges whose groups were
	// forgotten.
	PurgeScopeEveryGroup
)

// PurgeEvent is one purge of everything or of groups.
type PurgeEvent struct {
	Epoch  PurgeEpoch
	Scope  PurgeScope
	Groups []HashBinary // for PurgeScopeGroups; see GroupHash. If there are none, only the epoch changes
}

// PurgeJournal keeps purges beyond this process: on disk, or in a store that other processes use
// too.
type PurgeJournal interface {
	// Append keeps e durably and returns the epoch of the purge. That is e.Epoch, which is one more
	// than the present epoch, or a greater one if other processes purge too. Calls for one
	// PurgeState never overlap.
	//
	// With an error and a zero epoch, the purge has no effect. With an error and another epoch, it
	// has effect in this process, and may be forgotten when the process ends.
	Append(ctx context.Context, e PurgeEvent) (PurgeEpoch, error)
}

// maxPurgedGroups is how many purged groups a PurgeState remembers, at up to 64 bytes each: at most
// 2 MiB. When there are more, the older half is forgotten, and every response in any group that was
// fetched before those purges counts as purged.
const maxPurgedGroups = 1 << 15

// PurgeState has the purges of one Storage, and is shared by all its users in one process
// ([Storage.Purges]): the purges of everything and of groups, the latest purges of keys, and the
// writes under way. So two caches on one Storage see each other's purges, and neither stores a
// response that it fetched before a purge by the other.
//
// The zero PurgeState is ready for use. If the entries of a Storage outlive the process, the
// Storage must call Restore first. A PurgeState must not be copied. It is safe for concurrent use.
type PurgeState struct {
	epoch atomic.Uint64            // of the latest purge
	all   atomic.Uint64            // of the latest purge of everything
	floor atomic.Uint64            // of the latest purge of every group
	keys  atomic.Pointer[purgeLog] // nil: no key was purged yet
	base  uint64                   // all at the end of Restore

	inFlight inFlight

	journal PurgeJournal
	mu      struct {
		sync.RWMutex
		turn         chan struct{} // has one place, which a purge holds while it runs
		newer, older purgedGroups
	}
}

// purgedGroups are the latest purges of some groups.
type purgedGroups struct {
	at     map[HashBinary]PurgeEpoch
	latest PurgeEpoch
}

// Restore sets the events that the Storage has kept, in any order, and the journal for later ones.
// A nil journal is none. Restore must be called before the PurgeState is used.
//
// If the journal was lost, or there never was one, everything that was stored before is void: pass
// [NewPurgeHistory].
func (s *PurgeState) Restore(journal PurgeJournal, events ...PurgeEvent) {
	s.journal = journal
	for _, e := range events {
		s.Apply(e)
	}
	s.base = s.all.Load()
}

// NewPurgeHistory returns the first event of a new history of purges, which replaces a lost one. It
// voids everything that was stored before. Its epoch is now in Unix nanoseconds, so that epochs of
// one history are not taken for those of another.
func NewPurgeHistory(now time.Time) PurgeEvent {
	return PurgeEvent{Epoch: PurgeEpoch(now.UnixNano()), Scope: PurgeScopeAll}
}

// Epoch returns the epoch of the latest purge.
func (s *PurgeState) Epoch() PurgeEpoch { return PurgeEpoch(s.epoch.Load()) }

// PurgeAll voids everything that is stored, and every fetch under way. The entries leave when new
// responses need their room. An error means that the purge was not kept: see [PurgeJournal].
func (s *PurgeState) PurgeAll(ctx context.Context) error {
	return s.purge(ctx, PurgeEvent{Scope: PurgeScopeAll})
}

// PurgeGroups does the same as PurgeAll for the responses that are in one of groups.
func (s *PurgeState) PurgeGroups(ctx context.Context, groups ...HashBinary) error {
	if len(groups) == 0 {
		return nil
	}
	return s.purge(ctx, PurgeEvent{Scope: PurgeScopeGroups, Groups: groups})
}

var errNoEpoch = errors.New("cirque: the purge journal gave no epoch")

// purge keeps e and then applies it. Purges run one after the other.
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

// Apply applies a purge that is kept already: another process made it, and the Storage has read it
// from their journal. Events may be applied twice and in any order.
func (s *PurgeState) Apply(e PurgeEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Scope {
	case PurgeScopeAll:
		if e.Epoch >= s.Epoch() {
			s.mu.newer, s.mu.older = purgedGroups{}, purgedGroups{} // all that they void is void
		}
		raise(&s.all, e.Epoch)
	case PurgeScopeGroups:
		for _, group := range e.Groups {
			s.enter(group, e.Epoch)
		}
	case PurgeScopeEveryGroup:
		raise(&s.floor, e.Epoch)
	}
	raise(&s.epoch, e.Epoch) // last: whoever sees the epoch sees the rest
}

// enter notes the purge of one group. It is called with mu held.
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

// raise sets v to epoch, unless v is greater already. Only one goroutine at a time may change v.
func raise(v *atomic.Uint64, epoch PurgeEpoch) { v.Store(max(v.Load(), uint64(epoch))) }

// Snapshot returns events from which Restore makes the same state. A journal is compacted by
// replacing its events with these.
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
	for _, groups := range []*purgedGroups{&s.mu.older, &s.mu.newer} { // older first, as they are forgotten first
		for group, epoch := range groups.at {
			events = append(events, PurgeEvent{Epoch: epoch, Scope: PurgeScopeGroups, Groups: []HashBinary{group}})
		}
	}
	return append(events, PurgeEvent{Epoch: s.Epoch(), Scope: PurgeScopeGroups}) // sets the epoch
}

// Voids reports whether the response of m was purged with everything or with a group. It is also
// true if m's epoch is yet to come, because then m is from another history. m must have been looked
// up before Voids is called.
func (s *PurgeState) Voids(m *CacheMeta) bool {
	now := s.epoch.Load()
	return m.purgeEpoch != now && s.voidsOlder(m, now) != 0
}

// VoidedBy returns the scope of the purge for which Voids is true, or zero.
func (s *PurgeState) VoidedBy(m *CacheMeta) PurgeScope {
	now := s.epoch.Load()
	if m.purgeEpoch == now {
		return 0
	}
	return s.voidsOlder(m, now)
}

// voidsOlder is VoidedBy for an m from before the latest purge.
func (s *PurgeState) voidsOlder(m *CacheMeta, now uint64) PurgeScope {
	if m.purgeEpoch > now || m.purgeEpoch < s.all.Load() {
		return PurgeScopeAll
	}
	groups := m.groups()
	if groups == "" {
		return 0
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	// The lock must be held, because enter raises floor when it forgets groups.
	switch {
	case m.purgeEpoch < s.all.Load():
		return PurgeScopeAll
	case m.purgeEpoch < s.floor.Load():
		return PurgeScopeEveryGroup
	}
	var group HashBinary
	for ; len(groups) >= len(group); groups = groups[len(group):] {
		copy(group[:], groups)
		if max(s.mu.newer.at[group], s.mu.older.at[group]) > m.PurgeEpoch() {
			return PurgeScopeGroups
		}
	}
	return 0
}

// log returns the log of purges of keys. It is large, so it is made for the first purge.
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

// purgedSince reports whether the key itself was purged after m, or is being purged.
func (s *PurgeState) purgedSince(primary HashBinary, m purgeMark) bool {
	l := s.keys.Load()
	return l != nil && l.purgedSince(primary, m)
}

// countSince counts the purges of the key itself since m.
func (s *PurgeState) countSince(primary HashBinary, m purgeMark) int {
	if l := s.keys.Load(); l != nil {
		return l.countSince(primary, m)
	}
	return 0
}

// generation returns a number that each purge of everything in this process changes.
func (s *PurgeState) generation() uint64 { return s.all.Load() - s.base }
